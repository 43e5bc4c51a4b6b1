"""What takes a GPU to see: ``python -m pytest -m gpu``. ``tests/test_device.py`` has what can be seen without."""

import json

import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir

from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR
from lnl.methods import NoisyLabelMethod
from lnl.training.assembly import build_data
from lnl.training.training_metrics import MetricsTable
from tests.conftest import weights

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]
GPU = torch.device("cuda", 0)
ONE_STEP = ("trainer.max_epochs=1", "trainer.limit_train_batches=1", "trainer.precision=32-true")


@pytest.fixture
def full_float32(monkeypatch):
    """Convolutions in float32; cuDNN's default are those of TF32, with 10 bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.mark.parametrize("method", ["baseline", "elr", "co_teaching"])
def test_a_step_gives_the_weights_of_the_cpu(train, full_float32, method):
    for accelerator in ("cpu", "gpu"):
        options = ("data=digits", f"method={method}", "data.augment=crop_flip", f"trainer.accelerator={accelerator}")
        outcome = train(*options, *ONE_STEP, f"hydra.run.dir={accelerator}")
        assert outcome.code == 0, outcome.err
    ours, theirs = ({name: value.cpu() for name, value in weights(outcome.root / a).items()} for a in ("gpu", "cpu"))
    torch.testing.assert_close(ours, theirs)
    environment = json.loads((outcome.root / "gpu/result.json").read_text())["environment"]
    assert environment["device_name"] == torch.cuda.get_device_name(GPU)


@pytest.mark.parametrize("options", [(), ("method=elr",), ("method=co_teaching",), ("method=dynamic_weight",)])
def test_the_device_is_not_waited_for_in_a_step(digits, monkeypatch, options):
    """All that torch itself knows to wait, the backward pass and the optimizer included."""

    def forbid(self, batch, step):
        if step:  # in the first, metrics and momentum are made
            torch.cuda.set_sync_debug_mode("error")

    monkeypatch.setattr(NoisyLabelMethod, "on_train_batch_start", forbid)
    monkeypatch.setattr(NoisyLabelMethod, "on_train_batch_end", lambda *_: torch.cuda.set_sync_debug_mode("default"))
    try:
        outcome = digits("trainer.accelerator=gpu", "trainer.max_epochs=1", "trainer.precision=bf16-mixed", *options)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert outcome.code == 0, outcome.err


def test_images_on_the_device_and_from_workers_give_the_same_batches():
    register_resolvers()
    batches = {}
    for cached in ("true", "false"):
        with initialize_config_dir(CONF_DIR, version_base="1.3"):
            cfg = compose("train", overrides=["data=digits", f"data.device_cache={cached}"])
        batches[cached] = next(iter(build_data(cfg).training_loader(GPU)))
    there, here = batches["true"], batches["false"]
    assert there.images.device == GPU
    assert here.images.is_pinned()
    assert here.labels.is_pinned()
    moved = here.to(GPU, non_blocking=True)
    for name in ("images", "labels", "index"):
        torch.testing.assert_close(getattr(there, name), getattr(moved, name))


def test_bfloat16_is_chosen_where_the_device_has_it(digits):
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        pytest.skip("this GPU has no bfloat16")
    found = {}
    for precision in ("auto", "32-true"):
        outcome = digits(
            "trainer.accelerator=gpu", *ONE_STEP, f"trainer.precision={precision}", f"hydra.run.dir={precision}"
        )
        found[precision] = json.loads((outcome.root / precision / "result.json").read_text())
    assert [found[p]["environment"]["precision"] for p in found] == ["bf16-mixed", "32-true"]
    half, full = (found[p]["protocol"]["last"]["train"]["loss"] for p in found)
    assert half != full
    assert half == pytest.approx(full, rel=5 * 2**-8)  # five layers, each rounded to 8 bits


def test_two_epochs_and_two_equal_four(digits, monkeypatch):
    class Stopped(Exception):
        pass

    options = (
        "method=elr",
        "model=mlp_1x512",
        "data.augment=crop_flip",
        "trainer.accelerator=gpu",
        "trainer.deterministic=warn",
    )
    start = MetricsTable.on_train_epoch_start

    def stop(self, trainer, method):
        if trainer.current_epoch == 2:
            raise Stopped
        start(self, trainer, method)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsTable, "on_train_epoch_start", stop)
        with pytest.raises(Stopped):
            digits(*options, "trainer.max_epochs=4", "hydra.run.dir=stopped")
    assert "after epoch 2" in digits(*options, "trainer.max_epochs=4", "hydra.run.dir=stopped").out
    root = digits(*options, "trainer.max_epochs=4", "hydra.run.dir=whole").root
    torch.testing.assert_close(weights(root / "stopped"), weights(root / "whole"), rtol=0, atol=0)
    tables = [pd.read_csv(root / name / "metrics.csv").drop(columns="seconds") for name in ("stopped", "whole")]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
