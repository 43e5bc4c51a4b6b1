"""Methods: LightningModules that turn a batch of doubtful labels into a gradient."""

from lnl.methods.active_passive import ActivePassive
from lnl.methods.base import NoisyLabelMethod
from lnl.methods.baseline import Baseline

__all__ = ["ActivePassive", "Baseline", "NoisyLabelMethod"]
