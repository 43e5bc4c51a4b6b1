"""Computes a frozen network's features of all images once, and keeps them on the disk."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from lnl.augment import CropFlip
from lnl.data import NoisyDataModule
from lnl.data.features import Features
from lnl.data.loader import View
from lnl.datasets.decoded import make_room
from lnl.errors import UserError
from lnl.files import read_arrays, replacing
from lnl.methods import NoisyLabelMethod
from lnl.models import PretrainedModel
from lnl.progress import tracked

KEPT = 64  # of each part, of all data: they are small, and take minutes or hours to compute
PIXELS = 8 * 224 * 224  # of a batch on the CPU, where larger ones are slower


def features_for(method: NoisyLabelMethod, data: NoisyDataModule, device: torch.device, views: int | None) -> bool:
    """Gives ``data`` features in place of images, if the method's network sees the same ones in every epoch.

    That is so if its backbone is frozen and its views are not augmented, or flipped only, or if ``views`` is given:
    then that many augmented views of each image are drawn once, and the method sees these. Returns whether it is so.
    """
    networks = [module for module in method.modules() if isinstance(module, PretrainedModel)]
    if not networks or any(network.freeze is not True for network in networks):
        return False
    if len({network.digest() for network in networks}) > 1:  # two networks from scratch
        return False
    augmentations = [data.views[name] for name in method.views]
    if views is None and not all(map(_flips_at_most, augmentations)):
        return False
    use_features(networks[0], data, device, augmentations[0], views)
    return True


def read_features(path: str, data: NoisyDataModule) -> None:
    """Gives ``data`` the features in a file, in place of images.

    Args:
        path: an .npy ``[n, F]`` with a row for each sample of the training set, and then of the test set, in their
            order; or an .npz with ``features[n, F]`` and ``files[n]``, the samples' names as of ``issues.csv``.
        data: after ``setup``.

    Raises:
        UserError: if it has another number of rows, lacks a sample, or has values beyond float16.
    """
    file, counts = Path(path).expanduser(), {part: len(data.clean.tensors[part]) for part in ("train", "test")}
    if not file.is_file():
        raise UserError(f"features.path: there is no file {path}")
    if file.suffix == ".npz":
        arrays = read_arrays(file, "features", "files")
        names = [*(data.labels.names or []), *(data.dataset.test_names or [])]
        place = {str(name): row for row, name in enumerate(arrays["files"])}
        if missing := [name for name in names if name not in place]:
            raise UserError(f"{path} has no features of {missing[0]} ({len(missing):,} of {len(names):,} are missing)")
        if not names:
            raise UserError(f"the samples of this data have no names: features.path takes an .npy of {counts} rows")
        values = arrays["features"][[place[name] for name in names]]
    else:
        values = np.load(file, mmap_mode="r", allow_pickle=False)
    whole = sum(counts.values())
    if values.ndim != 2 or len(values) not in (whole, counts["train"]):
        wanted = f"{counts['train']:,} of the training set and then {counts['test']:,} of the test set"
        raise UserError(f"{path} is {list(values.shape)}, and must be [{whole}, F]: {wanted}, in the order of the data")
    if len(values) < whole and "test" in data.splits:
        raise UserError(
            f"{path} has no features of the test set's {counts['test']:,} samples, after the training set's"
        )
    rows = torch.from_numpy(values.astype(np.float16))[:, None]
    if not torch.isfinite(rows).all():
        raise UserError(f"{path} has values that are not finite numbers within float16 (65,504)")
    for part, start in (("train", 0), ("test", counts["train"])):
        part_rows = rows[start : start + counts[part]]
        data.features[part] = Features(part_rows, torch.arange(len(part_rows)))


def _flips_at_most(view: View) -> bool:
    return all(isinstance(transform, CropFlip) and not transform.padding for transform in view)


def use_features(
    network: PretrainedModel, data: NoisyDataModule, device: torch.device, view: View = (), views: int | None = None
) -> None:
    """Gives ``data`` the features of all its samples, from its cache if they are known.

    Args:
        network: whose backbone computes them.
        data: after ``setup``.
        device: that computes them.
        view: the augmentation: none, flips, of which both are kept, or any other with a number of ``views``.
        views: how many augmented views of each image are kept beside the image as it is.
    """
    kind: Any = views or ("flip" if any(getattr(transform, "flip", False) for transform in view) else 0)
    network = network.to(device).eval()
    weights = network.digest()
    found = {}
    for part in ("train", "test"):
        index = data.samples_of(part)
        described = {
            "weights": weights,
            "network": repr(network.backbone),
            "prepared": asdict(data.preparation),
            "corruption": repr(data.corruption) if data.clean.corrupted else None,
            "views": kind if kind in (0, "flip") else [kind, data.seed, repr([vars(transform) for transform in view])],
            "samples": hashlib.sha256(data.clean.digests(part, index).tobytes()).hexdigest(),
        }
        key = hashlib.sha256(json.dumps(described, default=str).encode()).hexdigest()[:16]
        folder = Path(data.cache_dir).expanduser()
        batches = _batches(network, data, part, index, device, kind)
        rows = _cached(folder / f"features-{part}-{key}.npy", batches, len(index), network.num_features)
        place = torch.full((len(data.clean.tensors[part]),), -1)
        place[torch.from_numpy(index)] = torch.arange(len(index))
        found[part] = Features(rows, place)
    data.features = found  # only now: until then its loaders deal out images


def _cached(path: Path, batches: Iterator[Tensor], count: int, size: int) -> Tensor:
    """The rows in a file, or those of ``batches``, which are then kept in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):  # runs of a sweep want the same
        if not path.is_file():
            make_room(path.parent, path.name.rpartition("-")[0], 2 * count * size, KEPT)
            parts = list(batches)
            with replacing(path) as unfinished, unfinished.open("wb") as file:
                np.save(file, torch.cat(parts).numpy() if parts else np.zeros((0, 1, size), np.float16))
        path.touch()  # marks it as used
        return torch.from_numpy(np.load(path, mmap_mode="c"))


@torch.inference_mode()
def _batches(
    network: PretrainedModel, data: NoisyDataModule, part: str, index: np.ndarray, device: torch.device, kind: int | str
) -> Iterator[Tensor]:
    """float16 ``[B, V, F]`` of the samples ``index``, on the CPU."""
    size = data.eval_batch_size
    if device.type == "cpu":
        size = max(1, PIXELS // data.image_size**2)
    epochs = [data.batches(part, index, size, device)]
    if isinstance(kind, int):
        epochs += [data.batches(part, index, size, device, epoch) for epoch in range(1, kind + 1)]
    with torch.autocast(device.type, torch.float16, enabled=device.type == "cuda"):
        for views in tracked(zip(*epochs, strict=True), "computing features", -(-len(index) // size)):
            images = [view.images for view in views]
            images += [images[0].flip(3)] if kind == "flip" else []
            yield torch.stack([network.features(image) for image in images], dim=1).half().cpu()
