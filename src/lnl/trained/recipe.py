"""How a picture file becomes the pixels that a model takes, in words: for programs that do not use lnl."""

from lnl.datasets.images import Form

DECODE = "Decode the first picture of the file to 8 bits for each channel; apply no colour profile."
SCALED = (
    "Have the decoder scale a JPEG by 1/d (scaled DCT, each side rounded up), where d is the largest of 8, 4, 2, 1 "
    "that is at most min(width, height) // {size}, or 1. Decode other files to their full size."
)
BITS = (
    "Grey values v of 16 bits, and whole numbers of 32 bits in a TIFF, become (v + 128) // 257; colour values of 16 "
    "bits become v // 256. CMYK becomes R = (255 - C) * (255 - K) / 255, rounded, G and B likewise; a palette becomes "
    "its colours."
)
TURN = "Turn and mirror the picture as its EXIF orientation says."
WHITE = "Put a picture with transparency over white: a * v + (1 - a) * 255, rounded, with the opacity a in [0, 1]."
CHANNELS = {
    1: "Make colours grey: (19595 * R + 38470 * G + 7471 * B + 32768) // 65536.",
    3: "Channels are in the order R, G, B; a grey picture has its value in all three.",
}
FILTERS = {
    "bilinear": "bilinear interpolation with antialiasing (a triangle filter that is as much wider as the picture "
    "becomes smaller; Pillow's BILINEAR), rounded to uint8",
    "bicubic": "bicubic interpolation with antialiasing (Keys' filter with a = -0.5, as much wider as the picture "
    "becomes smaller; Pillow's BICUBIC), rounded to uint8",
}
FIT = {
    "resize": "Resize the picture to {size}x{size} pixels, whatever its shape, by {filter}.",
    "center_crop": "Cut out the middle {size}x{size} pixels, from column (width - {size}) // 2 and row "
    "(height - {size}) // 2; a smaller picture cannot be used.",
    "center_square": "Resize the middle square of side s = min(width, height), from column (width - s) // 2 and row "
    "(height - s) // 2, to {size}x{size} pixels by {filter}. At the square's edges the filter takes in the pixels "
    "outside of it (Pillow's resize with box).",
}
CUT = "Of these, keep the middle {size}x{size} pixels, from column and row ({whole} - {size}) // 2."
GIVE = (
    "Give the model uint8 [batch, {size}, {size}, {channels}], values in 0..255. The model normalises them itself and "
    "returns probabilities."
)


def recipe(form: Form) -> list[str]:
    """The steps of :func:`lnl.datasets.pictures.read_picture` for a form, in their order."""
    decode = [DECODE] if form.fit == "center_crop" else [DECODE, SCALED]
    steps = [*decode, BITS, TURN, WHITE, CHANNELS[form.channels], FIT[form.fit]]
    whole, names = form.whole.size, {"channels": form.channels, "filter": FILTERS[form.interpolation]}
    cut = [] if form.resize is None else [CUT.format(size=form.size, whole=whole)]
    return [*(step.format(size=whole, **names) for step in steps), *cut, GIVE.format(size=form.size, **names)]
