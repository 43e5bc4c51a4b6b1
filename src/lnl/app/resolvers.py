"""The resolvers ``${lnl.…:}`` of the YAML files."""

import os
import socket
import time
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from lnl.runs.plan import run_name


def register_resolvers() -> None:
    """Registers them with OmegaConf; may be called again."""
    of_epochs = (_up_to_a_third, _up_to_a_share, _three_sevenths, _longer_steps, _shorter_memory)
    plain = (_user_cache, _sweep_name, _join, _run_name, _options, _published, _by_data, _own_data, _by_features)
    for function in (*of_epochs, *plain, _expected, _sweep_id):
        # One identifier for a sweep: Hydra hands cached values on to the jobs, as it does with ${now:}.
        cached = function is _sweep_id
        OmegaConf.register_new_resolver(f"lnl.{function.__name__[1:]}", function, replace=True, use_cache=cached)


def _user_cache() -> str:
    return os.environ.get("LNL_CACHE_DIR") or str(
        Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lnl"
    )


def _sweep_name(fast_dev_run: bool | int, sweep: str | None, experiment: str | None) -> str:
    return "fast_dev_run" if fast_dev_run else str(sweep or experiment or "runs")


def _sweep_id() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{socket.gethostname()}-{os.getpid()}"


def _join(*parts: object) -> str:
    if "" in parts or None in parts:
        raise ValueError("the name of a folder is empty")  # which would mean the root of the file system
    return os.path.join(*(os.path.expanduser(str(part)) for part in parts))  # a folder may be called 1


def _options(group: str) -> str:
    """Those that Hydra finds; added folders have some too."""
    return ", ".join(GlobalHydra.instance().config_loader().get_group_options(group))


def _published() -> str:
    from lnl.reporting.published import published  # loads pandas

    return ", ".join(sorted(set(published()["study"])))


def _by_data(usual: Any, others: DictConfig, *, _root_: DictConfig) -> Any:
    """The value of ``others`` for the class of the chosen dataset, else the usual one."""
    name = str(OmegaConf.select(_root_, "data._target_")).rpartition(".")[2]
    return others.get(name, others.get(name.removesuffix("ImageNet"), usual))  # WebVisionImageNet trains on WebVision


def _up_to_a_share(most: int, share: float, epochs: Any) -> int:
    """``most`` epochs, but at most a share of all, and at least one."""
    whole = isinstance(epochs, int | float) and epochs >= 1  # the Trainer refuses others
    return min(most, max(1, int(share * epochs + 1e-9))) if whole else most


def _up_to_a_third(most: int, epochs: Any) -> int:
    """``most`` epochs, but at most a third of all."""
    whole = isinstance(epochs, int | float) and epochs >= 1  # the Trainer refuses others
    return min(most, max(1, int(epochs) // 3)) if whole else most


def _longer_steps(rate: float, of: int, epochs: Any) -> float:
    """A learning rate for ``of`` epochs, as much larger as there are fewer: the way to go is the same."""
    return rate * _fewer(of, epochs)


def _shorter_memory(decay: float, of: int, epochs: Any) -> float:
    """The decay of a running mean for ``of`` epochs, for as large a part of fewer ones."""
    return float(decay ** _fewer(of, epochs))


def _fewer(of: int, epochs: Any) -> float:
    """How many times fewer ``epochs`` are than ``of``; 1 for more."""
    return max(1.0, of / epochs) if isinstance(epochs, int | float) and epochs >= 1 else 1.0


def _own_data(own: Any, usual: Any, *, _root_: DictConfig) -> Any:
    """``own`` where the user's own images are read, else ``usual``; in a defaults list and for values."""
    data = _root_.get("data")
    if isinstance(data, str):  # the option chosen
        return own if _starts_from_own_data(data) else usual
    return own if data is not None and "test_fraction" in data else usual


def _by_features(backbone: str, file: str, fourier: str, pixels: str, *, _root_: DictConfig) -> str:
    """The option for the chosen ``features``; in a defaults list."""
    chosen = {"backbone": backbone, "file": file, "fourier": fourier}
    return chosen.get(str(_root_.get("features")), pixels)


def _starts_from_own_data(option: str) -> bool:
    """Whether an option of ``data``, lnl's or the user's, has ``own_data`` in its defaults or in theirs."""
    for source in GlobalHydra.instance().config_loader().get_sources():
        if source.scheme() in ("file", "pkg") and source.is_config(path := f"data/{option}"):
            defaults = OmegaConf.select(source.load_config(path).config, "defaults", default=[])
            names = [name for name in defaults if isinstance(name, str) and name != option]
            return "/own_data@_here_" in names or any(map(_starts_from_own_data, names))
    return False


def _expected(key: str, usual: Any, *, _root_: DictConfig) -> Any:
    """What the model's pretrained weights expect of images (``model.expects``, else their library's answer).

    ``usual`` without pretrained weights.
    """
    model = _root_.get("model")
    if not isinstance(model, DictConfig) or model.get("weights") is None:
        return OmegaConf.create(usual) if isinstance(usual, list) else usual  # only a node can be resolved in place
    expects = model.get("expects") or {}
    if key in expects:
        return expects[key]
    from lnl.models.pretrained import expected  # loads torch

    found = expected(str(model.get("_target_")), str(model.name), str(model.weights)).get(key, usual)
    return OmegaConf.create(found) if isinstance(found, list) else found


def _three_sevenths(epochs: Any) -> Any:
    """Three sevenths of the epochs, at least one; ``auto`` of ``auto``."""
    whole = isinstance(epochs, int | float) and epochs >= 1
    return max(1, int(3 * epochs / 7)) if whole else "auto"


def _run_name(*, _root_: DictConfig) -> str:
    return run_name(_root_)
