"""Mistakes that are found before torch is imported, which takes longer than all that is read until then."""

import sys
from inspect import signature
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, open_dict

from lnl.config import build
from lnl.datasets.splits import Splitting, check_classes, class_sizes
from lnl.datasets.userdata.source import UserSource
from lnl.errors import UserError
from lnl.labels import Labels
from lnl.labels.files import check_trusted, label_table, trusted_file, with_trusted
from lnl.runs.code import class_attribute, class_named
from lnl.values import WHOLE, check_hinted


def check_beforehand(cfg: DictConfig, in_every_fold: bool = False) -> None:
    """Raises UserError for a mistake in values or in the user's own data, if it is found without reading pictures.

    Where torch is imported already, nothing is checked: building the data raises the same.

    Args:
        cfg: of a run.
        in_every_fold: whether every class must have a picture for each of ``data.folds``.
    """
    if "torch" in sys.modules:
        return
    check_hinted("", cfg, WHOLE, known=False)
    splitting: Splitting = _build("data", cfg.data, "lnl.datasets.splits.Splitting")
    noise, _ = (_build(name, cfg.get(name), _of_lnl(cfg.get(name))) for name in ("noise", "corruption"))
    if (path := cfg.get("init_from")) and not Path(str(path)).expanduser().is_file():
        raise UserError(f"there is no checkpoint at {path}")
    try:
        labels = _own_labels(cfg.data)
        if labels is not None:
            labels = with_trusted(labels, splitting.trusted, splitting.split_seed)
            if class_attribute(_of_lnl(cfg.get("method")), "uses_trusted"):
                check_trusted(labels.trusted)
            if in_every_fold and splitting.folds:
                sizes = class_sizes(labels.given, None, len(labels.classes))
                check_classes(sizes, splitting.folds, labels.classes, own=sizes)
        elif path := trusted_file(splitting.trusted):
            label_table(path)
        if noise is not None:
            noise.check(labels)
    except ValueError as error:
        raise UserError(str(error)) from error


def _own_labels(data: DictConfig) -> Labels | None:
    """The labels of the user's own data; None of a benchmark, which may first have to be downloaded."""
    reads = class_named(data.get("_target_"), "reads") if _of_lnl(data) else None
    if reads is None or not reads.startswith("lnl.datasets.userdata."):
        return None
    source: UserSource = _build("data", data, reads)
    return source.check()


def _of_lnl(node: Any) -> str | None:
    """The ``_target_`` of a part, if it is lnl's: the user's own code is not built twice."""
    target = node.get("_target_") if isinstance(node, DictConfig) else None
    return target if isinstance(target, str) and target.startswith("lnl.") else None


def _build(name: str, part: DictConfig, target: str | None) -> Any:
    """An object of the class ``target``, of its own among the values of a part; None without a target."""
    if target is None:
        return None
    node = part.copy()  # which keeps its parent: interpolations look there
    with open_dict(node):
        for key in [key for key in node if key not in signature(get_object(target)).parameters]:
            del node[key]
        node["_target_"] = target
    return build(name, node)
