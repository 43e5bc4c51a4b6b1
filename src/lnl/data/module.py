"""The data module: a source in, batches of doubtful labels on the device out."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from lnl.corruption import ImageCorruption, NoCorruption
from lnl.data.batch import Batch
from lnl.data.loader import Loader, View, Workers
from lnl.data.preparation import Batching, Preparation
from lnl.data.reading import CleanData, read
from lnl.data.sampler import WHOLE, EpochSampler, Share
from lnl.data.samples import Samples
from lnl.data.splits import Split, Splitting
from lnl.data.training_set import training_set
from lnl.datasets.images import Streamed
from lnl.datasets.source import Dataset, Source
from lnl.errors import UserError
from lnl.labels import Integers, Labels, Trusted
from lnl.labels.trusted import with_trusted
from lnl.noise import LabelNoise, NoNoise


class NoisyDataModule(pl.LightningDataModule):
    """Any dataset, with training and validation labels that are noisy and test labels that are clean.

    Noise is drawn once over the whole training set, before validation is split off and before any limit: a sample has
    the same noisy label whatever the split, the limits and the training seed. A batch's ``index`` is the sample's
    number in that whole training set.

    A subclass names its source: :attr:`reads`, and :attr:`defaults` of the options.

    Args:
        source: what reads the images and labels; None for one of the class :attr:`reads`, made of ``options``.
        noise: what happens to the labels; none by default.
        corruption: what happens to the images of training, validation and test, once they have their size and
            channels; nothing by default. Noise that depends on the images sees them as they were.
        data_dir: where the dataset's files are or will be downloaded to.
        cache_dir: where decoded images are kept.
        num_classes: K; None for as many as the data has.
        class_map: the dataset's customary map for asymmetric noise (read by ``conf/noise/asymmetric.yaml``).
        seed: seeds order and augmentation, with the epoch.
        augment: transforms of a training image (:mod:`lnl.augment`): the view ``weak``, and all that most methods take.
        views: further views by name, for methods that take them.
        trusting: training sees the right labels of trusted samples in place of the given ones.
        contents: what stands for the source's files, if it is known (:attr:`lnl.datasets.source.Source.contents`).
        reader: reads the source; :func:`lnl.data.reading.read_once` shares what it reads.
        options: of the source, :class:`~lnl.data.preparation.Preparation`, :class:`~lnl.data.splits.Splitting` and
            :class:`~lnl.data.preparation.Batching`.

    Attributes (after ``setup``):
        dataset: as it was read: names, remarks, what was skipped.
        classes: names; ``num_classes`` and ``image_size`` are numbers now.
        labels: :class:`~lnl.labels.Labels` of the whole training set. Its truth is for metrics only, and its trusted
            samples are those of the training split.
        test_labels: clean labels of the test set, for metrics only: test batches carry -1 in their place.
        fingerprints: of a user's own data, just before it was read (:mod:`lnl.datasets.contents`); None of benchmarks.
        splits: sample numbers of ``train``, ``val``, ``trusted_test`` (in the training set) and ``test`` (in the test
            set).
        in_streams: ``[N]``, the samples that this process, of several, had from :meth:`endless` in this epoch.
    """

    reads: ClassVar[type[Source] | None] = None
    defaults: ClassVar[Mapping[str, Any]] = {}

    dataset: Dataset
    labels: Labels
    splits: dict[Split, Integers]

    def __init__(
        self,
        source: Source | None = None,
        *,
        noise: LabelNoise | None = None,
        corruption: ImageCorruption | None = None,
        data_dir: str | Path = "data",
        cache_dir: str | Path = "cache",
        num_classes: int | None = None,
        class_map: Any = None,
        seed: int = 0,
        augment: View = (),
        views: Mapping[str, View] | None = None,
        trusting: bool = False,
        contents: Mapping[str, Any] | None = None,
        reader: Callable[[Source, Preparation, ImageCorruption], CleanData] = read,
        **options: Any,
    ) -> None:
        super().__init__()
        given = {**self.defaults, **options}
        kinds = [kind for kind in self.options_of() if source is None or kind is not self.reads]
        if unknown := given.keys() - {name for kind in kinds for name in _names(kind)}:
            raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument '{min(unknown)}'")
        given |= {"data_dir": data_dir, "cache_dir": cache_dir}
        made = {kind: kind(**{name: given[name] for name in _names(kind) if name in given}) for kind in kinds}
        if source is None:
            if self.reads is None:
                raise TypeError(f"{type(self).__name__}.__init__() needs a source")
            source = made[self.reads]
        self.source = source if contents is None else source.knowing(contents)
        self.preparation: Preparation = made[Preparation]
        self.splitting: Splitting = made[Splitting]
        batching: Batching = made[Batching]
        self.noise, self.corruption = noise or NoNoise(), corruption or NoCorruption()
        self.data_dir, self.trusting, self.seed, self._reader = Path(data_dir).expanduser(), trusting, seed, reader
        self.num_classes: Any = num_classes  # a number once the data is read
        self.mean, self.std, self.normalize = self.preparation.mean, self.preparation.std, self.preparation.normalize
        self.batch_size, self.eval_batch_size = batching.batch_size, batching.eval_batch_size
        self.device_cache, self.num_workers = batching.device_cache, batching.num_workers
        self.views = {"weak": augment, **(views or {})}
        self._clean: CleanData | None = None
        self._images: dict[str, Tensor | Streamed] = {}
        self._labels: dict[str, Tensor] = {}
        self._on_device: dict[tuple[int, torch.device], Tensor] = {}

    @classmethod
    def options_of(cls) -> list[type]:
        """The classes whose parameters ``options`` are."""
        return [*([cls.reads] if cls.reads else []), Preparation, Splitting, Batching]

    def prepare_data(self) -> None:
        self.source.prepare()

    def setup(self, stage: str | None = None) -> None:
        """Reads the data and draws the noise, once."""
        if self._images:
            return
        contents = self.source.contents  # before it is read
        clean = self._reader(self.source, self.preparation, self.corruption)
        dataset = clean.original
        self._check(dataset)
        labels = dataset.labels
        self.fingerprints = None if labels.noise is None else contents
        if len(labels):  # data that is only for testing has no trusted samples
            labels = with_trusted(labels, self.splitting.trusted, self.splitting.split_seed)
        self.splits = self.splitting(labels, dataset.test_labels, dataset.val, dataset.pictures)
        self._trusted = labels.trusted
        labels = replace(labels, trusted=labels.trusted.among(self.splits.get("train", np.arange(0))))
        if self.trusting and not len(labels.trusted):
            raise UserError(f"this method needs samples with trusted labels: {self.source.how_to_trust}")
        # From the images as they are, so that instance noise does not depend on the size a model wants.
        labels = self.noise(labels, dataset.images, self.data_dir)
        self.labels = labels.trusting() if self.trusting else labels
        self.classes, self.num_classes = list(labels.classes), len(labels.classes)
        self.preparation = replace(self.preparation, image_size=clean.form.image_size)
        self.dataset, self.test_labels, self._clean = dataset, dataset.test_labels, clean
        self._images = clean.tensors
        self.in_streams = torch.zeros(len(labels), dtype=torch.bool)
        self._labels = {
            "train": torch.from_numpy(self.labels.given.copy()),
            "test": torch.full((len(dataset.test_labels),), -1),
            "trusted_test": torch.full((len(labels),), -1),
        }

    def _check(self, dataset: Dataset) -> None:
        count = len(dataset.labels.classes)
        if self.num_classes not in (None, count):
            raise UserError(f"data.num_classes is {self.num_classes}, but the labels have {count} classes")
        if not isinstance(dataset.images, Streamed):
            return
        fitting = "images that fit on the disk: raise data.cache_limit_gb, or set a smaller data.image_size"
        for name, asked in (
            (f"noise={self.noise.kind}", self.noise.uses_images),
            ("corruption", not isinstance(self.corruption, NoCorruption)),
            ("data.device_cache=true", self.device_cache is True),
        ):
            if asked:
                raise UserError(f"{name} needs {fitting}.")

    @property
    def image_size(self) -> Any:
        """Side of the images in pixels; a number once the data is read."""
        return self.preparation.image_size

    @property
    def channels(self) -> int:
        return self.preparation.channels

    def samples(self) -> Samples:
        """What a method may know of the training samples."""
        assert self.labels.noise is not None
        index, said = torch.from_numpy(self.splits["train"]), torch.from_numpy(self.labels.noise.labels)
        given = torch.full((len(said),), -1)
        given[index] = said[index]
        trusted = (torch.from_numpy(array) for array in (self.trusted.index, self.trusted.labels))
        return Samples(len(given), self.num_classes, index, given, *trusted)

    @property
    def given(self) -> Integers:
        """The labels ``[N]`` that training sees, in the training set's order."""
        return self.labels.given

    @property
    def trusted(self) -> Trusted:
        """The trusted samples of the training split."""
        return self.labels.trusted

    def right_labels(self, split: Split) -> Integers:
        """True labels of ``test`` or ``trusted_test``, in the split's order: for evaluation only."""
        return (
            self.test_labels[self.splits["test"]] if split == "test" else self._trusted.among(self.splits[split]).labels
        )

    def images(self, split: Split, places: Any = slice(None)) -> np.ndarray:
        """The images of a split as they are, uint8 ``[n, H, W, C]``; all of them, or those at ``places`` in it."""
        images = self._images["test" if split == "test" else "train"]
        return (images.numpy() if isinstance(images, Tensor) else images)[self.splits[split][places]]

    def digests(self, split: Split) -> NDArray[np.uint64]:
        """Of each image of a split, at the size and with the channels that models see, before any corruption."""
        assert self._clean is not None, "setup comes first"
        corrupted = not isinstance(self.corruption, NoCorruption)
        return self._clean.digests("test" if split == "test" else "train", corrupted)[self.splits[split]]

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


def _names(kind: type) -> Sequence[str]:
    """Of the parameters that a class is made of."""
    return list(inspect.signature(kind).parameters)
