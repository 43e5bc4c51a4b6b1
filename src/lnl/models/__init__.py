"""Models: images ``[B, C, H, W]`` -> logits ``[B, K]``."""

from lnl.models.alexnet import AlexNetSmall
from lnl.models.cnn import CNN8, SmallCNN
from lnl.models.inception import InceptionSmall
from lnl.models.mlp import MLP
from lnl.models.pretrained import TorchvisionModel
from lnl.models.resnet import PreActResNet18, WideResNet, resnet_small_images

__all__ = [
    "CNN8",
    "MLP",
    "AlexNetSmall",
    "InceptionSmall",
    "PreActResNet18",
    "SmallCNN",
    "TorchvisionModel",
    "WideResNet",
    "resnet_small_images",
]
