"""The quality of predictions, on true labels and on training labels, and of corrected labels; the memory of a run."""

import contextlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error, multiclass_confusion_matrix


def classification_metrics(logits: Tensor, labels: Tensor) -> dict[str, Any]:
    """Accuracy, macro F1, precision and recall of each class, confusion matrix and calibration.

    Args:
        logits: ``[N, K]``.
        labels: int64 ``[N]`` in ``[0, K)``.

    Returns:
        ``accuracy``, ``macro_f1`` and ``ece`` (expected calibration error, 15 bins of equal width, L1;
        arXiv:1706.04599) in [0, 1]; ``precision`` and ``recall``, K values each (0 for a class never predicted, or
        without samples); ``confusion_matrix``, K x K counts, true class by row.
    """
    num_classes = logits.shape[1]
    # torchmetrics puts a confidence of exactly 1 into a bin of its own.
    probabilities = logits.double().softmax(dim=1).float().clamp(max=1 - 2**-24)
    matrix = multiclass_confusion_matrix(logits.argmax(dim=1), labels, num_classes)
    hits, support, predicted = matrix.diagonal().double(), matrix.sum(dim=1), matrix.sum(dim=0)
    f1 = 2 * hits / (support + predicted).clamp(min=1)
    ece = multiclass_calibration_error(probabilities, labels, num_classes, n_bins=15, norm="l1")
    return {
        "accuracy": (hits.sum() / support.sum()).item(),
        "macro_f1": f1.mean().item(),
        "ece": ece.item(),
        "precision": (hits / predicted.clamp(min=1)).tolist(),
        "recall": (hits / support.clamp(min=1)).tolist(),
        "confusion_matrix": matrix.tolist(),
    }


def memorisation(predicted: Tensor, given: Tensor, clean: Tensor | None) -> dict[str, float]:
    """How a model predicts its training labels, correct and wrong ones apart.

    Args:
        predicted, given, clean: int64 ``[N]``; clean is None where the truth is not known.

    Returns:
        ``accuracy``: share of samples predicted as labelled. With the truth known also ``accuracy_correct`` and
        ``accuracy_wrong``: share predicted as the *true* class among correctly and among wrongly labelled samples;
        and ``memorised``: share of wrong labels that the model predicts. A share without samples is left out.
    """
    shares = {"accuracy": predicted == given}
    if clean is not None:
        wrong = given != clean
        shares["accuracy_correct"] = (predicted == clean)[~wrong]
        shares["accuracy_wrong"] = (predicted == clean)[wrong]
        shares["memorised"] = (predicted == given)[wrong]
    means = {name: share.double().mean() for name, share in shares.items() if len(share)}
    return dict(zip(means, torch.stack(list(means.values())).tolist(), strict=True)) if means else {}


def correction_metrics(
    given: NDArray[np.int64],
    new: NDArray[np.int64],
    kept: NDArray[np.bool_],
    clean: NDArray[np.int64] | None,
    num_classes: int,
) -> dict[str, Any]:
    """Counts of corrected labels and, with the truth known, shares in [0, 1] (None: a share of nothing).

    Args:
        given, new: ``[n]`` labels before and after, in ``[0, K)``.
        kept: ``[n]``, which samples are trained on under their new label.
        clean: ``[n]`` true labels, or None if unknown.
        num_classes: K.

    Returns:
        ``candidates``, ``kept``, ``changed`` (kept under another label than given), the last two also ``…_per_class``
        (by new class); ``kept_accuracy``, the share of kept samples whose new label is right; ``precision``, that of
        changed ones; ``recall``, the share of all wrong given labels that were put right.
    """
    changed = kept & (new != given)
    counts: dict[str, Any] = {"candidates": len(given), "kept": int(kept.sum()), "changed": int(changed.sum())}
    counts["kept_per_class"] = np.bincount(new[kept], minlength=num_classes).tolist()
    counts["changed_per_class"] = np.bincount(new[changed], minlength=num_classes).tolist()
    if clean is None:
        return counts
    right = new == clean
    shares = {"kept_accuracy": right[kept], "precision": right[changed], "recall": (kept & right)[given != clean]}
    return counts | {name: float(share.mean()) if share.size else None for name, share in shares.items()}


def reset_peak_memory() -> None:
    """Starts a new peak, where the system allows it, so that a run in a sweep does not report its predecessor's."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):  # not Linux: the peak is then the process's
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int | None:
    """Largest resident memory of this process in bytes since :func:`reset_peak_memory`; None on Windows."""
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):
        if sys.platform == "win32":
            return None
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


def peak_device_memory(device: torch.device) -> int | None:
    """Largest memory in bytes that tensors took on a CUDA device; None for the CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
