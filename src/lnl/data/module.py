"""The data module: clean images in, batches of doubtful labels on the device out."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from lnl.corruption import ImageCorruption, NoCorruption
from lnl.data.batch import Batch
from lnl.data.images import Dataset, Fit, Given, LabelledImages, Streamed, digests, natural_size
from lnl.data.loader import Loader, Normalize, View, Workers
from lnl.data.read_once import CleanData
from lnl.data.sampler import WHOLE, EpochSampler, Share
from lnl.data.samples import Samples
from lnl.data.splits import Split, Splitting
from lnl.data.training_set import training_set
from lnl.data.trusted import Trusted, read_trusted
from lnl.errors import UserError
from lnl.noise import LabelNoise, NoisyLabels, NoNoise, of_given


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
        num_classes, channels, image_size: K, 1 or 3, and the side in pixels that images are brought to; null for as
            many classes as the data has, and what :func:`lnl.data.images.natural_size` says.
        fit: how they are brought there, ``resize``, ``center_crop`` or ``center_square``.
        mean, std: per channel, for pixels scaled to [0, 1].
        normalize: ``dataset``, by ``mean`` and ``std``, or ``per_image`` (:func:`lnl.data.loader.whiten`).
        batch_size, eval_batch_size: samples in a step, of all processes together, and in a step of evaluation.
        val_fraction: share of the training set that is held out, at random, to choose the epoch by noisy labels.
        split_seed: seeds that split and the limits below.
        subset, val_subset, test_subset: keep this many samples of each split, null for all. ``subset`` counts trusted
            samples and keeps all of them; with ``folds``, it limits what is cut into folds, and they come on top.
        subset_mode: ``stratified`` by true class (as one would build a smaller dataset), or ``first``.
        trusted: samples whose label is known to be right (:func:`lnl.data.trusted.read_trusted`).
        trusted_test: hold so many of them out, as a second test split ``trusted_test``.
        folds, fold: validate on the fold-th (from 1) of so many equal parts in place of ``val_fraction``.
        augment: transforms of a training image (:mod:`lnl.augment`): the view ``weak``, and all that most methods take.
        views: further views by name, for methods that take them.
        device_cache: keep images on the device as uint8: true, false, or auto (where they take at most half of what
            is free). If not, ``num_workers`` processes
            read them (0: this one does).
        class_map: the dataset's customary map for asymmetric noise (read by ``conf/noise/asymmetric.yaml``).
        seed: seeds order and augmentation, with the epoch.

    Attributes (after ``setup``):
        classes: names; ``num_classes`` and ``image_size`` are numbers now.
        labels: :class:`~lnl.noise.NoisyLabels` of the whole training set; clean labels in it are for metrics alone, and
            not there where nobody knows them.
        files: name of each training sample (:class:`~lnl.data.images.Given`): its file, relative to the data's folder,
            or its place in arrays; None of benchmark sets. ``test_files`` likewise.
        picture_numbers: ``pictures`` of :class:`~lnl.data.images.Given`: which training samples are copies.
        test_drawn: the test set was drawn from own data, which names none: other samples would be drawn of other data.
        fingerprints: of own data just before it was read (:func:`lnl.runs.fingerprint.fingerprints`).
        remarks: what the user is to hear of the data; the first line of each on the terminal, the rest in the log.
        skipped: name and reason of each sample that was left out.
        test_labels: clean labels of the test set, for metrics alone: test batches carry -1 in their place.
        splits: sample numbers of ``train``, ``val``, ``trusted_test`` (in the training set) and ``test`` (in the test
            set).
        trusted: :class:`~lnl.data.trusted.Trusted` samples of the training split.
        in_streams: ``[N]``, the samples that this process, of several, had from :meth:`endless` in this epoch.
    """

    def __init__(
        self,
        *,
        noise: LabelNoise | None = None,
        corruption: ImageCorruption | None = None,
        data_dir: str | Path = "data",
        cache_dir: str | Path = "cache",
        num_classes: int | None,
        channels: int,
        image_size: int | None,
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
        trusted: int | str | None = None,
        trusted_test: int = 0,
        folds: int | None = None,
        fold: int | None = None,
        augment: View = (),
        views: Mapping[str, View] | None = None,
        device_cache: bool | Literal["auto"] = "auto",
        num_workers: int = 2,
        class_map: Any = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_choice("fit", fit, get_args(Fit))
        check_choice("normalize", normalize, get_args(Normalize))
        check_choice("device_cache", device_cache, (True, False, "auto"))
        if not len(mean) == len(std) == channels:
            raise ValueError(
                f"data.mean and data.std need one value for each of {channels} channels, got {mean} and {std}"
            )
        check_positive(batch_size=batch_size, eval_batch_size=eval_batch_size, image_size=image_size)
        self.noise, self.corruption = noise or NoNoise(), corruption or NoCorruption()
        self.data_dir, self.cache_dir = Path(data_dir).expanduser(), Path(cache_dir).expanduser()
        # Both are numbers once the data is read, which is before anybody else asks.
        self.num_classes: Any = num_classes
        self.image_size: Any = image_size
        self.channels = channels
        self.fit, self.normalize = fit, normalize
        self.mean, self.std = list(mean), list(std)
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.seed, self.trusted_spec = seed, trusted
        limits: dict[Split, int | None] = {"train": subset, "val": val_subset, "test": test_subset}
        self.splitting = Splitting(val_fraction, split_seed, limits, subset_mode, trusted_test, folds, fold)
        self.views = {"weak": augment, **(views or {})}
        self.device_cache, self.num_workers = device_cache, num_workers
        self.show_progress = False  # of reading
        self.clean: CleanData | None = None
        self.fingerprints: dict[str, str] | None = None
        self._images: dict[str, Tensor | Streamed] = {}
        self._labels: dict[str, Tensor] = {}
        self._on_device: dict[tuple[int, torch.device], Tensor] = {}

    @abstractmethod
    def load(self) -> Dataset:
        """Images and true labels, from files that :meth:`prepare_data` made sure are there.

        What is read may depend on the size of images and on arguments of the dataset's own, but on no split and no
        seed: several runs share it (:mod:`lnl.data.read_once`).
        """

    def read(self) -> CleanData:
        """The data before there is any noise: as it is, and as models see it, brought to its size, then corrupted."""
        dataset = self.load()
        size = self.image_size or natural_size(dataset.train.images.shape)
        train, test = (part.fit_to(size, self.channels, self.fit) for part in (dataset.train, dataset.test))
        if not isinstance(train.images, Streamed) and not isinstance(test.images, Streamed):
            self.corruption.fit(train.images if len(train) else test.images)
            train = LabelledImages(self.corruption(train.images, "train"), train.labels)
            test = LabelledImages(self.corruption(test.images, "test"), test.labels)
        return CleanData(dataset, train, test)

    def setup(self, stage: str | None = None) -> None:
        """Reads the data, unless somebody has (:attr:`clean`), and draws the noise, once."""
        if self._images:
            return
        clean = self.clean = self.clean or self.read()
        dataset, train, test = clean.original, clean.train, clean.test
        self.classes = list(dataset.classes)
        self.num_classes = self.num_classes or len(self.classes)
        if len(self.classes) != self.num_classes:
            raise UserError(f"data.num_classes is {self.num_classes}, but the labels have {len(self.classes)} classes")
        given, self.image_size = dataset.given, train.images.shape[1]
        known = given or Given()
        self.files, self.test_files, self.picture_numbers = known.files, known.test_files, known.pictures
        self.remarks, self.skipped, self.test_drawn = known.remarks, known.skipped, known.test_drawn
        self._check_streamed(dataset.train.images)
        # From the images as they are, so that instance noise does not depend on the size a model wants.
        images: Any = dataset.train.images
        self.noise.files, self.noise.data_dir = self.files, self.data_dir
        self.labels: NoisyLabels = self.noise(dataset.train.labels, images, self.classes)
        if given is not None:
            self.labels = of_given(self.labels, given.truth, self.noise.drawn, self.num_classes)
        self.test_labels = test.labels
        spec = self.trusted_spec if len(train) else None  # data that is only for testing has none
        trusted = read_trusted(spec, train.labels, self.classes, self.splitting.seed, given)
        self.splits = self.splitting(train.labels, test.labels, trusted, given)
        trained = np.isin(trusted.index, self.splits.get("train", []))
        self.trusted = Trusted(trusted.index[trained], trusted.labels[trained])
        tested = np.isin(trusted.index, self.splits.get("trusted_test", []))
        self._trusted_test_labels = trusted.labels[tested]
        self.in_streams = torch.zeros(len(train), dtype=torch.bool)
        self._images = clean.images
        self._labels = {
            "train": torch.from_numpy(self.labels.noisy.copy()),
            "test": torch.full((len(test),), -1),
            "trusted_test": torch.full((len(train),), -1),
        }

    def _check_streamed(self, images: Any) -> None:
        if not isinstance(images, Streamed):
            return
        fitting = "images that fit on the disk: raise data.cache_limit_gb, or set a smaller data.image_size"
        for name, asked in (
            (f"noise={self.noise.kind}", self.noise.uses_images),
            ("corruption", not isinstance(self.corruption, NoCorruption)),
            ("data.device_cache=true", self.device_cache is True),
        ):
            if asked:
                raise UserError(f"{name} needs {fitting}.")

    def trust(self) -> None:
        """Gives the trusted training samples their right labels: for methods that declare it (``uses_trusted``)."""
        if not len(self.trusted):
            raise UserError("this method needs samples with trusted labels: set data.trusted, e.g. to 1000 or a CSV.")
        self._labels["train"][self.trusted.index] = torch.from_numpy(self.trusted.labels)
        self._on_device.clear()

    @property
    def given(self) -> np.ndarray:
        """The labels ``[N]`` that training sees, in the training set's order."""
        return self._labels["train"].numpy()

    def samples(self) -> Samples:
        """What a method may know of the training samples."""
        index = torch.from_numpy(self.splits["train"])
        given = torch.full((len(self.labels.noisy),), -1)
        given[index] = torch.from_numpy(self.labels.noisy)[index]
        trusted = (torch.from_numpy(array) for array in (self.trusted.index, self.trusted.labels))
        return Samples(len(given), self.num_classes, index, given, *trusted)

    def right_labels(self, split: Split) -> np.ndarray:
        """True labels of ``test`` or ``trusted_test``, in the split's order: for evaluation alone."""
        return self.test_labels[self.splits["test"]] if split == "test" else self._trusted_test_labels

    def images(self, split: Split, places: Any = slice(None)) -> np.ndarray:
        """The images of a split as they are, uint8 ``[n, H, W, C]``; all of them, or those at ``places`` in it."""
        images = self._images["test" if split == "test" else "train"]
        return (images.numpy() if isinstance(images, Tensor) else images)[self.splits[split][places]]

    def digests(self, split: Split) -> NDArray[np.uint64]:
        """Of each image of a split, at the size and with the channels that models see, before any corruption."""
        assert self.clean is not None, "setup comes first"
        name = "test" if split == "test" else "train"
        known = self.clean.digests
        if name not in known:
            whole: LabelledImages = getattr(self.clean, name)
            if not isinstance(self.corruption, NoCorruption):
                original: LabelledImages = getattr(self.clean.original, name)
                writable = LabelledImages(np.array(original.images), original.labels)  # as torch wants it
                whole = writable.fit_to(self.image_size, self.channels, self.fit)
            known[name] = digests(whole.images)
        return known[name][self.splits[split]]

    def loader(self, split: Split, device: torch.device, share: Share = WHOLE) -> Loader:
        """Batches of a split on ``device``, in its order and not augmented; of several processes, the ``share`` of one.

        Each process has batches of the full size.
        """
        index = torch.from_numpy(self.splits[split])
        sampler = EpochSampler(index, self.seed, False, self.eval_batch_size * share.processes, share)
        return self._loader(split, sampler, device)

    def training_loader(
        self,
        device: torch.device,
        epoch: int = 0,
        chosen: Tensor | None = None,
        views: Sequence[str] = ("weak",),
        share: Share = WHOLE,
    ) -> Loader:
        """Shuffled, augmented batches of one epoch, of the training samples ``chosen`` or of all.

        Args:
            device: that the batches are on.
            epoch: from 0.
            chosen: numbers of samples, int64 ``[n]``, or None.
            views: their names.
            share: of this process, which has its part of each batch.
        """
        index = torch.from_numpy(self.splits["train"]) if chosen is None else chosen
        sampler = EpochSampler(index, self.seed, True, self.batch_size, share)
        sampler.set_epoch(epoch)
        return self._loader("train", sampler, device, views)

    def endless(
        self,
        chosen: Tensor,
        epoch: int,
        stream: int,
        batch_size: int,
        views: Sequence[str],
        device: torch.device,
        share: Share = WHOLE,
    ) -> Iterator[Batch]:
        """Shuffled, augmented batches of the training samples ``chosen``, for ever: pass after pass over them.

        Args:
            chosen: numbers of samples, int64 ``[n]``.
            epoch, stream: seed the order and the augmentation, with the data's own seed: streams of one epoch that
                have different numbers differ, and a resumed run has the same.
            batch_size: samples of a step, of all processes together.
            views, device, share: as of :meth:`training_loader`.

        Raises:
            UserError: if there are fewer samples than processes.
        """
        if len(chosen) < share.processes:
            raise UserError(f"a stream of {len(chosen)} samples is too small for {share.processes} devices.")
        for lap in count():
            sampler = EpochSampler(chosen, (self.seed, 1 + stream, lap), True, batch_size, share)
            sampler.set_epoch(epoch)
            for batch in self._loader("train", sampler, device, views):
                if share.processes > 1:
                    self.in_streams = self.in_streams.to(device).index_fill_(0, batch.index, True)
                yield batch

    def _loader(
        self, split: Split, sampler: EpochSampler, device: torch.device, views: Sequence[str] | None = None
    ) -> Loader:
        images, workers = self._images["test" if split == "test" else "train"], None
        if isinstance(images, Tensor) and self._fits(device):
            images = self._moved(images, device)
        else:
            workers = Workers(self.num_workers, pin_memory=device.type == "cuda")
        return Loader(
            images,
            self._moved(self._labels[split if split in ("test", "trusted_test") else "train"], device),
            sampler,
            mean=self.mean,
            std=self.std,
            normalize=self.normalize,
            views=[()] if views is None else [self.views[name] for name in views],
            workers=workers,
        )

    def _moved(self, tensor: Tensor, device: torch.device) -> Tensor:
        key = id(tensor), device
        if key not in self._on_device:
            self._on_device[key] = tensor.to(device)
        return self._on_device[key]

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

    @property
    def share(self) -> Share:
        """This process's, of those that train together."""
        return Share(self.trainer.global_rank, self.trainer.world_size) if self.trainer else WHOLE

    def train_dataloader(self) -> Loader:
        if not self.trainer:
            return self.training_loader(self._device)
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        # Resuming, Lightning does this only after it has asked for the loader, and would ask for it a second time.
        progress.completed = epoch = progress.processed
        views = getattr(self.trainer.lightning_module, "views", ("weak",))
        self.in_streams.fill_(False)
        chosen = training_set(self.trainer, epoch, self.seed, self.splits["train"])
        return self.training_loader(self._device, epoch, chosen, views, self.share)

    def val_dataloader(self) -> Loader:
        return self.loader("val", self._device, share=self.share)

    def test_dataloader(self) -> Loader:
        return self.loader("test", self._device)


def check_choice(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """Raises ValueError unless ``data.<name>`` is one of those allowed."""
    if value not in allowed:
        *others, last = (str(choice).lower() for choice in allowed)
        raise ValueError(f"data.{name} must be {', '.join(others)} or {last}, got '{value}'")


def check_positive(**counts: int | None) -> None:
    """Raises ValueError unless all of ``data.<name>`` that are not null are at least 1."""
    for name, value in counts.items():
        if value is not None and value < 1:
            raise ValueError(f"data.{name} must be at least 1, got {value}")
