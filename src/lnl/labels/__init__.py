"""Labels: as they were given, the truth where it is known, trusted samples, and the record of the noise in them."""

from lnl.labels.labels import Integers, Labels, Matrix, NoiseRecord, Trusted, empirical_transition

__all__ = ["Integers", "Labels", "Matrix", "NoiseRecord", "Trusted", "empirical_transition"]
