"""Measurements."""

from lnl.metrics.classification import classification_metrics, correction_metrics, memorisation
from lnl.metrics.resources import peak_device_memory, peak_memory, reset_peak_memory

__all__ = [
    "classification_metrics",
    "correction_metrics",
    "memorisation",
    "peak_device_memory",
    "peak_memory",
    "reset_peak_memory",
]
