"""Files that cannot be read as pictures, each with words that its reason must have."""

import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def noise_picture(path: Path, size: tuple[int, int] = (40, 30), seed: int = 0, **options) -> Path:
    """A picture of random pixels, of the format that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def png(width: int, height: int, data: bytes) -> bytes:
    """A black and white PNG with these compressed rows."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _half(path: Path, name: str) -> None:
    whole = noise_picture(path.with_name(name)).read_bytes()
    path.with_name(name).unlink()
    path.write_bytes(whole[: len(whole) // 2])


def _damaged_png(path: Path) -> None:
    content = bytearray(noise_picture(path.with_name("whole.png")).read_bytes())
    path.with_name("whole.png").unlink()
    content[60:200] = bytes(140)
    path.write_bytes(content)


def _loop(path: Path) -> None:
    path.symlink_to(path.with_name("other.jpg"))
    path.with_name("other.jpg").symlink_to(path)


def _unreadable(path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    noise_picture(path).chmod(0)


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(path.name)
    os.chdir(here)


def _floats(path: Path) -> None:
    Image.fromarray(np.ones((8, 8), dtype=np.float32)).save(path, "TIFF")


# Each makes a file of the given name, which ends in .jpg.
BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated JPEG": (lambda path: _half(path, "whole.jpg"), "truncated"),
    "truncated PNG": (lambda path: _half(path, "whole.png"), "truncated"),
    "damaged PNG": (_damaged_png, "damaged"),
    "zero bytes": (lambda path: path.write_bytes(b""), r"empty \(0 bytes\)"),
    "a text": (lambda path: path.write_text("no picture"), "no image of a known format"),
    "PostScript": (lambda path: path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "no image"),
    "20,000 x 20,000": (
        lambda path: path.write_bytes(png(20000, 20000, zlib.compress(bytes(2501 * 20000), 1))),
        "150,",
    ),
    "13,000 x 13,000": (
        lambda path: path.write_bytes(png(13000, 13000, zlib.compress(bytes(1626 * 13000), 1))),
        "13000x",
    ),
    "a folder": (lambda path: path.mkdir(), "it is a folder"),
    "a symbolic link in a circle": (_loop, "circle"),
    "a link to nothing": (lambda path: path.symlink_to("nowhere.jpg"), "no such file"),
    "no permission": (_unreadable, "permission"),
    "a pipe": (lambda path: os.mkfifo(path), "no ordinary file"),
    "a socket": (_socket, "no ordinary file"),
    "floating-point pixels": (_floats, "floating-point"),
}
