"""``python -m lnl.audit`` of photographs: by features, with the unusual ones apart from the doubtful labels."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.auditing.scenes import COPIES, FAULTS, scene
from tests.auditing.suspects import embedded_data


def tinted(picture, channel):
    """Of a colour, which is the class of a picture."""
    pixels = np.asarray(picture) * (0.55, 0.55, 0.55)
    pixels[..., channel] += 110
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture
def photos(tmp_path):
    """Three colours; copies of one picture, and pictures with faults. Returns the copies and the faults by file."""
    rng, copies, faults = np.random.default_rng(0), {}, {}

    def put(file, picture):
        path = tmp_path / "photos" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)

    for number in range(36):
        name = "rgb"[number % 3]
        put(f"{name}/{number:02}.png", tinted(scene(number), number % 3))
    for place, (name, copy) in enumerate(COPIES.items()):
        file = f"{'rb'[place % 2]}/copy{place}.jpg"  # of a red picture, two of them labelled blue
        put(file, copy(tinted(scene(3), 0)))
        copies[file] = name
    for name, fault in FAULTS.items():
        file = f"g/{name}.png"
        put(file, fault(scene(int(rng.integers(100, 1000)))))
        faults[file] = name
    put("g/exact.png", tinted(scene(1), 1))
    return copies, faults


@pytest.mark.slow
def test_near_duplicates_and_faulty_pictures_are_kinds_of_their_own(audit, photos, tmp_path):
    copies, faults = photos
    (tmp_path / "photos/g/empty.png").touch()
    command = ("data.path=photos", "output=found", "data.on_error=skip", "export=[label_studio,fiftyone]")
    outcome = audit(*command)
    assert outcome.code == 0, outcome.err
    left_out = "1 sample is left out (data.on_error=skip), first g/empty.png: it is empty (0 bytes)"
    assert f"{left_out}\n" in outcome.err
    found = tmp_path / "found"
    table = pd.read_csv(found / "pictures.csv", keep_default_na=False)
    assert list(table) == ["kind", "score", "index", "file", "given_label", "of_index", "of_file", "of_label"]
    near = table[table["kind"] == "near_duplicate"]
    # All five are one group; its first picture is that of the smallest number.
    group = sorted([*copies, "r/03.png"])
    assert sorted([*near["file"], *set(near["of_file"])]) == group
    assert set(near["of_file"]) == {group[0]}
    assert (near["of_label"] != near["given_label"]).sum() == 3  # the first one is blue
    exact = table[table["kind"] == "copy"]
    assert [*zip(exact["file"], exact["of_file"], strict=True)] == [("g/exact.png", "g/01.png")]
    faulty = table[table["kind"].isin(FAULTS)]
    assert dict(zip(faulty["file"], faulty["kind"], strict=True)) == faults

    estimate = json.loads((found / "estimate.json").read_text())
    assert left_out in [remark.split("\n")[0] for remark in estimate["remarks"]]
    assert estimate["pictures"]["near_duplicate"] == 4
    assert estimate["pictures"]["different_labels"] == 3
    assert "pictures.csv: 1 copy, 4 near-duplicates" in outcome.out
    issues = pd.read_csv(found / "issues.csv")
    assert list(issues) == [
        *("rank", "index", "file", "given_label", "suggested_label", "score", "issue", "self_confidence"),
        *("normalized_margin", "loss", "margin", "held_out_margin", "neighbours", "doubt"),
    ]
    assert not issues["issue"][issues["file"] == "g/blank.png"].any()
    shown = embedded_data(found / "index.html")
    assert {part["title"] for part in shown["sections"]} >= {"Near-duplicates", "Copies", "Blank", "Dark", "Blurred"}
    assert len(json.loads((found / "label_studio.json").read_text())) == len(issues) == 45
    assert len(json.loads((found / "fiftyone.json").read_text())["labels"]) == 45

    # The same audit without the exports has none of its own; what is not audited so has no such table.
    assert audit(*command[:3]).code == 0
    assert sorted(path.name for path in found.iterdir()) == [
        *("corrected_labels.csv", "estimate.json", "index.html", "issues.csv", "pictures.csv"),
    ]
    assert "export is csv, and must be null" in audit(*command[:3], "export=csv").err
