"""Pictures of any size and kind as uint8 arrays, or the reason why they cannot be read."""

import errno
import hashlib
import io
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from lnl.datasets.images import Fit, Form, Interpolation, middle, natural_size
from lnl.errors import first_line
from lnl.files import READS_HEIF, UNREAD, unread_format

# Listed, because Pillow would hand a PostScript file of any name to an interpreter.
FORMATS: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")
if READS_HEIF:
    with suppress(ImportError):  # else its files are of no known format
        from pillow_heif import register_heif_opener

        register_heif_opener()
        FORMATS += ("HEIF",)
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
LOOKED_AT = 1000  # pictures, to find their common size
MAX_PIXELS = 150_000_000  # of a picture: a small file can unpack to more than fits in memory
TOO_LARGE = f"larger than the {MAX_PIXELS:,} pixels that are decoded at most"
GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")

REASONS = {
    errno.ENOENT: "there is no such file",
    errno.ELOOP: "its symbolic link leads in a circle",
    errno.EACCES: "it may not be read (permission denied)",
    errno.ENOTDIR: "there is no such file",
    errno.ENAMETOOLONG: "its name is too long",
}


class PictureError(Exception):
    """A picture cannot be read; the message is the reason, in one line, without the file's name.

    Attributes:
        passing: whether it may be readable later, because the file is not the cause: too many open files, say.
    """

    def __init__(self, reason: str, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


def read_picture(
    path: Path | bytes | Image.Image,
    size: int | None = None,
    channels: int | None = None,
    fit: Fit = "resize",
    interpolation: Interpolation = "bilinear",
) -> NDArray[np.uint8]:
    """The pixels of a picture, uint8 ``[H, W, channels]``, turned as its EXIF says.

    :func:`lnl.trained.recipe.recipe` says in words what it does, for programs that use an exported model.

    Transparent pixels become white, 16 bits become 8, a palette its colours, and an animation its first picture.

    Args:
        path: of a file in one of FORMATS, of any name; or its content; or a picture that Pillow has opened, which stays
            as it is.
        size: side in pixels; None for the picture's own size.
        channels: 1 or 3; None for 1 if the picture is grey, else 3.
        fit, interpolation: see :class:`lnl.datasets.images.Form`.

    Raises:
        PictureError: if it cannot be read, or is too small to be cropped.
    """
    picture = _decoded(path, size if fit != "center_crop" else None)
    if channels is not None:
        picture = _converted(picture, "L" if channels == 1 else "RGB")
    if size is not None:
        picture = _fitted(picture, size, fit, interpolation)
    pixels = np.array(picture)  # a writable copy, as torch wants it
    return pixels[..., None] if pixels.ndim == 2 else pixels


def read_in_form(picture: Path | bytes | Image.Image, form: Form) -> NDArray[np.uint8]:
    """:func:`read_picture` for a model that takes images of ``form``."""
    whole = form.whole
    pixels = read_picture(picture, whole.size, whole.channels, whole.fit, whole.interpolation)
    return middle(pixels, form.size)


def check_picture(path: Path | bytes, size: int, fit: Fit) -> None:
    """Raises PictureError if :func:`read_picture` does; of a JPEG it decodes all data, but an eighth of each side."""
    if fit == "center_crop":  # which may find it too small
        read_picture(path, size, fit=fit)
    else:
        _decoded(path, 1)


def shrunk_picture(path: Path | bytes, side: int) -> Image.Image:
    """A picture as :func:`read_picture` reads it, in its own proportions, no side longer than ``side`` pixels."""
    picture = _decoded(path, side)
    picture.thumbnail((side, side))
    return picture


def picture_size(path: Path | bytes) -> tuple[int, int]:
    """Width and height from the header, turned as its EXIF says; PictureError if it cannot be read."""
    with _opened(path) as picture:
        turned = picture.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        return picture.size[::-1] if turned else picture.size


@contextmanager
def _opened(path: Path | bytes | Image.Image) -> Iterator[Image.Image]:
    """The picture with its header read. Any exception while it is open becomes a PictureError."""
    try:
        if isinstance(path, Image.Image):
            yield path.copy()
            return
        if not isinstance(path, bytes):
            status = path.stat()
            if stat.S_ISDIR(status.st_mode):
                raise PictureError("it is a folder")
            if not stat.S_ISREG(status.st_mode):  # reading from a pipe would wait for ever
                raise PictureError("it is no ordinary file")
            if not status.st_size:
                raise PictureError("it is empty (0 bytes)")
        with Image.open(io.BytesIO(path) if isinstance(path, bytes) else path, formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise PictureError(f"it is {picture.width}x{picture.height}, {TOO_LARGE}")
            yield picture
    except PictureError:
        raise
    except Exception as error:  # broken data makes decoders raise nearly everything
        lasting = {None, *REASONS} - {errno.EACCES}  # None is a decoder's
        passing = isinstance(error, OSError) and error.errno not in lasting
        if isinstance(error, UnidentifiedImageError) and not isinstance(path, Image.Image):
            raise _unknown(path) from error
        raise PictureError(_reason(error), passing or isinstance(error, MemoryError)) from error


def _unknown(path: Path | bytes) -> PictureError:
    """The error for a file of a format that Pillow does not know."""
    if isinstance(path, bytes):
        kind, start = "", path[:12]
    else:
        kind = unread_format(path.name)
        with path.open("rb") as file:
            start = file.read(12)
    if start[4:8] == b"ftyp" and start[8:] in HEIC_BRANDS:  # phones give such files any name
        kind = "HEIC"
    reason = f"it is {kind}, {UNREAD[kind][1]}" if kind else "it is no image of a known format"
    return PictureError(reason, passing=kind == "HEIC")  # until its plugin is installed


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "there is too little memory to decode it"
    if isinstance(error, Image.DecompressionBombError):
        return f"it is {TOO_LARGE}"
    if isinstance(error, OSError) and error.errno is not None:
        return REASONS.get(error.errno, error.strerror or "it cannot be read")
    if "truncated" in str(error).lower():
        return "it is truncated: the end of the file is missing"
    return f"it is damaged ({first_line(error)})"


def _decoded(path: Path | bytes | Image.Image, size: int | None) -> Image.Image:
    """The whole picture in mode L or RGB, upright; a JPEG no larger than ``size`` needs."""
    with _opened(path) as opened:
        if size is not None:
            opened.draft(None, (size, size))  # the decoder skips what would be scaled away
        opened.load()
        grey = opened.mode in GREY
        picture = opened
        ImageOps.exif_transpose(picture, in_place=True)  # else it copies those that are upright
        if picture.mode.startswith("I"):
            # 16-bit PNG and PGM may have the same mode as a TIFF of 32 bits or signed numbers.
            picture = _eight_bits(picture, opened.format not in ("TIFF", None) or opened.mode != "I")
        elif picture.mode == "F":
            raise PictureError("its pixels are floating-point numbers, of no known range")
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        return _converted(picture, "L" if grey else "RGB")


def _converted(picture: Image.Image, mode: str) -> Image.Image:
    """The picture in a mode; Pillow's own function copies one that has it, at a third of the time of decoding it."""
    return picture if picture.mode == mode else picture.convert(mode)


def _eight_bits(picture: Image.Image, sixteen: bool) -> Image.Image:
    """8 bits of 16; the values must show that they have 16, unless that is certain (``sixteen``)."""
    values = np.asarray(picture).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise PictureError(f"its pixels are in {values.min()}..{values.max()}, which is neither 8 nor 16 bits")
    if not sixteen and 0 < values.max() < 256:  # one dark picture of 16 bits looks like one of 8
        raise PictureError(
            f"its pixels are integers in {values.min()}..{values.max()}, of 8 bits or of 16: save it as uint8 or uint16"
        )
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _fitted(picture: Image.Image, size: int, fit: Fit, interpolation: Interpolation) -> Image.Image:
    width, height = picture.size
    side = size if fit == "center_crop" else min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    middle = (left, top, left + side, top + side)
    if fit == "center_crop":
        if min(width, height) < size:
            raise PictureError(f"it is {width}x{height}, too small for data.fit=center_crop to {size}x{size}")
        return picture.crop(middle)
    if picture.size == (size, size):
        return picture
    box = middle if fit == "center_square" else None
    return picture.resize((size, size), Image.Resampling[interpolation.upper()], box=box)


class Pictures(ABC):
    """Pictures with ``names``; ``origin`` says where they are, and the cache keeps a few arrays of each origin."""

    def __init__(self, origin: str, names: Sequence[str]) -> None:
        self.prefix = hashlib.sha256(origin.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        self.names = list(names)

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def __getitem__(self, place: int) -> Path | bytes:
        """A file or its content, for :func:`read_picture`."""

    @abstractmethod
    def key(self) -> str:
        """A hash that changes with any of the pictures."""

    def digest(self, place: int) -> str:
        """A hash of a picture's bytes; empty if no other picture can have the same."""
        picture = self[place]
        return hashlib.sha256(picture if isinstance(picture, bytes) else picture.read_bytes()).hexdigest()


class Files(Pictures):
    """Picture files ``names`` in the folder ``root``."""

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        super().__init__(str(root.absolute()), names)
        self.root = root

    def __getitem__(self, place: int) -> Path:
        return self.root / self.names[place]

    def at(self, places: Sequence[int]) -> "Files":
        """The files at these places."""
        return Files(self.root, [self.names[place] for place in places])

    @cached_property
    def states(self) -> NDArray[np.int64]:
        """``[n, 3]``, each file's size and when its content and its inode changed; -1, 0, 0 if it is missing."""
        found = []
        for name in self.names:
            try:
                status = os.stat(os.path.join(self.root, name))  # a Path would take most of the time
                found.append((status.st_size, status.st_mtime_ns, status.st_ctime_ns))
            except (OSError, ValueError):
                found.append((-1, 0, 0))
        return np.array(found)

    @cached_property
    def sizes_of_several(self) -> set[int]:
        sizes, counts = np.unique(self.states[:, 0], return_counts=True)
        return set(sizes[counts > 1].tolist()) - {-1, 0}

    def key(self) -> str:
        names = "\0".join(self.names).encode("utf-8", "surrogateescape")
        return hashlib.sha256(names + self.states.tobytes()).hexdigest()

    def digest(self, place: int) -> str:
        return super().digest(place) if self.states[place, 0] in self.sizes_of_several else ""


def common_size(pictures: Pictures) -> int:
    """:func:`natural_size` of pictures of one size, else 64, judged by up to a thousand of them."""
    sizes = set()
    for place in np.unique(np.linspace(0, len(pictures) - 1, min(LOOKED_AT, len(pictures))).astype(int)).tolist():
        try:
            sizes.add(picture_size(pictures[place]))
        except PictureError:
            continue
        if len(sizes) > 1:
            break
    width, height = sizes.pop() if len(sizes) == 1 else (0, 1)
    return natural_size((len(pictures), height, width))
