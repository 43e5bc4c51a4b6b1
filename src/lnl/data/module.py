"""The data module: a source in, batches of doubtful labels on the device out."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from lnl.corruption import ImageCorruption, NoCorruption
from lnl.data.batch import Batch
from lnl.data.features import FeatureLoader, Features
from lnl.data.loader import Loader, View
from lnl.data.preparation import Batching, Preparation, batch_size_for
from lnl.data.reading import CleanData, read
from lnl.data.sampler import WHOLE, EpochSampler, Share, training_set
from lnl.data.samples import Samples
from lnl.data.streams import Stream
from lnl.data.workers import Workers
from lnl.datasets.images import Streamed
from lnl.datasets.source import Dataset, Source
from lnl.datasets.splits import Split, Splitting
from lnl.errors import UserError
from lnl.labels import Integers
from lnl.labels.files import check_trusted, with_trusted
from lnl.noise import LabelNoise, NoNoise


class NoisyDataModule(pl.LightningDataModule):
    """A dataset with noisy labels for training and validation, and clean labels for testing.

    Noise is drawn once for the whole training set, before validation samples are split off: the noisy label of a sample
    depends neither on the split and its limits nor on the training seed. A batch's ``index`` is the sample's number in
    the whole training set. A subclass names its source, :attr:`reads`, and the :attr:`defaults` of the options.

    Args:
        source: reads the images and labels; None for a :attr:`reads` made from ``options``.
        noise: of the labels; none by default. Instance-dependent noise sees the original images.
        corruption: of the images of all splits, after resizing; none by default.
        data_dir, cache_dir: folders of the dataset's files, downloaded if missing, and of decoded images.
        num_classes: K; None for the number found in the data.
        class_map: the customary map for asymmetric noise (read by ``conf/noise/asymmetric.yaml``).
        seed: of order and augmentation, together with the epoch.
        augment, views: transforms of a training image (:mod:`lnl.augment`) for the view ``weak``, and for others.
        trusting: whether training replaces the given labels of trusted samples by the right ones.
        contents: :attr:`lnl.datasets.source.Source.contents`, if already known.
        reader: reads the source; :func:`lnl.data.reading.read_once` shares the data among runs.
        options: of the source, :class:`~lnl.data.preparation.Preparation`, :class:`~lnl.datasets.splits.Splitting` and
            :class:`~lnl.data.preparation.Batching`.

    Attributes (after ``setup``):
        dataset: the :class:`~lnl.datasets.source.Dataset` that was read, with ``test_labels`` for metrics only: test
            batches carry -1 instead.
        classes: names; ``num_classes``, ``image_size`` and ``batch_size`` are numbers now.
        labels: :class:`~lnl.labels.Labels` of the whole training set. Their truth is for metrics only; trusted samples
            outside the training split are left out. ``given`` and ``trusted`` are attributes of the module as well.
        fingerprints: of user data, just before it was read (:mod:`lnl.datasets.contents`); None of benchmarks.
        splits: sample numbers of ``train``, ``val`` and ``trusted_test`` in the training set, ``test`` in the test set.
        features: of the samples of ``train`` and ``test``, which loaders deal out in place of images; empty for images.
        in_streams: bool ``[N]``, the samples that :meth:`endless` gave this process (of several) in this epoch.
        chosen: what :func:`~lnl.data.sampler.training_set` returned for this epoch.
        start: the number of the first step of the next epoch of training that is asked for: not 0, and its ``chosen``
            known, if it was begun before the run was stopped.
    """

    reads: ClassVar[type[Source] | None] = None
    defaults: ClassVar[Mapping[str, Any]] = {}

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
        names = {kind: list(inspect.signature(kind).parameters) for kind in kinds}
        if unknown := given.keys() - set(chain(*names.values())):
            raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument '{min(unknown)}'")
        given |= {"data_dir": data_dir, "cache_dir": cache_dir}
        made: dict[Any, Any] = {
            kind: kind(**{name: given[name] for name in names[kind] if name in given}) for kind in kinds
        }
        source = source or made.get(self.reads)
        if source is None:
            raise TypeError(f"{type(self).__name__}.__init__() needs a source")
        self.source = source if contents is None else source.knowing(contents)
        self.preparation: Preparation = made[Preparation]
        self.splitting: Splitting = made[Splitting]
        self.batching: Batching = made[Batching]
        self.batch_size: Any = self.batching.batch_size
        self.eval_batch_size = self.batching.eval_batch_size
        self.noise, self.corruption = noise or NoNoise(), corruption or NoCorruption()
        self.data_dir, self.cache_dir = Path(data_dir).expanduser(), Path(cache_dir).expanduser()
        self.trusting, self.seed, self._reader = trusting, seed, reader
        self.num_classes: Any = num_classes  # this and both sizes are numbers once the data is read
        self.image_size: Any = self.preparation.image_size
        self.channels = self.preparation.channels
        self.views = {"weak": augment, **(views or {})}
        self.features: dict[str, Features] = {}
        self.chosen: Tensor | None = None
        self.start = 0
        self._on_device: dict[tuple[int, torch.device], Tensor] = {}

    @classmethod
    def options_of(cls) -> list[type]:
        """The classes whose parameters ``options`` are."""
        return [*([cls.reads] if cls.reads else []), Preparation, Splitting, Batching]

    def prepare_data(self) -> None:
        self.source.prepare()

    def setup(self, stage: str | None = None) -> None:
        """Reads the data and draws the noise, once."""
        if hasattr(self, "clean"):
            return
        contents = self.source.contents  # before it is read
        clean = self._reader(self.source, self.preparation, self.corruption)
        dataset = clean.original
        self._check(dataset)
        labels = dataset.labels
        self.fingerprints = None if labels.noise is None or self.source.benchmark else contents
        if len(labels):  # data that is only for testing has no trusted samples
            labels = with_trusted(labels, self.splitting.trusted, self.splitting.split_seed)
        self.splits = self.splitting(labels, dataset.test_labels, dataset.val, dataset.pictures)
        self._trusted = labels.trusted
        labels = replace(labels, trusted=labels.trusted.among(self.splits.get("train", np.arange(0))))
        if self.batch_size == "auto":
            self.batch_size = batch_size_for(self.num_samples)
        if self.trusting:
            check_trusted(labels.trusted)
        # From the images as they are, so that instance noise does not depend on the size a model wants.
        labels = self.noise(labels, dataset.images, self.data_dir)
        if dataset.clean_val and (labels.given != dataset.labels.given)[dataset.val].any():
            raise UserError(
                f"noise={self.noise.kind} would change the labels of the clean validation set: data.val=noisy has none."
            )
        self.labels = labels.trusting() if self.trusting else labels
        self.given, self.trusted = self.labels.given, self.labels.trusted
        self.classes, self.num_classes = list(labels.classes), len(labels.classes)
        self.image_size = clean.form.image_size
        self.preparation = replace(self.preparation, image_size=self.image_size)
        self.dataset, self.test_labels, self.clean = dataset, dataset.test_labels, clean
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
        if dataset.clean_val and self.splitting.folds:
            raise UserError("data.folds would train on the clean validation set: data.val=noisy has none.")
        needing = {
            f"noise={self.noise.kind}": self.noise.uses_images,
            "corruption": not isinstance(self.corruption, NoCorruption),
            "data.device_cache=true": self.batching.device_cache is True,
        }
        if isinstance(dataset.images, Streamed) and (names := [name for name, needs in needing.items() if needs]):
            fitting = "images that fit on the disk: raise data.cache_limit_gb, or set a smaller data.image_size"
            raise UserError(f"{names[0]} needs {fitting}.")

    @property
    def val_best(self) -> str:
        """The name, in results, of the epoch that validation chose: it says by what labels."""
        return "clean_val_best" if self.dataset.clean_val else "noisy_val_best"

    @property
    def num_samples(self) -> int:
        """Samples for training and validation, of which each fold has the same number."""
        return sum(len(self.splits.get(split, ())) for split in ("train", "val"))

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Of one sample in a batch: ``(C, H, W)`` of images, ``(F,)`` of features."""
        if self.features:
            return (self.features["train"].size,)
        return self.channels, self.image_size, self.image_size

    def samples_of(self, part: str) -> Integers:
        """The sorted numbers of the samples of ``train`` or ``test`` that are in any split."""
        splits = [index for split, index in self.splits.items() if (split == "test") == (part == "test")]
        return np.unique(np.concatenate([*splits, np.arange(0)]))

    def samples(self) -> Samples:
        """The training samples as a method may see them."""
        assert self.labels.noise is not None
        index, noisy = torch.from_numpy(self.splits["train"]), torch.from_numpy(self.labels.noise.labels)
        given = torch.full((len(noisy),), -1)
        given[index] = noisy[index]
        trusted = (torch.from_numpy(array) for array in (self.trusted.index, self.trusted.labels))
        return Samples(len(given), self.num_classes, index, given, *trusted)

    def right_labels(self, split: Split) -> Integers:
        """True labels of ``test`` or ``trusted_test``, in the split's order: for evaluation only."""
        index = self.splits[split]
        return self.test_labels[index] if split == "test" else self._trusted.among(index).labels

    def images(self, split: Split, places: Any = slice(None)) -> np.ndarray:
        """The images of a split, or those at ``places`` in it, uint8 ``[n, H, W, C]``, neither augmented nor cut."""
        return self.clean.images["test" if split == "test" else "train"][self.splits[split][places]]

    def digests(self, split: Split) -> NDArray[np.uint64]:
        """``[n]``, a hash of each image of a split, in the form that models see, before any corruption."""
        return self.clean.digests("test" if split == "test" else "train", self.splits[split])

    def loader(self, split: Split, device: torch.device, share: Share = WHOLE) -> Loader | FeatureLoader:
        """Batches of a split on ``device``, in order, not augmented: those of one process, each of the full size."""
        index = torch.from_numpy(self.splits[split])
        sampler = EpochSampler(index, self.seed, False, self.eval_batch_size * share.processes, share)
        return self._loader(split, sampler, device)

    def batches(
        self, part: str, index: Integers, batch_size: int, device: torch.device, epoch: int | None = None
    ) -> Loader | FeatureLoader:
        """Batches of samples ``index`` of ``train`` or ``test`` in this order, augmented as in ``epoch`` if given."""
        sampler = EpochSampler(torch.from_numpy(index), self.seed, False, batch_size)
        sampler.set_epoch(epoch or 0)
        return self._loader(
            "test" if part == "test" else "train", sampler, device, None if epoch is None else ("weak",)
        )

    def training_loader(
        self,
        device: torch.device,
        epoch: int = 0,
        chosen: Tensor | None = None,
        views: Sequence[str] = ("weak",),
        share: Share = WHOLE,
        batch_size: int | None = None,
        seeds: tuple[int, ...] = (),
    ) -> Loader | FeatureLoader:
        """Shuffled, augmented batches of an epoch (from 0) of the samples ``chosen``, int64 ``[n]``; None for all.

        ``batch_size`` counts the samples of a step in all processes; ``seeds`` are added to the data's and the epoch.
        """
        index = torch.from_numpy(self.splits["train"]) if chosen is None else chosen
        sampler = EpochSampler(index, (self.seed, *seeds), True, batch_size or self.batch_size, share)
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
        taken: int = 0,
    ) -> Stream:
        """Endless shuffled, augmented batches: one pass over ``chosen`` after another (:meth:`training_loader`).

        A resumed run has the same, without the first, which were ``taken``. Streams of different numbers differ.

        Raises:
            UserError: if there are fewer samples than processes.
        """
        if len(chosen) < share.processes:
            raise UserError(f"a stream of {len(chosen)} samples is too small for {share.processes} devices.")
        made_from = {"chosen": chosen, "epoch": epoch, "stream": stream, "batch_size": batch_size, "views": list(views)}

        def lap(number: int) -> Loader | FeatureLoader:
            return self.training_loader(device, epoch, chosen, views, share, batch_size, (1 + stream, number))

        def see(batch: Batch) -> None:
            if share.processes > 1:
                self.in_streams = self.in_streams.to(device).index_fill_(0, batch.index, True)

        return Stream(lap, made_from, taken, see)

    def _loader(
        self, split: Split, sampler: EpochSampler, device: torch.device, views: Sequence[str] | None = None
    ) -> Loader | FeatureLoader:
        labels = self._moved(self._labels[split if split in ("test", "trusted_test") else "train"], device)
        if self.features:
            features = self.features["test" if split == "test" else "train"]
            fits = self.batching.device_cache
            if fits == "auto":
                fits = device.type == "cuda" and features.rows.nbytes <= torch.cuda.mem_get_info(device)[0] / 2
            if fits:
                features = replace(features, rows=self._moved(features.rows, device))
            return FeatureLoader(features, labels, sampler, [False] if views is None else [True] * len(views))
        images, workers = self.clean.tensors["test" if split == "test" else "train"], None
        if isinstance(images, Tensor) and self._fits(device):
            images = self._moved(images, device)
        else:
            workers = Workers.of(self.batching.num_workers, sampler.share.processes, device)
        return Loader(
            images,
            labels,
            sampler,
            mean=self.preparation.mean,
            std=self.preparation.std,
            size=self.image_size,
            normalize=self.preparation.normalize,
            views=[()] if views is None else [self.views[name] for name in views],
            workers=workers,
        )

    def _moved(self, tensor: Tensor, device: torch.device) -> Tensor:
        key = id(tensor), device
        if key not in self._on_device:
            self._on_device[key] = tensor.to(device)
        return self._on_device[key]

    def _fits(self, device: torch.device) -> bool:
        if self.batching.device_cache != "auto":
            return self.batching.device_cache
        if device.type != "cuda" or self._on_device:
            return True  # in memory already
        free, _ = torch.cuda.mem_get_info(device)
        return sum(images.nbytes for images in self.clean.tensors.values()) <= free / 2

    @property
    def _device(self) -> torch.device:
        return self.trainer.strategy.root_device if self.trainer else torch.device("cpu")

    @property
    def share(self) -> Share:
        """Of this process among those that train together."""
        return Share(self.trainer.global_rank, self.trainer.world_size) if self.trainer else WHOLE

    def train_dataloader(self) -> Loader | FeatureLoader:
        if not self.trainer:
            return self.training_loader(self._device)
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        # When it resumes, Lightning does this only after asking for the loader, and would ask for it a second time.
        progress.completed = epoch = progress.processed
        views = getattr(self.trainer.lightning_module, "views", ("weak",))
        self.in_streams.fill_(False)
        if not self.start:
            self.chosen = training_set(self.trainer, epoch, self.seed, self.splits["train"])
        loader = self.training_loader(self._device, epoch, self.chosen, views, self.share)
        loader.start, self.start = self.start, 0
        return loader

    def val_dataloader(self) -> Loader | FeatureLoader:
        return self.loader("val", self._device, share=self.share)

    def test_dataloader(self) -> Loader | FeatureLoader:
        return self.loader("test", self._device)
