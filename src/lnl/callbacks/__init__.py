"""Callbacks: what ``conf/callbacks`` offers beside a method."""

from lnl.callbacks.contact_sheet import ContactSheet
from lnl.callbacks.ema import EMA
from lnl.callbacks.l1_norm import L1Norm
from lnl.callbacks.label_wave import LabelWave
from lnl.callbacks.progress import TrainingProgress
from lnl.callbacks.sample_history import SampleHistory
from lnl.callbacks.stopping import FitUntil, StopOnNaN

__all__ = ["EMA", "ContactSheet", "FitUntil", "L1Norm", "LabelWave", "SampleHistory", "StopOnNaN", "TrainingProgress"]
