"""Pictures are decoded once, and again when anything of them changes."""

import errno
import json
import os
import shutil
import socket
import subprocess

import numpy as np
import pytest
from PIL import Image

from lnl.datasets import decoded, pictures
from lnl.datasets.decoded import decode
from lnl.datasets.images import Form, digest
from lnl.datasets.pictures import Files, PictureError, check_picture, common_size, read_picture
from lnl.errors import UserError
from tests.bad_files import noise_picture
from tests.datasets.own import COLOURS, picture


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Decodes, and says how many pictures were."""
    for number, label in enumerate(("cat", "dog", "owl")):
        picture(tmp_path / f"{number}.png", label, number)

    def run(size=8, limit=1e9, names=("0.png", "1.png", "2.png")):
        count = []
        with monkeypatch.context() as patch:
            for name in ("read_picture", "check_picture"):
                real = getattr(decoded, name)
                patch.setattr(decoded, name, lambda *args, real=real: count.append(args) or real(*args))
            files = Files(tmp_path, names)
            return decode(files, Form(image_size=size), cache_dir=tmp_path / "cache", limit=limit), len(count)

    return run


def test_pictures_are_decoded_once(cached):
    (first, count), (second, again) = cached(), cached()
    assert (count, again) == (3, 0)
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.images[:, 4, 4].argmax(axis=1), [0, 1, 2])


def test_what_changes_is_decoded_anew(cached, tmp_path):
    cached()
    status = (tmp_path / "1.png").stat()
    os.utime(tmp_path / "1.png", ns=(status.st_mtime_ns, status.st_mtime_ns + 1))
    assert cached()[1] == 3
    assert cached(size=9)[1] == 3
    assert cached(names=("0.png", "2.png"))[1] == 2


def test_arrays_of_several_splits_and_tables_stay_until_there_are_too_many(cached, tmp_path):
    """The one that was used longest ago goes."""
    ways = [("0.png", "1.png"), ("1.png", "0.png"), ("2.png",), ("1.png", "2.png"), ("0.png",)]
    assert len(ways) == decoded.KEPT + 1
    for again in (0, 1):
        for names in ways[:-1]:
            found, count = cached(names=names)
            assert count == (0 if again else len(names))
            assert found.images[:, 4, 4].argmax(axis=1).tolist() == [int(name[0]) for name in names]
    cached(names=ways[0])
    assert cached(names=ways[-1])[1] == 1
    arrays = {suffix: sorted((tmp_path / "cache").glob(f"*{suffix}")) for suffix in (".npy", ".json")}
    assert [len(paths) for paths in arrays.values()] == [decoded.KEPT] * 2
    assert [cached(names=names)[1] for names in (*ways[2:], ways[0], ways[1])] == [0, 0, 0, 0, 2]


def test_arrays_go_where_there_is_no_room_for_another(cached, tmp_path, monkeypatch):
    cached()
    free = lambda path: shutil._ntuple_diskusage(999, 0, 999 if not list(path.glob("*.npy")) else 0)  # noqa: E731
    monkeypatch.setattr(decoded.shutil, "disk_usage", free)
    assert cached(names=("2.png",))[1] == 1
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1


def test_what_a_killed_process_left_goes(cached, tmp_path):
    process = subprocess.Popen(["true"])
    process.wait()
    (tmp_path / "cache").mkdir()
    host = socket.gethostname()
    left, others = (tmp_path / f"cache/.pictures-x-8-3-resize-array-y.npy.{host}-{pid}.tmp" for pid in (process.pid, 1))
    left.touch()
    others.touch()
    cached()
    assert not left.exists()
    assert others.exists()


def test_a_damaged_cache_is_made_anew(cached, tmp_path):
    first, _ = cached()
    before = first.images.copy()
    (array,) = (tmp_path / "cache").glob("*.npy")
    array.write_bytes(array.read_bytes()[:-10])
    again, count = cached()
    assert count == 3
    np.testing.assert_array_equal(again.images, before)


@pytest.mark.parametrize("content", [b"", b"{", bytes(60), b"\xff"])
@pytest.mark.parametrize("suffix", [".json", ".npy"])
def test_what_a_crash_left_of_a_cache_is_made_anew(cached, tmp_path, suffix, content):
    before = cached()[0].images.copy()
    (path,) = (tmp_path / "cache").glob(f"*{suffix}")
    path.write_bytes(content)
    again, count = cached()
    assert count == 3
    np.testing.assert_array_equal(again.images, before)
    assert cached()[1] == 0


@pytest.fixture
def later(tmp_path):
    """Waits until the file system's clock has gone on, which takes some milliseconds."""

    def wait():
        probe = tmp_path / "probe"
        probe.touch()
        before = probe.stat().st_ctime_ns
        while probe.stat().st_ctime_ns == before:
            probe.touch()

    return wait


def test_files_that_change_places_are_noticed_though_size_and_time_are_the_same(cached, tmp_path, later):
    for number, label in enumerate(("cat", "dog")):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (8, 8), COLOURS[label]).save(path, "BMP")
        os.utime(path, (1_600_000_000,) * 2)
    assert cached()[0].images[:2, 4, 4].argmax(axis=1).tolist() == [0, 1]
    later()
    for one, other in (("0.png", "x"), ("1.png", "0.png"), ("x", "1.png")):
        (tmp_path / one).rename(tmp_path / other)
    assert cached()[0].images[:2, 4, 4].argmax(axis=1).tolist() == [1, 0]


def test_permissions_that_change_are_noticed(cached, tmp_path, later):
    cached()
    later()
    (tmp_path / "1.png").chmod(0o600)
    assert cached()[1] == 3


@pytest.mark.parametrize("limit", [1e9, 0])
@pytest.mark.parametrize("cause", [OSError(errno.EMFILE, "x"), PermissionError(errno.EACCES, "x"), MemoryError()])
def test_what_could_not_be_read_for_a_reason_that_passes_is_tried_again(cached, monkeypatch, cause, limit):
    real = pictures.Image.open

    def failing(path, **options):
        if path.name == "1.png":
            raise cause
        return real(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(pictures.Image, "open", failing)
        assert [list(cached(limit=limit)[0].bad) for _ in range(2)] == [[1], [1]]
        assert cached(limit=limit)[1] == 1  # alone
    found, _ = cached(limit=limit)
    assert found.bad == {}
    assert found.images.shape[0] == 3
    assert cached(limit=limit)[1] == 0


def test_what_is_damaged_is_not_tried_again(cached, tmp_path):
    (tmp_path / "0.png").write_bytes(b"x")
    (tmp_path / "1.png").unlink()
    (tmp_path / "2.png").unlink()
    (tmp_path / "2.png").mkdir()
    assert [len(cached()[0].bad), cached()[1]] == [3, 0]


def test_bad_pictures_are_left_out_of_the_array(cached, tmp_path):
    (tmp_path / "1.png").write_bytes(b"")
    found, _ = cached()
    assert found.bad == {1: "it is empty (0 bytes)"}
    assert found.images.shape == (2, 8, 8, 3)
    assert cached()[0].bad == found.bad


def test_no_pixels_are_kept_of_what_is_streamed(cached, tmp_path):
    kept, _ = cached()
    shutil.rmtree(tmp_path / "cache")
    streamed, count = cached(limit=3 * 8 * 8 * 3 - 1)
    assert count == 3
    record, digests = sorted((tmp_path / "cache").iterdir())
    assert json.loads(record.read_text())["bad"] == {}
    assert np.load(digests).tolist() == [0, 0, 0]
    np.testing.assert_array_equal(streamed.images[np.arange(3)], kept.images)
    assert streamed.images[1:].shape == (2, 8, 8, 3)
    np.testing.assert_array_equal(streamed.images[1:][1], kept.images[2])
    assert cached(limit=0)[1] == 0  # they have been looked at


def test_digests_of_what_is_streamed_are_found_once(cached):
    kept, _ = cached()
    of_pixels = np.array([digest(image) for image in kept.images], np.uint64)
    first, _ = cached(limit=0)
    np.testing.assert_array_equal(first.images[1:].digests_at(np.array([0])), of_pixels[1:2])
    again, _ = cached(limit=0)
    np.testing.assert_array_equal(again.images.digests, of_pixels * [0, 1, 0])
    np.testing.assert_array_equal(again.images.digests_at(np.array([2, 1])), of_pixels[[2, 1]])
    np.testing.assert_array_equal(first.images.digests, of_pixels * [0, 1, 1])


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """A file cut off, with other bytes, or with more."""
    place, kind = int(rng.integers(1, len(whole))), rng.integers(4)
    if kind == 0:
        return whole[:place]
    if kind == 1:
        return whole[: -int(rng.integers(1, 20))]
    return whole[:place] + rng.bytes(8) + whole[place + 8 * (kind == 2) :]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"subsampling": 0}])
@pytest.mark.parametrize("fit", ["resize", "center_crop"])
def test_what_is_bad_is_found_without_decoding_in_full(tmp_path, options, fit):
    whole = noise_picture(tmp_path / "x.jpg", (90, 70), **options).read_bytes()
    rng, outcomes = np.random.default_rng(0), []

    def reason(read, *arguments):
        try:
            read(*arguments)
        except PictureError as error:
            return str(error), error.passing

    for _ in range(100):
        content = damaged(whole, rng)
        outcomes.append(reason(read_picture, content, 32, 3, fit))
        assert reason(check_picture, content, 32, fit) == outcomes[-1]
    assert 20 < outcomes.count(None) < 80
    assert reason(check_picture, whole, 80, fit) == reason(read_picture, whole, 80, 3, fit)


def test_there_must_be_room_on_the_disk(cached, monkeypatch):
    monkeypatch.setattr(decoded.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 0, 10))
    with pytest.raises(UserError, match=r"no room for: set paths\.cache_dir, or data\.cache_limit_gb=0"):
        cached()


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(28, 28)] * 3, 28),
        ([(96, 96)] * 3, 96),
        ([(97, 97)] * 3, 64),
        ([(28, 28), (28, 30)], 64),
        ([(30, 28)] * 2, 64),
    ],
)
def test_pictures_keep_their_size_if_it_is_one(tmp_path, sizes, expected):
    names = [noise_picture(tmp_path / f"{number}.png", size).name for number, size in enumerate(sizes)]
    assert common_size(Files(tmp_path, names)) == expected
