"""Callbacks: what a run does beside its method."""

from lnl.callbacks.contact_sheet import ContactSheet
from lnl.callbacks.epoch_seed import EpochSeed
from lnl.callbacks.fit_until import FitUntil
from lnl.callbacks.job_progress import JobProgress
from lnl.callbacks.label_stages import LabelStages
from lnl.callbacks.metrics_table import MetricsTable
from lnl.callbacks.progress import TrainingProgress
from lnl.callbacks.sample_history import SampleHistory
from lnl.callbacks.shared_state import SharedState
from lnl.callbacks.stays_stopped import StaysStopped
from lnl.callbacks.stop_on_nan import StopOnNaN
from lnl.callbacks.training_metrics import TrainingMetrics

__all__ = [
    "ContactSheet",
    "EpochSeed",
    "FitUntil",
    "JobProgress",
    "LabelStages",
    "MetricsTable",
    "SampleHistory",
    "SharedState",
    "StaysStopped",
    "StopOnNaN",
    "TrainingMetrics",
    "TrainingProgress",
]
