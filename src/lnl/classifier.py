"""A scikit-learn estimator that trains as the commands do, for arrays in a notebook."""

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from numpy.typing import ArrayLike, NDArray
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import seed_everything
from pytorch_lightning.utilities.seed import isolate_rng
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import cross_val_predict
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from lnl import notebook
from lnl.app.arguments import prepare
from lnl.app.mistakes import KNOWN, explain
from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR
from lnl.data import Dataset
from lnl.datasets.images import Form, natural_size
from lnl.datasets.source import InMemory
from lnl.errors import UserError
from lnl.labels import Labels, Trusted
from lnl.labels.files import as_mask
from lnl.runs.folder import RunFolder
from lnl.trained.loading import ImageClassifier
from lnl.training.assembly import build_data, build_method, uses_trusted
from lnl.training.checkpoints import load_checkpoint, load_weights
from lnl.training.processes import count_processes
from lnl.training.run import fit
from lnl.training.trainer import build_trainer
from lnl.training.training_metrics import MetricsTable
from lnl.values import check_hinted

Protocol = Literal["last", "noisy_val_best"]
ROWS = ("range_", "n_features_in_", "feature_names_in_")  # attributes that only rows of numbers leave

register_resolvers()  # also in the processes of scikit-learn


class NoisyLabelClassifier(ClassifierMixin, BaseEstimator):
    """Trains an image classifier on labels that may be wrong, as ``python -m lnl.train`` does.

    Images are one of:

    - an array ``[n, H, W]`` or ``[n, H, W, C]`` of 1 or 3 channels, uint8 or floats in [0, 1], or a tensor
      ``[n, C, H, W]``;
    - a list or column of file names or PIL images, or a list of arrays of several sizes: read as a user's own data, in
      RGB unless ``overrides`` has ``data.channels=1``, and resized to ``image_size``, by default their
      own size if all are square, of one size and at most 96 pixels, else 64;
    - rows of numbers ``[n, features]``, taken for flattened images: scaled to 0..255 by the least and greatest number
      of training, and laid out in a square.

    Images to predict may be of another size or number of channels than those of training. Labels are of any type that
    scikit-learn takes for classes.

    Args:
        method, loss, model: an option of each of these groups of ``conf/``; None for the command's default.
        epochs, batch_size: of training.
        optimizer, learning_rate: an option of ``conf/optimizer``, and the initial learning rate.
        image_size: side in pixels of the model's images; None keeps that of square images up to 96, else takes 64.
        validation_fraction: share of the samples, trusted ones excluded, that is held out to choose an epoch.
        protocol: epoch of the weights to keep, ``last`` or ``noisy_val_best``.
        overrides: further settings, as on the command line: ``["augment=crop_flip", "loss.q=0.5"]``.
        random_state: seed, ``RandomState`` or None, of initialisation, order, augmentation and held-out samples.
        accelerator: ``auto``, ``cpu``, ``gpu``, … as of Lightning.
        folder: for checkpoints and metrics.csv; None keeps none.
        verbose: show a progress bar.

    Attributes:
        classes_: ``[K]``, sorted; like all that follow, there after ``fit``.
        model_: :class:`~lnl.trained.loading.ImageClassifier`, on the CPU.
        history_: a row an epoch, the columns of metrics.csv.
        n_features_in_, feature_names_in_, range_: only of rows of numbers.
    """

    def __init__(
        self,
        method: str | None = None,
        loss: str | None = None,
        model: str | None = None,
        *,
        epochs: int = 20,
        batch_size: int = 64,
        optimizer: str = "adam",
        learning_rate: float = 1e-3,
        image_size: int | None = None,
        validation_fraction: float = 0.1,
        protocol: Protocol = "last",
        overrides: Sequence[str] = (),
        random_state: Any = 0,
        accelerator: str = "auto",
        folder: str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        self.method, self.loss, self.model = method, loss, model
        self.epochs, self.batch_size = epochs, batch_size
        self.optimizer, self.learning_rate = optimizer, learning_rate
        self.image_size, self.validation_fraction, self.protocol = image_size, validation_fraction, protocol
        self.overrides, self.random_state, self.accelerator = overrides, random_state, accelerator
        self.folder, self.verbose = folder, verbose

    def fit(self, X: ArrayLike, y: ArrayLike, trusted: ArrayLike | None = None) -> Self:
        """Trains on images ``X`` with labels ``y[n]``, from the start.

        Args:
            X: images.
            y: given labels, which may be wrong.
            trusted: ``[n]`` bool, or numbers of samples: those whose label is right, for methods that use it.

        Raises:
            ValueError: if images, labels and trusted do not fit together.
            UserError: if a parameter cannot be.
        """
        if y is None:
            raise ValueError("NoisyLabelClassifier requires y to be passed, but the target y is None")
        check_hinted("", OmegaConf.create({"protocol": self.protocol}), {"protocol": Protocol})
        images = self._images(X, reset=True)
        given = notebook.given_labels(y, warn=True)
        check_classification_targets(given)
        check_consistent_length(images, given)
        if len(images) < 3:  # batch norm needs two to train on, and one is validated
            raise ValueError(f"at least 3 samples are needed to train and validate, got n_samples={len(images)}")
        self.classes_, labels = np.unique(given, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"labels of at least 2 classes are needed, got 1 class: {self.classes_[0]!r}")
        known = Labels.doubtful(labels.astype(np.int64), [str(name) for name in self.classes_])
        if (mask := as_mask(trusted, len(images))) is not None:
            known = replace(known, trusted=Trusted(np.flatnonzero(mask), known.given[mask]))
        dataset = Dataset(images, known, images[:0], known.given[:0])  # nothing is for testing
        with contextlib.ExitStack() as stack:
            if not self.verbose:
                stack.enter_context(warnings.catch_warnings(action="ignore"))
                stack.callback(logging.disable, logging.root.manager.disable)
                logging.disable(logging.WARNING)  # Lightning's remarks
            stack.enter_context(isolate_rng())
            place = self.folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="lnl-"))
            self._train(dataset, RunFolder(Path(place).expanduser(), type(self).__name__))
        self._fitted_on = (X, y, trusted)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:
        """Probabilities ``[n, K]`` of ``classes_``, computed in float32."""
        check_is_fitted(self)
        images = np.asarray(self.model_.preparation.fit_to(self._images(X, reset=False)))
        on_gpu = self.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
        try:
            return self.model_.to("cuda" if on_gpu else "cpu").probabilities(images)
        finally:
            self.model_.cpu()  # it may be pickled for another machine

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class of each image, ``[n]``, as in the labels of ``fit``."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def find_label_issues(
        self, X: ArrayLike | None = None, y: ArrayLike | None = None, trusted: ArrayLike | None = None, folds: int = 5
    ) -> pd.DataFrame:
        """Scores every label by models that have not seen it, one training for each of ``folds``.

        The scores are those of ``python -m lnl.audit`` that follow from probabilities.

        Args:
            X, y, trusted: as of :meth:`fit`; by default those of its last call, which a pickled copy does not keep.
            folds: at least 2. Copies of an image are in one fold.

        Returns:
            A row for each sample that is not trusted, the most doubtful first, as of
            :func:`lnl.auditing.find_issues`; ``index`` is the position in ``X``.

        Raises:
            ValueError: without images and labels, or if a class has fewer different images than there are folds.
        """
        if X is None and y is None:
            X, y, trusted = getattr(self, "_fitted_on", (None, None, None))
        if X is None or y is None:
            raise ValueError("find_label_issues(X, y) needs the images and the labels, unless fit was just given them")
        from lnl.auditing import find_issues  # which loads cleanlab

        pictures = notebook.as_pictures(X)
        X = notebook.as_array(X) if pictures is None else notebook.read_pictures(pictures, self._form(pictures))
        given = notebook.given_labels(y)
        classes, labels = np.unique(given, return_inverse=True)
        mask = as_mask(trusted, len(given))
        probabilities = cross_val_predict(
            clone(self).set_params(folder=None),
            X,
            given,
            cv=notebook.folds_of(X, labels, classes, folds, self.random_state),
            method="predict_proba",
            params=None if mask is None else {"trusted": mask},
        )
        doubtful = np.arange(len(given)) if mask is None else np.flatnonzero(~mask)
        names = [str(name) for name in classes]
        issues = find_issues(labels[doubtful], probabilities[doubtful], names, index=doubtful).drop(columns="file")
        own = dict(zip(names, classes, strict=True))
        return issues.assign(**{key: issues[key].map(own) for key in ("given_label", "suggested_label")})

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in super().__getstate__().items() if key != "_fitted_on"}

    def _train(self, dataset: Dataset, folder: RunFolder) -> None:
        cfg = self._config(dataset)
        if count_processes(cfg) > 1:
            raise UserError(f"NoisyLabelClassifier trains on one device, got trainer.devices={cfg.trainer.devices}")
        folder.check_identity()
        folder.claim(force=True)
        data = build_data(cfg, uses_trusted(cfg.method), source=InMemory(dataset))
        seed_everything(cfg.seed, verbose=False)
        method = build_method(cfg, data)
        table = MetricsTable(folder.metrics)
        trainer = build_trainer(cfg, folder, data, method, table)
        try:
            fit(trainer, method, data, folder, say=lambda _: None)
        except SystemExit:  # a notebook goes on after Ctrl-C
            raise KeyboardInterrupt from None
        path = folder.chosen(self.protocol)
        load_weights(method, load_checkpoint(path)["state_dict"], path)
        method.trainer = None  # it holds the data
        self.model_ = ImageClassifier(method, data.preparation, data.classes).cpu()
        self.history_ = pd.DataFrame(table.rows)

    def _config(self, dataset: Dataset) -> DictConfig:
        """The configuration of ``python -m lnl.train``."""
        images = np.asarray(dataset.images)
        sample = images[:: len(images) // 5000 + 1].reshape(-1, images.shape[3]) / 255
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31)
        return self._composed(
            "noise=none",
            *(f"{group}={option}" for group in ("method", "loss", "model") if (option := getattr(self, group))),
            f"optimizer={self.optimizer}",
            f"optimizer.lr={float(self.learning_rate)}",
            f"seed={seed}",
            f"trainer.max_epochs={self.epochs}",
            f"trainer.accelerator={self.accelerator}",
            f"data.batch_size={self.batch_size}",
            f"data.val_fraction={float(self.validation_fraction)}",
            f"data.split_seed={seed}",
            f"+data.num_classes={len(dataset.labels.classes)}",
            f"data.channels={images.shape[3]}",
            f"data.image_size={self.image_size or natural_size(images.shape)}",
            f"data.mean={sample.mean(axis=0).round(4).tolist()}",
            f"data.std={sample.std(axis=0).round(4).clip(1 / 255).tolist()}",
            *([] if self.verbose else ["callbacks.progress=null"]),
        )

    def _form(self, pictures: notebook.Pictures) -> Form:
        """The form to read pictures in, before anything else is known of them."""
        data = self._composed(f"data.image_size={self.image_size or 'null'}").data
        return notebook.form_of(pictures, Form(image_size=data.image_size, channels=data.channels, fit=data.fit))

    def _composed(self, *overrides: str) -> DictConfig:
        """The configuration with these overrides, and then the user's."""
        data = ["~data", "+data._target_=lnl.data.NoisyDataModule", "+data.image_size=null"]
        overrides = (*data, *overrides, *prepare(self.overrides, "train"))
        try:
            with initialize_config_dir(CONF_DIR, version_base="1.3"):
                return compose("train", list(overrides))
        except KNOWN as error:
            raise UserError(explain(error)) from error

    def _images(self, X: Any, reset: bool) -> NDArray[np.uint8]:
        """uint8 ``[n, H, W, C]``."""
        pictures = notebook.as_pictures(X)
        array = notebook.as_array(X) if pictures is None else None
        of_rows = array is not None and array.ndim <= 2
        if reset:
            for name in ROWS:
                self.__dict__.pop(name, None)
        elif of_rows != hasattr(self, "range_"):
            kinds = ("images", "rows of numbers") if of_rows else ("rows of numbers", "images")
            raise ValueError(f"the classifier was trained on {kinds[0]}, and X has {kinds[1]} of shape {np.shape(X)}")
        if pictures is not None:
            return notebook.read_pictures(pictures, self._form(pictures) if reset else self.model_.preparation)
        if not of_rows:
            return notebook.checked(array)
        rows = validate_data(self, array, dtype=np.float64, reset=reset)
        if reset:
            self.range_ = (float(rows.min()), float(rows.max()))
        low, high = self.range_
        side = int(np.ceil(np.sqrt(rows.shape[1])))
        pixels = np.zeros((len(rows), side * side), dtype=np.uint8)
        pixels[:, : rows.shape[1]] = ((rows - low) / ((high - low) or 1) * 255).clip(0, 255).round()
        return pixels.reshape(-1, side, side, 1)
