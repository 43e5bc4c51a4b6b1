"""Methods: LightningModules that turn a batch of doubtful labels into a gradient."""

from lnl.methods.active_passive import ActivePassive
from lnl.methods.base import NoisyLabelMethod
from lnl.methods.baseline import Baseline
from lnl.methods.dynamic_weight import DynamicWeight
from lnl.methods.fit_once import FitOnce
from lnl.methods.label_correction import LabelCorrection

__all__ = ["ActivePassive", "Baseline", "DynamicWeight", "FitOnce", "LabelCorrection", "NoisyLabelMethod"]
