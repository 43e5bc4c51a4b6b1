"""What a method can reach: nothing that says which labels are right, before a trainer has it."""

import functools
import types
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR
from lnl.training.assembly import build_data, build_method

MODEL = {"fit_once": ["model=histogram_logistic"]}
OPTIONS = ("noise.rate=0.5", "data.trusted=100", "data.subset=500")


def reachable(root):
    """Every tensor and array that a path of attributes, items, closures and bound arguments leads to."""
    seen, found, waiting = set(), [], [root]
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, types.ModuleType | type | str | bytes | int | float):
            continue
        seen.add(id(value))
        if isinstance(value, torch.Tensor | np.ndarray):
            found.append(np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value))
            continue
        if isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += list(value)
        if isinstance(value, functools.partial):
            waiting += [value.func, *value.args, *value.keywords.values()]
        if isinstance(value, types.MethodType):
            waiting += [value.__self__, value.__func__]
        if isinstance(value, types.FunctionType):
            waiting += [cell.cell_contents for cell in value.__closure__ or ()]
            waiting += [value.__defaults__, value.__kwdefaults__]
        waiting += list(getattr(value, "__dict__", {}).values())
        waiting += [getattr(value, name) for name in getattr(type(value), "__slots__", ()) if hasattr(value, name)]
    return found


METHODS = sorted(path.stem for path in Path(CONF_DIR, "method").glob("*.yaml"))
ON_FEATURES = ("knn", "linear_probe")  # which are given the features as images


def built(*overrides):
    """The data and the method of a run that these describe."""
    register_resolvers()
    with initialize_config_dir(CONF_DIR, version_base="1.3"):
        cfg = compose("train", overrides=["data=digits", *OPTIONS, *overrides])
        data = build_data(cfg)
        return data, build_method(cfg, data)


@pytest.mark.parametrize("method", [method for method in METHODS if method not in (*ON_FEATURES, *MODEL)])
def test_a_frozen_backbone_is_in_no_optimizer(monkeypatch, tmp_path, method):
    monkeypatch.setenv("LNL_CACHE_DIR", str(tmp_path))
    backbone = ("model=timm", "model.name=test_resnet", "model.weights=null", "data.image_size=32")
    for freeze, expected in ((True, {"weight", "bias"}), (False, None)):
        _, made = built(f"method={method}", *backbone, f"model.freeze={str(freeze).lower()}")
        optimizer = made.configure_optimizers()["optimizer"]
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        for network in made.children():
            if type(network) is not type(made.model) or not any(value.requires_grad for value in network.parameters()):
                continue  # an average
            names = {name.rpartition(".")[2] for name, value in network.named_parameters() if id(value) in held}
            count = sum(id(value) in held for value in network.parameters())
            assert (names == expected and count == 2) if freeze else count == len(list(network.parameters()))


@pytest.mark.parametrize("method", [method for method in METHODS if method not in ON_FEATURES])
def test_no_path_leads_from_a_method_to_right_labels(monkeypatch, tmp_path, method):
    monkeypatch.setenv("LNL_CACHE_DIR", str(tmp_path))
    data, made = built(f"method={method}", *MODEL.get(method, ()))
    clean, tested = data.labels.truth, data.test_labels
    train, trusted = data.splits["train"], data.trusted.index
    unknown = np.setdiff1d(train, trusted)
    arrays = reachable(made)
    assert any(array.shape == clean.shape for array in arrays)  # the given ones
    for array in arrays:
        if array.shape == clean.shape and array.dtype.kind in "if":
            assert (array[unknown] == clean[unknown]).mean() < 0.7  # half of the given ones are right
        assert array.shape != tested.shape or not np.array_equal(array, tested)
        for part in (train, unknown, data.splits["val"]):
            assert array.shape != part.shape or not np.array_equal(array, clean[part])
    held_out = np.setdiff1d(np.arange(len(clean)), train)
    assert (made.samples.given[held_out] == -1).all()
    np.testing.assert_array_equal(made.samples.given[train], data.labels.noise.labels[train])
    np.testing.assert_array_equal(made.samples.trusted_labels, clean[trusted])
