"""Generated pictures that are as different as photographs, and copies of them as people make them."""

import io

import numpy as np
from PIL import Image, ImageFilter, ImageOps


def scene(seed, size=(320, 240)):
    """Many soft and sharp shapes of random colours."""
    rng = np.random.default_rng(seed)
    width, height = size
    y, x = np.mgrid[:height, :width]
    pixels = np.tile(rng.uniform(60, 200, 3), (height, width, 1))
    for _ in range(25):
        centre, radius = rng.uniform(0, (width, height)), rng.uniform(0.05, 0.3) * width
        inside = np.hypot(x - centre[0], (y - centre[1]) * rng.uniform(0.5, 2)) < radius
        pixels[inside] = rng.uniform(0, 255, 3)
    pixels += rng.normal(0, 6, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def saved(picture, quality=60):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def cropped(picture, share):
    width, height = picture.size
    left, top = round(share * width), round(share * height)
    return picture.crop((left, top, width - left, height - top))


COPIES = {
    "saved again": lambda picture: saved(picture, 30),
    "half as large": lambda picture: saved(picture.resize((picture.width // 2, picture.height // 2))),
    "cropped": lambda picture: saved(cropped(picture, 0.05)),
    "mirrored": lambda picture: saved(ImageOps.mirror(picture)),
}
FAULTS = {
    "blank": lambda picture: Image.new("RGB", picture.size, (90, 120, 40)),
    "dark": lambda picture: picture.point(lambda value: round(value * 0.1)),
    "bright": lambda picture: picture.point(lambda value: round(255 - (255 - value) * 0.1)),
    "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(picture.width / 30)),
}


def square(picture, size=224):
    """As models see it."""
    return np.asarray(picture.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))
