"""Label noise, drawn once from the given labels, with its own seed."""

from lnl.noise.files import FileNoise, HumanNoise
from lnl.noise.kinds import (
    AsymmetricNoise,
    ClassConditionalNoise,
    InstanceNoise,
    LabelNoise,
    NoNoise,
    PairflipNoise,
    SymmetricNoise,
    UniformNoise,
)
from lnl.noise.transition import asymmetric, corrupt, pairflip, symmetric, uniform

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
