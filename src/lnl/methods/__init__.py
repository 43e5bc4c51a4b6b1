"""Methods: LightningModules that turn a batch of doubtful labels into a gradient."""

from lnl.methods.active_passive import ActivePassive
from lnl.methods.base import NoisyLabelMethod
from lnl.methods.baseline import Baseline
from lnl.methods.co_teaching import CoTeaching
from lnl.methods.divide_mix import DivideMix
from lnl.methods.dynamic_weight import DynamicWeight
from lnl.methods.early_learning import EarlyLearningRegularization
from lnl.methods.fit_once import FitOnce
from lnl.methods.frozen import LinearProbe, NearestNeighbours
from lnl.methods.label_correction import LabelCorrection
from lnl.methods.meta_weight_net import MetaWeightNet
from lnl.methods.mix import CutMix, Mix, Mixup
from lnl.methods.noise_aware import NoiseAware
from lnl.methods.pes_semi import SemiSupervisedPES
from lnl.methods.pro_mix import ProMix
from lnl.methods.progressive_early_stopping import ProgressiveEarlyStopping
from lnl.methods.selection_relabelling import SelectionRelabelling
from lnl.methods.stages import Stage, StagedMethod
from lnl.methods.two_networks import TwoNetworks
from lnl.methods.uni_con import UniCon

__all__ = [
    "ActivePassive",
    "Baseline",
    "CoTeaching",
    "CutMix",
    "DivideMix",
    "DynamicWeight",
    "EarlyLearningRegularization",
    "FitOnce",
    "LabelCorrection",
    "LinearProbe",
    "MetaWeightNet",
    "Mix",
    "Mixup",
    "NearestNeighbours",
    "NoiseAware",
    "NoisyLabelMethod",
    "ProMix",
    "ProgressiveEarlyStopping",
    "SelectionRelabelling",
    "SemiSupervisedPES",
    "Stage",
    "StagedMethod",
    "TwoNetworks",
    "UniCon",
]
