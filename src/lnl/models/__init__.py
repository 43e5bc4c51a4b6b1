"""Models: images ``[B, C, H, W]`` -> logits ``[B, K]``."""

from lnl.models.alexnet import AlexNetSmall
from lnl.models.cnn import CNN8, DropoutCNN, SmallCNN
from lnl.models.histogram import HistogramLogistic
from lnl.models.inception import InceptionSmall
from lnl.models.mlp import MLP
from lnl.models.pretrained import TorchvisionModel
from lnl.models.resnet import PreActResNet18, WideResNet, resnet_small_images
from lnl.models.resnet9 import ResNet9

__all__ = [
    "CNN8",
    "MLP",
    "AlexNetSmall",
    "DropoutCNN",
    "HistogramLogistic",
    "InceptionSmall",
    "PreActResNet18",
    "ResNet9",
    "SmallCNN",
    "TorchvisionModel",
    "WideResNet",
    "resnet_small_images",
]
