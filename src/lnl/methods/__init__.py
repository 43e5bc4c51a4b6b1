"""Methods: LightningModules that turn a batch of doubtful labels into a gradient."""

from lnl.methods.active_passive import ActivePassive
from lnl.methods.aum import AUM
from lnl.methods.base import NoisyLabelMethod
from lnl.methods.baseline import Baseline
from lnl.methods.co_teaching import CoTeaching
from lnl.methods.co_teaching_plus import CoTeachingPlus
from lnl.methods.cores2 import CORES2
from lnl.methods.disc import DISC
from lnl.methods.divide_mix import DivideMix
from lnl.methods.dynamic_weight import DynamicWeight
from lnl.methods.early_learning import EarlyLearningRegularization
from lnl.methods.elr_plus import ELRPlus
from lnl.methods.fit_once import FitOnce
from lnl.methods.frozen import LinearProbe, NearestNeighbours
from lnl.methods.gold_loss_correction import GoldLossCorrection
from lnl.methods.jocor import JoCoR
from lnl.methods.label_correction import LabelCorrection
from lnl.methods.learning_to_reweight import LearningToReweight
from lnl.methods.loss_correction import Backward, Forward, LossCorrection
from lnl.methods.meta_label_correction import MetaLabelCorrection
from lnl.methods.meta_learning import MetaLearning
from lnl.methods.meta_weight_net import MetaWeightNet
from lnl.methods.mix import CutMix, LabelSmoothing, Mix, Mixup
from lnl.methods.noise_aware import NoiseAware
from lnl.methods.pes_semi import SemiSupervisedPES
from lnl.methods.pro_mix import ProMix
from lnl.methods.progressive_early_stopping import ProgressiveEarlyStopping
from lnl.methods.selection_relabelling import SelectionRelabelling
from lnl.methods.self_training import SelfTraining
from lnl.methods.small_loss import SmallLoss
from lnl.methods.sop import SOP, SOPPlus
from lnl.methods.stages import Stage, StagedMethod
from lnl.methods.t_revision import TRevision
from lnl.methods.transition import TransitionMethod
from lnl.methods.two_networks import TwoNetworks
from lnl.methods.uni_con import UniCon
from lnl.methods.vol_min import VolMin

__all__ = [
    "AUM",
    "CORES2",
    "DISC",
    "SOP",
    "ActivePassive",
    "Backward",
    "Baseline",
    "CoTeaching",
    "CoTeachingPlus",
    "CutMix",
    "DivideMix",
    "DynamicWeight",
    "ELRPlus",
    "EarlyLearningRegularization",
    "FitOnce",
    "Forward",
    "GoldLossCorrection",
    "JoCoR",
    "LabelCorrection",
    "LabelSmoothing",
    "LearningToReweight",
    "LinearProbe",
    "LossCorrection",
    "MetaLabelCorrection",
    "MetaLearning",
    "MetaWeightNet",
    "Mix",
    "Mixup",
    "NearestNeighbours",
    "NoiseAware",
    "NoisyLabelMethod",
    "ProMix",
    "ProgressiveEarlyStopping",
    "SOPPlus",
    "SelectionRelabelling",
    "SelfTraining",
    "SemiSupervisedPES",
    "SmallLoss",
    "Stage",
    "StagedMethod",
    "TRevision",
    "TransitionMethod",
    "TwoNetworks",
    "UniCon",
    "VolMin",
]
