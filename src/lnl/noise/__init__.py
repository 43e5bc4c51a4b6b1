"""Label noise: drawn once, vectorised, from the clean labels, with a seed of its own."""

from lnl.noise.corrupt import corrupt
from lnl.noise.files import FileNoise
from lnl.noise.human import HumanNoise
from lnl.noise.instance import InstanceNoise
from lnl.noise.kinds import (
    AsymmetricNoise,
    ClassConditionalNoise,
    LabelNoise,
    NoNoise,
    PairflipNoise,
    SymmetricNoise,
    UniformNoise,
)
from lnl.noise.transition import asymmetric, pairflip, symmetric, uniform

__all__ = [
    "AsymmetricNoise",
    "ClassConditionalNoise",
    "FileNoise",
    "HumanNoise",
    "InstanceNoise",
    "LabelNoise",
    "NoNoise",
    "PairflipNoise",
    "SymmetricNoise",
    "UniformNoise",
    "asymmetric",
    "corrupt",
    "pairflip",
    "symmetric",
    "uniform",
]
