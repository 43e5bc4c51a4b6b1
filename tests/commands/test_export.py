"""``python -m lnl.export`` as a user runs it: the files give lnl's probabilities wherever they are loaded."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import nn

from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR
from lnl.trained import exporting
from lnl.trained.loading import PREPARATION, TrainedRun, rebuild
from tests.conftest import UNLEARNS

FORMATS = "format=[onnx,torchscript,safetensors]"
LARGE = (
    "cnn8",
    "inception_small",
    "mobilenet_v2",
    "preact_resnet18",
    "resnet9",
    "resnet18",
    "resnet34",
    "resnet50",
    "wide_resnet28_k",
)
MODELS = [
    pytest.param(path.stem, marks=[pytest.mark.slow] * (path.stem in LARGE))
    for path in sorted((Path(CONF_DIR) / "model").glob("*.yaml"))
    if path.stem not in ("linear", "mlp")  # of features
]
NAMES = {"timm": ["model.name=test_resnet"], "torchvision": ["model.name=shufflenet_v2_x0_5"]}
ONNX = ("onnx", "onnxscript", "onnxruntime")
needs_onnx = pytest.mark.skipif(not all(map(find_spec, ONNX)), reason="the extra onnx is not installed")


def digits_test():
    """The test images, uint8 [359, 8, 8, 1]."""
    from lnl.data import Digits, Form

    return Digits().source.read(Form()).test_images


def by_onnx(path, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0]


def by_torchscript(path, images):
    return torch.jit.load(path)(torch.from_numpy(images)).detach().numpy()


def by_safetensors(path, images):
    return exporting.read_safetensors(path)(torch.from_numpy(images)).detach().numpy()


LOADERS = {"model.onnx": by_onnx, "model.pt": by_torchscript, "model.safetensors": by_safetensors}


@needs_onnx
@pytest.mark.parametrize(
    "options", [[], pytest.param(["data.normalize=per_image"], marks=pytest.mark.slow), ["model=histogram_logistic"]]
)
def test_each_file_gives_the_probabilities_of_the_run(trained, export, options):
    run = trained("trainer.max_epochs=3", *options)
    outcome = export(f"run={run.folder}", FORMATS)
    assert outcome.code == 0, outcome.err
    folder = run.folder / "export/last"
    assert {path.name for path in folder.iterdir()} == {*LOADERS, "model.json"}
    own = pd.read_csv(run.folder / "predictions.csv")[[f"p_{digit}" for digit in range(10)]].to_numpy()
    assert len(set(own.argmax(axis=1))) > 3
    images = digits_test()
    for name, load in LOADERS.items():
        assert str(folder / name) in outcome.out
        for count in (1, 7, 359):  # of any batch size
            np.testing.assert_allclose(load(folder / name, images[:count]), own[:count], atol=1e-5, err_msg=name)


@needs_onnx
def test_what_has_to_be_known_is_in_each_file_and_beside(trained, export):
    run = trained("noise.rate=0.1", "data.mean=[0.3]", "data.std=[0.4]")
    export(f"run={run.folder}", FORMATS, "output=out")
    folder = run.root / "out"
    beside = json.loads((folder / "model.json").read_text())
    assert beside["classes"] == [str(digit) for digit in range(10)]
    expected = {"image_size": 8, "channels": 1, "fit": "resize", "normalize": "dataset", "mean": [0.3], "std": [0.4]}
    expected |= {"interpolation": "bilinear", "resize": None}
    assert beside["preprocessing"] == expected
    assert beside["identity"] == run.result["identity"]
    assert beside["input"] == {"name": "images", "type": "uint8", "shape": ["batch", 8, 8, 1]}
    assert (beside["protocol"], beside["epoch"]) == ("last", 1)

    import onnxruntime
    from safetensors import safe_open

    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["lnl"]) == beside
    assert [(i.name, i.type, i.shape) for i in session.get_inputs()] == [
        ("images", "tensor(uint8)", ["batch", 8, 8, 1])
    ]
    inside = {"lnl.json": ""}
    torch.jit.load(folder / "model.pt", _extra_files=inside)
    assert json.loads(inside["lnl.json"]) == beside
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert json.loads(file.metadata()["lnl"]) == beside


def test_the_chosen_epoch_is_another_model(trained, export):
    run = trained(*UNLEARNS)
    made = {}
    for protocol in ("last", "noisy_val_best"):
        assert export(f"run={run.folder}", "format=safetensors", f"protocol={protocol}").code == 0
        folder = run.folder / "export" / protocol
        made[protocol] = by_safetensors(folder / "model.safetensors", digits_test())
        assert json.loads((folder / "model.json").read_text())["epoch"] == run.result["protocol"][protocol]["epoch"]
    assert np.abs(made["last"] - made["noisy_val_best"]).max() > 0.01


def test_a_method_with_state_of_its_samples_is_exported_without_it(trained, export):
    run = trained("method=label_correction", "data.trusted=300", "method.stage1_epochs=1")
    assert export(f"run={run.folder}", "format=[torchscript,safetensors]").code == 0
    own = pd.read_csv(run.folder / "predictions.csv")[[f"p_{digit}" for digit in range(10)]].to_numpy()
    for name in ("model.pt", "model.safetensors"):
        made = LOADERS[name](run.folder / "export/last" / name, digits_test())
        np.testing.assert_allclose(made, own, atol=1e-5)


@needs_onnx
@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_exported(model, tmp_path):
    """With random weights that have an opinion; `export` itself compares what comes out of each file."""
    register_resolvers()
    with initialize_config_dir(CONF_DIR, version_base="1.3"):
        composed = compose("train", ["data=cifar10", f"model={model}", *NAMES.get(model, [])])
    cfg = OmegaConf.to_container(composed, resolve=False)
    trained = untrained(OmegaConf.create(cfg))
    with torch.no_grad():
        for parameter in trained.classifier.parameters():
            if parameter.ndim < 2 or not parameter.any():
                parameter.add_(0.3 * torch.randn_like(parameter))
    probabilities = trained.classifier.probabilities(
        np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), np.uint8)
    )
    assert np.ptp(probabilities, axis=1).min() > 0.01
    paths = exporting.export(trained, ["onnx", "torchscript", "safetensors"], tmp_path)
    assert [path.name for path in paths] == [*LOADERS, "model.json"]


def untrained(cfg):
    """A run of this configuration that nobody trained."""
    config = {
        part: OmegaConf.to_container(cfg[part], resolve=True) for part in ("method", "model", "loss", "optimizer")
    }
    data = {key: OmegaConf.create({"it": cfg.data[key]}) for key in PREPARATION}
    config["data"] = {"num_classes": 10, **{key: OmegaConf.to_container(node)["it"] for key, node in data.items()}}
    config |= {"scheduler": None, "num_samples": 5, "classes": [f"class {i}" for i in range(10)]}

    class Run:
        result = {"run": "none", "identity": "none"}  # noqa: RUF012

    return TrainedRun(Run(), rebuild(config), "last", 0, config)


class TakesABranch(nn.Module):
    """What a trace does not see: another answer for dark images."""

    def __init__(self, num_classes, in_channels, image_size):
        super().__init__()
        self.head = nn.Linear(in_channels * image_size**2, num_classes)

    def forward(self, images):
        logits = self.head(images.flatten(1))
        return logits if len(images) == 2 else logits * 3


def test_a_file_that_would_answer_differently_is_not_written(trained, export):
    run = trained(
        f"model._target_={__name__}.TakesABranch", "model=mlp_1x512", "~model.depth", "~model.width", "~model.dropout"
    )
    assert run.code == 0, run.err
    outcome = export(f"run={run.folder}", "format=torchscript", "trust=[tests]")
    assert outcome.code == 1
    assert "cannot be exported as torchscript: its probabilities would be off by up to" in outcome.err
    assert not list((run.folder / "export/last").iterdir())


MISTAKES = {
    "no run": ([], "which run?"),
    "run that is not there": (["run=nowhere"], "there is no folder nowhere"),
    "format": (["run=RUN", "format=tflite"], "format must be one of onnx, torchscript, safetensors"),
    "no format": (["run=RUN", "format=null"], "format must be one of onnx, torchscript, safetensors"),
    "protocol": (["run=RUN", "protocol=best"], "protocol must be last, noisy_val_best, clean_val_best or label_wave"),
    "output": (["run=RUN", "format=safetensors", "output=/dev/null/x"], "cannot be written"),
    "checkpoint": (["run=RUN", "format=safetensors", "protocol=noisy_val_best"], "there is no checkpoint"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_explained(digits, export, name):
    arguments, message = MISTAKES[name]
    run = digits("trainer.max_epochs=1").folder if "run=RUN" in arguments else None
    if name == "checkpoint":
        (run / "checkpoints/noisy_val_best.ckpt").unlink()
    outcome = export(*(argument.replace("RUN", str(run)) for argument in arguments))
    assert outcome.code == 1
    assert message in outcome.err
    assert "Traceback" not in outcome.err


def test_onnx_that_is_not_installed_is_asked_for(trained, export, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnxscript", None)
    outcome = export(f"run={trained('trainer.max_epochs=1').folder}")
    assert outcome.code == 1
    assert "pip install -e '.[onnx]'" in outcome.err


def test_a_file_of_somebody_elses_is_no_model(tmp_path):
    from safetensors.torch import save_file

    from lnl.errors import UserError

    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("no")
    with pytest.raises(UserError, match=r"was not written by python -m lnl.export"):
        exporting.read_safetensors(tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        exporting.read_safetensors(tmp_path / "text.safetensors")


def test_training_anew_removes_what_was_exported(digits, export):
    run = digits("trainer.max_epochs=1")
    export(f"run={run.folder}", "format=safetensors")
    digits("trainer.max_epochs=1", "force=true")
    assert not (run.folder / "export").exists()
