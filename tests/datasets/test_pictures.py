"""Pictures of every kind become the pixels that one sees; what is no picture is named with the reason."""

import numpy as np
import pytest
from PIL import Image

from lnl.data import Form
from lnl.datasets.pictures import PictureError, picture_size, read_picture
from tests.bad_files import BAD_FILES, noise_picture


@pytest.fixture
def saved(tmp_path):
    """Saves a picture and reads it."""

    def save(picture, suffix=".png", **options):
        path = tmp_path / f"picture{suffix}"
        picture.save(path, **options)
        return read_picture(path)

    return save


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm", ".webp", ".gif", ".jp2", ".jpg"])
def test_every_format_gives_its_colours(saved, suffix):
    colour = (250, 120, 20)
    pixels = saved(Image.new("RGB", (12, 8), colour), suffix, **({"lossless": True} if suffix == ".webp" else {}))
    assert (pixels.dtype, pixels.shape) == (np.uint8, (8, 12, 3))
    np.testing.assert_allclose(pixels, np.broadcast_to(colour, pixels.shape), atol=2)


def test_grey_has_one_channel_and_black_and_white_is_grey(saved):
    assert saved(Image.new("L", (3, 2), 77)).tolist() == np.full((2, 3, 1), 77).tolist()
    assert saved(Image.new("1", (3, 2), 1)).tolist() == np.full((2, 3, 1), 255).tolist()


def test_a_palette_stands_for_its_colours(saved):
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 100, 0])
    palette.putpixel((1, 0), 1)
    assert saved(palette).tolist() == [[[10, 20, 30], [200, 100, 0]]]
    assert saved(palette, transparency=0).tolist() == [[[255, 255, 255], [200, 100, 0]]]


def test_what_is_transparent_is_white(saved):
    picture = Image.new("RGBA", (3, 1), (255, 0, 0, 0))
    picture.putpixel((1, 0), (0, 0, 100, 255))
    picture.putpixel((2, 0), (0, 0, 0, 51))
    assert saved(picture).tolist() == [[[255, 255, 255], [0, 0, 100], [204, 204, 204]]]
    assert saved(Image.new("LA", (1, 1), (9, 0))).tolist() == [[[255]]]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_become_eight(saved, suffix):
    values = np.array([[0, 257, 65535, 30000]], dtype=np.uint16)
    assert saved(Image.fromarray(values), suffix)[0, :, 0].tolist() == [0, 1, 255, 117]  # 30000 / 257 = 116.7


def test_integers_of_no_known_range_are_not_guessed_at(saved):
    """Numbers of 8 bits in a TIFF of 32 would become black."""
    values = np.arange(64, dtype=np.int32).reshape(8, 8)
    with pytest.raises(PictureError, match=r"integers in 0\.\.252, of 8 bits or of 16: save it as uint8 or uint16"):
        saved(Image.fromarray(values * 4), ".tif")
    assert saved(Image.fromarray(values * 5), ".tif")[..., 0].max() == 1  # 315 is no number of 8 bits
    assert not saved(Image.fromarray(values * 0), ".tif").any()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_a_dark_picture_of_sixteen_bits_stays_dark(saved, suffix):
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 4
    assert saved(Image.fromarray(values), suffix)[..., 0].max() == 1


def test_cmyk_is_read_as_colours(saved):
    np.testing.assert_allclose(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), ".jpg")[4, 4], [255, 0, 0], atol=3)


# Where the picture's first row, left to right, is to be found.
UPRIGHT = {
    1: lambda p: p[0],
    2: lambda p: p[0, ::-1],
    3: lambda p: p[-1, ::-1],
    4: lambda p: p[-1],
    5: lambda p: p[:, 0],
    6: lambda p: p[:, -1],
    7: lambda p: p[::-1, -1],
    8: lambda p: p[::-1, 0],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_turns_a_picture(tmp_path, orientation):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    turned = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(UPRIGHT[orientation](turned), pixels[0])
    assert picture_size(tmp_path / "a.png") == turned.shape[1::-1]


def test_an_animation_is_its_first_picture(saved):
    first, second = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    assert saved(first, ".gif", save_all=True, append_images=[second])[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fit", ["resize", "center_crop", "center_square"])
@pytest.mark.parametrize("size", [16, 17])
def test_a_size_is_reached_as_arrays_reach_it(tmp_path, fit, size, channels):
    smooth = np.linspace(0, 255, 61 * 40 * 3).reshape(40, 61, 3).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.png")
    pixels = read_picture(tmp_path / "a.png", size, channels, fit)
    other = Form(image_size=size, channels=channels, fit=fit).fit_to(smooth[None])[0]
    assert pixels.shape == (size, size, channels)
    # Either rounds at most three times, by half: after each pass of the interpolation, and for grey.
    np.testing.assert_allclose(pixels.astype(int), other, atol=3)


def test_a_large_jpeg_is_reduced_while_it_is_decoded_and_looks_the_same(tmp_path):
    y, x = np.mgrid[:400, :600] / 600
    waves = np.stack([np.sin(9 * x), np.cos(7 * y), np.sin(8 * (x + y))], axis=2) * 127 + 128
    path = tmp_path / "a.jpg"
    Image.fromarray(waves.astype(np.uint8)).save(path, quality=95)
    exact = Image.fromarray(read_picture(path)).resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(read_picture(path, 32).astype(int), np.asarray(exact), atol=6)


@pytest.mark.parametrize("kind", BAD_FILES)
def test_what_cannot_be_read_is_named_with_the_reason(tmp_path, kind, monkeypatch):
    make, reason = BAD_FILES[kind]
    path = tmp_path / "picture.jpg"
    make(path)
    if "," in kind:
        monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("memory is taken for its pixels"))
    with pytest.raises(PictureError, match=reason) as caught:
        read_picture(path, 32)
    assert "\n" not in str(caught.value)
    if kind != "no permission":
        with pytest.raises(PictureError):
            read_picture(path)


def test_what_is_too_small_to_crop_is_named(tmp_path):
    with pytest.raises(PictureError, match=r"40x30, too small for .*32x32"):
        read_picture(noise_picture(tmp_path / "a.png"), 32, fit="center_crop")
