"""How images are prepared and batched."""

from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from lnl.data.loader import Normalize
from lnl.datasets.images import Form, check_choice
from lnl.errors import check_range


@dataclass(frozen=True, kw_only=True)
class Preparation(Form):
    """How images are prepared.

    Args:
        image_size, resize, channels, fit, interpolation: see :class:`~lnl.datasets.images.Form`.
        normalize: ``dataset`` (by ``mean`` and ``std``) or ``per_image`` (:func:`lnl.data.loader.whiten`).
        mean, std: per channel, of pixels in [0, 1]; those of ImageNet by default.
    """

    normalize: Normalize = "dataset"
    mean: list[float] = field(default_factory=lambda: [0.485, 0.456, 0.406])
    std: list[float] = field(default_factory=lambda: [0.229, 0.224, 0.225])

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("normalize", self.normalize, get_args(Normalize))
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(
                f"data.mean and data.std need one value for each of {self.channels} channels, "
                f"got {self.mean} and {self.std}"
            )

    @classmethod
    def of(cls, data: Any) -> Self:
        """From ``data`` of a run's configuration."""
        return cls(**{name: data[name] for name in cls.__dataclass_fields__ if name in data})  # a run may be older


@dataclass(frozen=True, kw_only=True)
class Batching:
    """How batches are made.

    Args:
        batch_size, eval_batch_size: samples in a step of training, in all processes together, and of evaluation.
            ``auto`` is :func:`batch_size_for` the number of samples.
        device_cache: whether images are kept on the device as uint8; ``auto`` if they take at most half of its free
            memory. Otherwise ``num_workers`` processes read them: None for one on each core, 0 for the main process.
    """

    batch_size: int | Literal["auto"] = 256
    eval_batch_size: int = 1000
    device_cache: bool | Literal["auto"] = "auto"
    num_workers: int | None = None

    def __post_init__(self) -> None:
        check_choice("device_cache", self.device_cache, (True, False, "auto"))
        check_range("[0, inf)", **{"data.num_workers": self.num_workers})
        sizes = {"data.batch_size": self.batch_size, "data.eval_batch_size": self.eval_batch_size}
        check_range("[1, inf)", **{name: size for name, size in sizes.items() if size != "auto"})


def batch_size_for(samples: int) -> int:
    """32 for up to 2,500 samples, of which larger batches would make few steps, else 64."""
    return 32 if samples <= 2500 else 64
