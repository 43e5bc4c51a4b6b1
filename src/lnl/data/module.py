"""The data module: clean images in, batches of doubtful labels on the device out."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lnl.corruption import ImageCorruption, NoCorruption
from lnl.data.augment import Augmentation
from lnl.data.batch import Batch
from lnl.data.images import Dataset, Fit, LabelledImages, stratified_choice
from lnl.data.loader import DeviceLoader, EpochSampler, Normalize, worker_loader
from lnl.errors import UserError
from lnl.noise import LabelNoise, NoisyLabels, NoNoise

Split = Literal["train", "val", "test"]
Loader = DeviceLoader | DataLoader[Batch]


class NoisyDataModule(pl.LightningDataModule, ABC):
    """A dataset whose training and validation labels are noisy and whose test labels are clean.

    Noise is drawn once over the whole training set, from its clean labels, before validation is split off and before
    any limit: a sample has the same noisy label whatever the split, the limits and the training seed. A batch's
    ``index`` is the sample's number in that whole training set.

    A dataset is a subclass with :meth:`load` (and :meth:`prepare_data` where something is to be fetched).

    Args:
        noise: what happens to the labels; none by default.
        corruption: what happens to the images of training, validation and test, once they have their size and
            channels; nothing by default. Noise that depends on the images sees them as they were.
        data_dir: where the dataset's files are or will be downloaded to.
        cache_dir: where decoded images are kept.
        num_classes, channels, image_size: K, 1 or 3, and the side in pixels that images are brought to.
        fit: how they are brought there, ``resize`` or ``center_crop``.
        mean, std: per channel, for pixels scaled to [0, 1].
        normalize: ``dataset``, by ``mean`` and ``std``, or ``per_image`` (:func:`lnl.data.loader.whiten`).
        batch_size, eval_batch_size: samples in a step, and in a step of evaluation.
        val_fraction: share of the training set that is held out, at random, to choose the epoch by noisy labels.
        split_seed: seeds that split and the limits below.
        subset, val_subset, test_subset: keep this many samples of each split, null for all.
        subset_mode: ``stratified`` by true class (as one would build a smaller dataset), or ``first``.
        augment: ``none``, ``flip``, ``crop`` or ``crop_flip``; ``crop_padding`` in pixels.
        views: independently augmented views of each training image.
        device_cache: keep images on the device as uint8: true, false, or auto (where they take at most half of what
            is free). If not, ``num_workers`` processes
            transform them (with 0, in this process, random transforms draw from the global generator).
        class_map: the dataset's customary map for asymmetric noise (read by ``conf/noise/asymmetric.yaml``).
        seed: seeds order and augmentation, with the epoch.

    Attributes (after ``setup``):
        classes: names.
        labels: :class:`~lnl.noise.NoisyLabels` of the whole training set; clean labels in it are for metrics alone.
        test_labels: clean labels of the test set, for metrics alone: test batches carry -1 in their place.
        splits: sample numbers of ``train``, ``val`` (in the training set) and ``test`` (in the test set).
    """

    def __init__(
        self,
        *,
        noise: LabelNoise | None = None,
        corruption: ImageCorruption | None = None,
        data_dir: str | Path = "data",
        cache_dir: str | Path = "cache",
        num_classes: int,
        channels: int,
        image_size: int,
        fit: Fit = "resize",
        mean: list[float],
        std: list[float],
        normalize: Normalize = "dataset",
        batch_size: int = 256,
        eval_batch_size: int = 1000,
        val_fraction: float = 0.2,
        split_seed: int = 0,
        subset: int | None = None,
        val_subset: int | None = None,
        test_subset: int | None = None,
        subset_mode: Literal["stratified", "first"] = "stratified",
        augment: str = "none",
        crop_padding: int = 4,
        views: int = 1,
        device_cache: bool | Literal["auto"] = "auto",
        num_workers: int = 2,
        class_map: Any = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 < val_fraction < 1:
            raise ValueError(f"data.val_fraction must be between 0 and 1, got {val_fraction}")
        if subset_mode not in ("stratified", "first"):
            raise ValueError(f"data.subset_mode must be stratified or first, got '{subset_mode}'")
        if fit not in ("resize", "center_crop"):
            raise ValueError(f"data.fit must be resize or center_crop, got '{fit}'")
        if normalize not in ("dataset", "per_image"):
            raise ValueError(f"data.normalize must be dataset or per_image, got '{normalize}'")
        if device_cache not in (True, False, "auto"):
            raise ValueError(f"data.device_cache must be true, false or auto, got '{device_cache}'")
        if not len(mean) == len(std) == channels:
            raise ValueError(
                f"data.mean and data.std need one value for each of {channels} channels, got {mean} and {std}"
            )
        counts = {
            "batch_size": batch_size,
            "eval_batch_size": eval_batch_size,
            "views": views,
            "image_size": image_size,
        }
        for name, value in counts.items():
            if value < 1:
                raise ValueError(f"data.{name} must be at least 1, got {value}")
        self.noise, self.corruption = noise or NoNoise(), corruption or NoCorruption()
        self.data_dir, self.cache_dir = Path(data_dir).expanduser(), Path(cache_dir).expanduser()
        self.num_classes, self.channels, self.image_size = num_classes, channels, image_size
        self.fit, self.normalize = fit, normalize
        self.mean, self.std = list(mean), list(std)
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.val_fraction, self.split_seed, self.seed = val_fraction, split_seed, seed
        self.limits: dict[Split, int | None] = {"train": subset, "val": val_subset, "test": test_subset}
        self.subset_mode = subset_mode
        self.augmentation, self.views = Augmentation.named(augment, crop_padding), views
        self.device_cache, self.num_workers = device_cache, num_workers
        self._images: dict[str, Tensor] = {}
        self._labels: dict[str, Tensor] = {}
        self._on_device: dict[tuple[str, torch.device], tuple[Tensor, Tensor]] = {}

    @abstractmethod
    def load(self) -> Dataset:
        """Images and true labels, from files that :meth:`prepare_data` made sure are there."""

    def setup(self, stage: str | None = None) -> None:
        """Reads the data and draws the noise, once."""
        if self._images:
            return
        dataset = self.load()
        train, test = self._prepare(dataset)
        self.classes = list(dataset.classes)
        if len(self.classes) != self.num_classes:
            raise UserError(f"data.num_classes is {self.num_classes}, but the labels have {len(self.classes)} classes")
        # From the images as they are, so that instance noise does not depend on the size a model wants.
        self.labels: NoisyLabels = self.noise(dataset.train.labels, dataset.train.images, self.classes)
        self.test_labels = test.labels
        self.splits = self._split(train.labels, test.labels)
        self._images = {"train": torch.from_numpy(train.images), "test": torch.from_numpy(test.images)}
        self._labels = {"train": torch.from_numpy(self.labels.noisy), "test": torch.full((len(test),), -1)}

    def _prepare(self, dataset: Dataset) -> tuple[LabelledImages, LabelledImages]:
        """Training and test images as models see them: brought to their size, then corrupted."""
        train, test = (part.fit_to(self.image_size, self.channels, self.fit) for part in (dataset.train, dataset.test))
        self.corruption.fit(train.images)
        return (
            LabelledImages(self.corruption(train.images, "train"), train.labels),
            LabelledImages(self.corruption(test.images, "test"), test.labels),
        )

    def _split(self, labels: np.ndarray, test_labels: np.ndarray) -> dict[Split, np.ndarray]:
        order = np.random.default_rng(self.split_seed).permutation(len(labels))
        count = round(self.val_fraction * len(labels))
        parts: dict[Split, np.ndarray] = {
            "train": np.sort(order[count:]),
            "val": np.sort(order[:count]),
            "test": np.arange(len(test_labels)),
        }
        for split, index in parts.items():
            truth = (test_labels if split == "test" else labels)[index]
            parts[split] = index[self._keep(split, truth)]
            if not len(parts[split]):
                raise UserError(f"data.val_fraction={self.val_fraction} leaves no samples for {split}")
        return parts

    def _keep(self, split: Split, truth: np.ndarray) -> np.ndarray:
        limit = self.limits[split]
        if limit is None:
            return np.arange(len(truth))
        if not 0 < limit <= len(truth):
            name = "data.subset" if split == "train" else f"data.{split}_subset"
            raise UserError(f"{name} must be between 1 and the {len(truth)} samples there are, got {limit}")
        if self.subset_mode == "first":
            return np.arange(limit)
        return stratified_choice(truth, limit, np.random.default_rng([self.split_seed, *split.encode()]))

    def images(self, split: Split) -> np.ndarray:
        """The images of a split as they are, uint8 ``[n, H, W, C]``."""
        return self._images["test" if split == "test" else "train"].numpy()[self.splits[split]]

    def loader(self, split: Split, device: torch.device, shuffle: bool = False) -> Loader:
        """Batches of a split on ``device``. Shuffled means for training: only then are images augmented."""
        source = "test" if split == "test" else "train"
        options: dict[str, Any] = {
            "batch_size": self.batch_size if shuffle else self.eval_batch_size,
            "mean": self.mean,
            "std": self.std,
            "normalize": self.normalize,
            "shuffle": shuffle,
            "seed": self.seed,
        }
        if shuffle:
            options |= {"augmentation": self.augmentation, "views": self.views}
        index = torch.from_numpy(self.splits[split])
        if self._fits(device):
            key = source, device
            if key not in self._on_device:
                self._on_device[key] = self._images[source].to(device), self._labels[source].to(device)
            return DeviceLoader(*self._on_device[key], index, **options)
        return worker_loader(
            self._images[source],
            self._labels[source],
            index,
            num_workers=self.num_workers,
            pin_memory=device.type == "cuda",
            **options,
        )

    def _fits(self, device: torch.device) -> bool:
        if self.device_cache != "auto":
            return self.device_cache
        if device.type != "cuda" or self._on_device:
            return True  # in memory already
        free, _ = torch.cuda.mem_get_info(device)
        return sum(images.nbytes for images in self._images.values()) <= free / 2

    @property
    def _device(self) -> torch.device:
        return self.trainer.strategy.root_device if self.trainer else torch.device("cpu")

    def train_dataloader(self) -> Loader:
        loader = self.loader("train", self._device, shuffle=True)
        # Resuming, Lightning starts the workers of the first epoch before it says which epoch that is.
        if self.trainer and isinstance(loader.sampler, EpochSampler):
            loader.sampler.set_epoch(self.trainer.fit_loop.epoch_progress.current.processed)  # type: ignore[attr-defined]
        return loader

    def val_dataloader(self) -> Loader:
        return self.loader("val", self._device)

    def test_dataloader(self) -> Loader:
        return self.loader("test", self._device)
