"""Augmentation: random transforms of a batch of images on the device, each sample with a draw of its own."""

from lnl.augment.base import Transform
from lnl.augment.crop_flip import CropFlip
from lnl.augment.cutout import Cutout
from lnl.augment.photo import ColorJitter, RandomResizedCrop
from lnl.augment.policies import AutoAugment, RandAugment

__all__ = ["AutoAugment", "ColorJitter", "CropFlip", "Cutout", "RandAugment", "RandomResizedCrop", "Transform"]
