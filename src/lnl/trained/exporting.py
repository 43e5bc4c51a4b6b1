"""Export of a trained model to ONNX, TorchScript or safetensors."""

import importlib
import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningModule

from lnl.errors import UserError, first_line, install
from lnl.files import explained, replacing
from lnl.progress import working
from lnl.runs.folder import write_json
from lnl.trained.loading import ImageClassifier, TrainedRun, quiet_trainer, rebuild
from lnl.trained.recipe import recipe
from lnl.trained.trust import NETWORK, check_trust
from lnl.training.checkpoints import load_weights

Predictor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
SUFFIXES = {"onnx": ".onnx", "torchscript": ".pt", "safetensors": ".safetensors"}
TOLERANCE = 1e-4  # of a probability: float32, and another order of summation


def export(trained: TrainedRun, formats: Sequence[str], folder: Path) -> list[Path]:
    """Writes ``model.<suffix>`` for each format, and ``model.json``, which describes inputs and outputs.

    Each file also holds the content of ``model.json``. It is loaded again and compared on random images before it is
    given its name.

    Raises:
        UserError: if a format is unknown, not installed or cannot hold this model, or a file cannot be written.
    """
    if not formats or set(formats) - set(SUFFIXES):
        given = ", ".join(formats) or "none"
        raise UserError(f"format must be one of {', '.join(SUFFIXES)}, or a list of them, got {given}")
    description = describe(trained)
    paths = []
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in dict.fromkeys(formats):
            path = folder / f"model{SUFFIXES[name]}"
            with working(f"writing {path.name}"), replacing(path) as unfinished:
                _write(name, trained, json.dumps(description), unfinished)
            paths.append(path)
        write_json(folder / "model.json", description)
    return [*paths, folder / "model.json"]


def describe(trained: TrainedRun) -> dict[str, Any]:
    """The content of ``model.json``: what a program that uses the model has to know."""
    preparation, result, classes = trained.classifier.preparation, trained.run.result, trained.classifier.classes
    size, channels = preparation.size, preparation.channels
    return {
        "classes": classes,
        "preprocessing": asdict(preparation),
        "recipe": recipe(preparation),
        "run": result["run"],
        "identity": result["identity"],
        "protocol": trained.protocol,
        "epoch": trained.epoch,
        "input": {"name": "images", "type": "uint8", "shape": ["batch", size, size, channels]},
        "output": {"name": "probabilities", "type": "float32", "shape": ["batch", len(classes)]},
    }


def read_safetensors(path: Path | str, trust: Any = None) -> ImageClassifier:
    """The classifier in a ``model.safetensors`` that :func:`export` wrote.

    Args:
        path: of the file, which may be untrusted.
        trust: further packages whose code may be built (:func:`lnl.trained.trust.check_trust`).

    Raises:
        UserError: if it is not such a file, or names other code.
    """
    config, tensors = _read(path)
    check_trust(config, NETWORK, path, trust)
    return _built(config, tensors, path)


def _read(path: Path | str) -> tuple[Any, dict[str, torch.Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read as safetensors: {first_line(error)}") from error
    if "config" not in metadata:
        raise UserError(f"{path} was not written by python -m lnl.export: it does not say how to build the model")
    try:
        return json.loads(metadata["config"]), tensors
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: its description cannot be read ({first_line(error)})") from error


def _built(config: dict[str, Any], tensors: dict[str, torch.Tensor], path: Path | str) -> ImageClassifier:
    classifier = rebuild(config)
    load_weights(classifier, tensors, path)
    return classifier


def _write(name: str, trained: TrainedRun, description: str, path: Path) -> None:
    preparation = trained.classifier.preparation
    shape = (5, preparation.size, preparation.size, preparation.channels)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    writers = {"onnx": _onnx, "torchscript": _torchscript, "safetensors": _safetensors}
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of exporters, about their future versions
            predict = writers[name](trained, torch.from_numpy(images[:2]), description, path)
        # Batches of other sizes than the exporter saw.
        given = np.concatenate([predict(images[:1]), predict(images[1:])])
    except (UserError, OSError):
        raise
    except Exception as error:  # exporters raise many kinds for an operation that they do not know
        raise UserError(f"this model cannot be exported as {name}: {first_line(error)}") from error
    expected = trained.classifier.probabilities(images)
    if not (off := float(np.abs(given - expected).max())) <= TOLERANCE:  # nor NaN
        raise UserError(f"this model cannot be exported as {name}: its probabilities would be off by up to {off:.2g}")


def _onnx(trained: TrainedRun, example: torch.Tensor, description: str, path: Path) -> Predictor:
    try:
        onnxruntime, *_ = map(importlib.import_module, ("onnxruntime", "onnx", "onnxscript"))
    except ImportError:
        needs = "format=onnx needs onnx, onnxscript and onnxruntime"
        raise UserError(f"{needs}: {install('onnx')}") from None
    program = torch.onnx.export(
        trained.classifier,
        (example,),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        input_names=["images"],
        output_names=["probabilities"],
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props["lnl"] = description
    program.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["probabilities"], {"images": images})[0]


def _torchscript(trained: TrainedRun, example: torch.Tensor, description: str, path: Path) -> Predictor:
    network = trained.classifier.network
    if isinstance(network, LightningModule):  # tracing reads all properties, and `trainer` raises without one
        network.trainer = quiet_trainer(trained.run, "cpu", None)
    torch.jit.save(torch.jit.trace(trained.classifier, example), path, _extra_files={"lnl.json": description})
    loaded = torch.jit.load(path)
    return lambda images: loaded(torch.from_numpy(images)).detach().numpy()


def _safetensors(trained: TrainedRun, example: torch.Tensor, description: str, path: Path) -> Predictor:
    from safetensors.torch import save_file

    weights = {name: value.contiguous() for name, value in trained.classifier.state_dict().items()}
    path.touch()
    mode = path.stat().st_mode  # as of other files; the library's own temporary file may be read by its owner only
    save_file(weights, path, {"lnl": description, "config": json.dumps(trained.config)})
    path.chmod(mode)
    return _built(*_read(path), path).probabilities
