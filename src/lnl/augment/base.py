"""What a transform has to say."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Transform(ABC):
    """A random transform of a batch of uint8 images.

    What is random about it is drawn once for the samples of a whole epoch, on the CPU, so that it depends on seed and
    epoch only: not on the device, the batch size or the number of processes.
    """

    @abstractmethod
    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """What is random about ``count`` samples, a row for each, ``[count, D]``."""

    @abstractmethod
    def apply(self, images: Tensor, drawn: Tensor, on_device: Tensor) -> Tensor:
        """The transformed images, uint8 ``[B, H, W, C]``.

        Args:
            images: uint8 ``[B, H, W, C]``, not to be changed in place.
            drawn: the samples' rows of what :meth:`draw` returned, ``[B, D]``, on the CPU.
            on_device: the same on the images' device. Take it where you can, so that the CPU does not wait for the
                device.
        """
