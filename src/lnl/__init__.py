"""lnl: learning with noisy labels."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lnl.classifier import NoisyLabelClassifier as NoisyLabelClassifier

__version__ = "0.1.0"
__all__ = ["NoisyLabelClassifier", "__version__"]


def __getattr__(name: str) -> Any:
    """Loads the classifier, and torch with it, when it is asked for: commands answer --help without."""
    if name == "NoisyLabelClassifier":
        from lnl.classifier import NoisyLabelClassifier

        return NoisyLabelClassifier
    raise AttributeError(f"module 'lnl' has no attribute '{name}'")
