"""What is meant by a path without a key, and by a path to data without a kind of data."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Override
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lnl.app.options import Options
from lnl.app.paths import as_typed, is_there, parse, quoted
from lnl.errors import UserError, nearest
from lnl.files import TABLES, is_picture
from lnl.runs.find import find_runs
from lnl.runs.folder import RunFolder

# The key that a path without one is for, and an example of its value.
TAKES = {
    "train": ("data.path", "FOLDER"),
    "audit": ("data.path", "FOLDER"),
    "evaluate": ("runs", "outputs/runs"),
    "report": ("runs", "outputs/runs"),
    "export": ("run", "outputs/runs/RUN"),
    "predict": ("images", "FOLDER"),
}
PRETRAINED = ("efficientnet_lite0", "timm", "torchvision", "resnet50", "mobilenet_v2")  # options of model
TRAINING = {"method", "loss", "optimizer", "scheduler", "mix", "average", "trainer", "callbacks"}
SMALL_GREY = ("mnist", "fashion_mnist", "digits")  # options of data
SEVERAL = ("runs", "images")
KINDS = {".npz": "arrays", ".npy": "arrays", **dict.fromkeys(TABLES, "table")}


def is_path(argument: str) -> bool:
    """Whether an argument is a path without a key: nothing before ``=``, or what can be no key and is there."""
    key, equals, _ = argument.partition("=")
    if equals:
        return parse(f"{key}=0") is None and is_there(argument)
    return not argument.startswith("~") or argument.startswith("~/") or is_there(argument)


def with_key(paths: Sequence[str], config_name: str, overrides: Sequence[str], options: Options) -> list[str]:
    """The overrides that paths without a key stand for, beside the others; none for no paths.

    Raises UserError if there is no such path, or more of them than the command takes.
    """
    key, example = TAKES.get(config_name, ("", ""))
    missing = [path for path in paths if not is_there(path, key)]
    if missing and len(paths) > 1 and is_there(whole := " ".join(paths)):
        paths, missing = [whole], []  # a name with spaces, without quotes
    if missing:
        raise UserError(_not_there(missing[0], f"{key}={example}", options))
    keys = dict.fromkeys(paths, key)
    if config_name in ("predict", "evaluate"):
        with_runs = [path for path in paths if "*" in path or _has_runs(Path(path).expanduser())]
        if config_name == "predict":
            keys |= dict.fromkeys(with_runs, "run")
        elif with_runs or any(override.startswith("runs=") for override in overrides):
            keys |= {path: "data.path" for path in paths if path not in with_runs}
        elif paths:
            raise UserError(f"no trained run is in {paths[0]}: {key}={example} data.path={paths[0]} tests runs on it.")
    return [
        _given(name, [path for path in paths if keys[path] == name], overrides) for name in dict.fromkeys(keys.values())
    ]


def _has_runs(path: Path) -> bool:
    return RunFolder(path).is_run() or bool(find_runs([path]))


def _given(key: str, paths: Sequence[str], overrides: Sequence[str]) -> str:
    """The override of a key by paths; raises UserError if it is given already, or takes only one."""
    if given := [override for override in overrides if override.lstrip("+").startswith(f"{key}=")]:
        raise UserError(f"{given[0]} and {paths[0]} are both for {key}: leave out one.")
    if len(paths) > 1 and key not in SEVERAL:
        raise UserError(f"{key} takes one path, got {' and '.join(paths)}")
    return f"{key}=[{','.join(map(quoted, paths))}]" if len(paths) > 1 else as_typed(f"{key}={paths[0]}")


def _not_there(path: str, line: str, options: Options) -> str:
    groups = [group for group in options.groups() if path in options.names(group)]
    if groups:
        meant = " or ".join(f"{group}={path}" for group in groups)
        return (
            f"there is no file or folder {path}; did you mean {meant}?\nValues are given as key=value, such as {line}"
        )
    names: list[str] = []
    with suppress(OSError, RuntimeError):  # a folder that others must not see; no such user
        names = [str(Path(path).parent / name) for name in os.listdir(Path(path).expanduser().parent)]
    if near := nearest(path, names).rstrip("."):
        return f"there is no file or folder {path}{near}"
    return f"there is no file or folder {path}.\nValues are given as key=value, such as {line}"


def data_at(overrides: Mapping[str, Override]) -> list[str]:
    """The option of ``data`` for what is at ``data.path``, unless one of the overrides (by their keys) chooses it."""
    path = overrides.get("data.path")
    if path is None or path.is_delete() or not overrides.keys().isdisjoint(("data", "experiment", "data._target_")):
        return []
    value: Any = path.value()
    texts = [str(getattr(text, "text", text)) for text in (value.list if isinstance(value, ChoiceSweep) else [value])]
    try:
        kinds = {_kind(Path(OmegaConf.create([text])[0]).expanduser()) for text in texts}
    except OmegaConfBaseException:  # a part of it is a value of the configuration
        return []
    return [f"data={kinds.pop()}"] if len(kinds) == 1 else []


def _kind(path: Path) -> str:
    """The option of ``data`` that reads what is at a path, or what its name says where nothing is there."""
    if is_picture(path.name) and path.is_file():
        raise UserError(f"{path} is one picture: give the folder that has a folder for each class, data.path=FOLDER")
    return "folder" if path.is_dir() else KINDS.get(path.suffix.lower(), "table" if path.is_file() else "folder")


def from_file(argument: str, options: Options) -> list[str]:
    """The overrides that ``features=PATH`` stands for; another argument as it is."""
    key, _, value = argument.partition("=")
    if key != "features" or Path(value).suffix not in (".npy", ".npz") or value in options.names("features"):
        return [argument]
    return ["features=file", f"features.path={value}"]


def features_at(overrides: Mapping[str, Override]) -> list[str]:
    """The option of ``features`` for an audit, unless one of the overrides (by their keys) chooses it.

    Photographs are judged by the features of a pretrained network, small grey images by their pixels. Networks are
    trained where an override is about training.
    """
    groups = {key.partition(".")[0] for key in overrides}
    if groups & {"features", "runs", "apply"} or not groups & {"data", "experiment"}:
        return []
    model = overrides.get("model")
    trained = model is not None and model.value() not in PRETRAINED
    trained = trained or bool(groups & TRAINING) or bool(overrides.keys() & {"data.folds", "data.batch_size"})
    small = "data" in overrides and overrides["data"].value() in SMALL_GREY
    path = overrides.get("data.path")
    if path is not None and isinstance(typed := path.value(), str):
        from lnl.datasets.photographs import are_small_and_grey  # loads Pillow

        small = are_small_and_grey(Path(typed).expanduser())
    if trained:
        return ["features=pixels"]
    return ["features=fourier" if small and model is None else "features=backbone"]
