"""Models: images ``[B, C, H, W]`` -> logits ``[B, K]``.

Models take ``num_classes`` (K), ``in_channels`` (C) and, if they need it, ``image_size``, the side of square images.
"""

from lnl.models.cnn import CNN8, DropoutCNN, SmallCNN
from lnl.models.fourier import RandomFourierModel
from lnl.models.histogram import HistogramLogistic
from lnl.models.pretrained import FeatureHead, PretrainedModel, TimmModel, TorchvisionModel
from lnl.models.resnet import PreActResNet18, ResNet9, WideResNet, resnet_small_images
from lnl.models.rethinking import MLP, AlexNetSmall, InceptionSmall

__all__ = [
    "CNN8",
    "MLP",
    "AlexNetSmall",
    "DropoutCNN",
    "FeatureHead",
    "HistogramLogistic",
    "InceptionSmall",
    "PreActResNet18",
    "PretrainedModel",
    "RandomFourierModel",
    "ResNet9",
    "SmallCNN",
    "TimmModel",
    "TorchvisionModel",
    "WideResNet",
    "resnet_small_images",
]
