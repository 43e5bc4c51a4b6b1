"""What ``model.json`` says is enough: files decoded by it alone have the probabilities of ``lnl.predict``."""

import json
import re
import stat
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from lnl.data.preparation import Preparation
from lnl.trained.recipe import recipe
from tests.datasets.own import write_folder

ROOT = Path(__file__).parents[2]
SIZE = 20


def smooth(width, height, channels, seed):
    """Random colours that change slowly: 16-bit values ``[height, width, channels]``."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), np.uint8)
    fine = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).astype(np.int64)
    noise = np.random.default_rng(seed + 1).integers(0, 257, (height, width, 3))
    return np.clip(fine * 257 + 40 * (noise - 128), 0, 65535)[..., :channels]


def write_pictures(folder):
    """A picture of each kind that programs decode in different ways."""
    folder.mkdir()
    wide = Image.fromarray((smooth(400, 250, 3, 0) // 257).astype(np.uint8))
    wide.save(folder / "large.jpg", quality=90)
    wide.resize((90, 57)).save(folder / "half.jpg", quality=90)
    wide.resize((30, 25)).save(folder / "small.jpg", quality=90)
    for orientation in (3, 5, 6, 7, 8):
        exif = Image.Exif()
        exif[0x0112] = orientation
        wide.save(folder / f"turned{orientation}.jpg", exif=exif)
    wide.convert("L").save(folder / "grey.jpg")
    wide.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    wide.convert("P", palette=Image.Palette.ADAPTIVE, colors=17).save(folder / "palette.png")
    alpha = Image.fromarray((smooth(400, 250, 1, 7)[..., 0] // 257).astype(np.uint8))
    with_alpha = wide.copy()
    with_alpha.putalpha(alpha)
    with_alpha.save(folder / "alpha.png")
    with_alpha.save(folder / "alpha.webp", lossless=True)
    with_alpha.convert("LA").save(folder / "grey_alpha.png")
    with_alpha.quantize(11).save(folder / "palette_alpha.png")
    wide.save(folder / "colour.gif")
    sixteen = Image.fromarray(smooth(61, 47, 1, 3)[..., 0].astype(np.uint16))
    sixteen.save(folder / "sixteen.png")
    sixteen.save(folder / "sixteen.tif")
    wide.convert("1").save(folder / "black_and_white.tif")
    return sorted(path.name for path in folder.iterdir())


MIRRORED = {2: ((), 1), 3: ((2,), 0), 4: ((2,), 1), 5: ((1,), 1), 6: ((3,), 0), 7: ((3,), 1), 8: ((1,), 0)}


def by_the_recipe(path, about):
    """The steps that ``model.json`` has, with Pillow as the decoder and the filter, and NumPy for the rest."""
    of = about["preprocessing"]
    seen, channels, fit = of["image_size"], of["channels"], of["fit"]
    size = of["resize"] or seen
    cut = slice((size - seen) // 2, (size - seen) // 2 + seen)
    picture = Image.open(path)
    orientation = picture.getexif().get(0x0112, 1) if picture.format != "TIFF" else 1
    if picture.format == "JPEG" and fit != "center_crop":
        fits = min(picture.size) // size
        d = next((d for d in (8, 4, 2) if d <= fits), 1)
        picture.draft(None, (picture.width // d, picture.height // d))
    if picture.mode in ("P", "PA"):
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    pixels = np.asarray(picture)
    if pixels.dtype == bool:
        pixels = pixels * np.uint8(255)
    values = pixels.astype(np.int64).reshape(*pixels.shape[:2], -1)
    if picture.mode.startswith("I"):
        values = (values + 128) // 257
    if picture.mode == "CMYK":
        values = np.rint((255 - values[..., :3]) * (255 - values[..., 3:]) / 255).astype(np.int64)
    if orientation in MIRRORED:
        turns, mirrored = MIRRORED[orientation]
        values = values[:, ::-1] if mirrored else values
        values = np.rot90(values, turns[0]) if turns else values
    if picture.mode in ("RGBA", "LA"):
        opacity = values[..., -1:] / 255
        values = np.rint(opacity * values[..., :-1] + (1 - opacity) * 255).astype(np.int64)
    if values.shape[2] == 1:
        values = values.repeat(3, axis=2)
    if channels == 1:
        values = (values @ [19595, 38470, 7471] + 32768)[..., None] // 65536
    height, width = values.shape[:2]
    side = size if fit == "center_crop" else min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    planes = [Image.fromarray(plane.astype(np.uint8)) for plane in np.moveaxis(values, 2, 0)]
    if fit == "center_crop":
        return values[None, top : top + size, left : left + size].astype(np.uint8)[:, cut, cut]
    box = None if fit == "resize" else (left, top, left + side, top + side)
    filter = Image.Resampling[of["interpolation"].upper()]
    planes = [plane.resize((size, size), filter, box) for plane in planes]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)[None, cut, cut]


def by_the_docs(folder):
    """``read`` of docs/use.md, for the model in ``folder``."""
    (code,) = re.findall(r"```python\n(import json\n.*?)\nmodel = ", (ROOT / "docs/use.md").read_text(), re.DOTALL)
    code = code.replace("import onnxruntime\n", "")  # it runs the model and reads nothing
    names = {}
    exec(code.replace("model/model.json", str(folder / "model.json")), names)
    return names["read"]


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("data.channels=1", "data.fit=center_square"),
        ("data.fit=center_crop",),
        ("data.resize=20", "data.fit=center_square", "data.interpolation=bicubic", "augment=photo"),
    ],
)
def test_files_decoded_by_the_recipe_have_the_probabilities_of_predict(train, predict, export, tmp_path, options):
    write_folder(tmp_path / "own")
    scaled = ("data.mean=[0.5]", "data.std=[0.2]") if "data.channels=1" in options else ()
    run = train(
        "data=folder",
        "data.path=own",
        f"data.image_size={SIZE if 'data.fit=center_crop' not in options else 8}",
        "model=mlp_1x512",
        "optimizer=adam",
        "trainer.max_epochs=2",
        "data.batch_size=4",
        "trainer.precision=32-true",
        *options,
        *scaled,
    )
    assert run.code == 0, run.err
    names = write_pictures(tmp_path / "photos")
    assert predict(f"run={run.folder}", "images=photos").code == 0
    assert export(f"run={run.folder}", "format=torchscript", "output=model").code == 0
    table = pd.read_csv("predictions.csv").set_index("file").loc[names]
    expected = table.filter(like="p_").to_numpy()
    assert np.ptp(expected, axis=0).max() > 0.1  # the pictures matter
    about = json.loads(Path("model/model.json").read_text())
    model, from_docs = torch.jit.load("model/model.pt"), by_the_docs(tmp_path / "model")
    for name, probabilities in zip(names, expected, strict=True):
        for read in (lambda path: by_the_recipe(path, about), from_docs):
            pixels = read(tmp_path / "photos" / name)
            made = model(torch.from_numpy(np.array(pixels))).detach().numpy()[0]
            np.testing.assert_allclose(made, probabilities, atol=1e-4, err_msg=name)


def test_the_recipe_has_the_steps_of_the_model_only():
    steps = recipe(Preparation(image_size=64))
    assert "min(width, height) // 64" in steps[1]
    assert any("64x64" in step and "BILINEAR" in step for step in steps)
    assert steps[-1].startswith("Give the model uint8 [batch, 64, 64, 3]")
    assert not any("middle" in step for step in steps)
    cropped = recipe(Preparation(image_size=64, channels=1, mean=[0.5], std=[0.5], fit="center_crop"))
    assert not any("BILINEAR" in step or "1/d" in step for step in cropped)
    assert any("middle 64x64" in step for step in cropped)
    assert any("19595" in step for step in cropped)
    larger = recipe(Preparation(image_size=224, resize=256))
    assert any("256x256" in step for step in larger)
    assert "middle 224x224 pixels, from column and row (256 - 224) // 2" in larger[-2]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_files_may_be_read_by_whom_the_umask_lets_read(trained, export, umask, mode, monkeypatch):
    import os

    run = trained("trainer.max_epochs=1").folder
    onnx = ["onnx"] * all(map(find_spec, ("onnx", "onnxscript", "onnxruntime")))
    before = os.umask(umask)
    try:
        outcome = export(f"run={run}", f"format=[{','.join(['torchscript', 'safetensors', *onnx])}]", "output=out")
    finally:
        os.umask(before)
    assert outcome.code == 0, outcome.err
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in Path("out").iterdir()}
    assert set(modes.values()) == {oct(mode)}, modes
