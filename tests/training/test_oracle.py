"""``oracle=true``: what the test set would choose, beside a run that is the same without it."""

import json

import torch

from tests.conftest import weights
from tests.datasets.own import write_folder

SMALL = ("model=mlp_1x512", "noise.rate=0.6", "optimizer.lr=0.2")
# The fourth epoch undoes what the others have learned, so that the last is not the best.
UNLEARNS = ("scheduler=multistep", "scheduler.milestones=[3]", "scheduler.gamma=-1")


def test_it_is_the_epoch_that_was_best_on_the_test_set(digits, tmp_path):
    """Each epoch's test accuracy is that of a run which ends there: the schedule does not depend on the last epoch."""

    def protocol(name, *arguments):
        outcome = digits(*SMALL, *UNLEARNS, *arguments, f"hydra.run.dir={name}")
        assert outcome.code == 0, outcome.err
        return json.loads((tmp_path / name / "result.json").read_text())["protocol"], outcome.out

    ends = [protocol(f"{epochs}", f"trainer.max_epochs={epochs}")[0]["last"] for epochs in range(1, 5)]
    accuracy = [entry["test"]["accuracy"] for entry in ends]
    best = accuracy.index(max(accuracy))
    assert best < 3  # else the last epoch would do as well
    asked, said = protocol("asked", "trainer.max_epochs=4", "oracle=true")
    chosen = asked.pop("oracle_best")
    assert chosen["epoch"] == best
    assert chosen["test"] == ends[best]["test"]
    assert asked == protocol("4", "trainer.max_epochs=4")[0]
    for name, tensor in weights(tmp_path / "asked").items():
        assert torch.equal(tensor, weights(tmp_path / "4")[name])
    assert "SELECTED ON THE TEST SET" in said


def test_a_report_has_it_when_asked(digits, report, tmp_path):
    assert digits(*SMALL, "oracle=true").code == 0
    page = tmp_path / "outputs/reports/runs/report.md"
    assert report("runs=outputs/runs", "figures=[]", "page=false").code == 0
    assert "SELECTED ON THE TEST SET" not in page.read_text()
    assert report("runs=outputs/runs", "figures=[]", "page=false", "oracle=true").code == 0
    assert "SELECTED ON THE TEST SET" in page.read_text()


def test_without_a_test_set_there_is_none(train, tmp_path):
    write_folder(tmp_path / "own", 20)
    outcome = train("data=folder", "data.path=own", "data.test_fraction=0", "model=mlp_1x512", "oracle=true")
    assert outcome.code == 1
    assert "oracle=true chooses an epoch by the test set, and this data has none." in outcome.err
    assert not outcome.folders


def test_no_command_takes_its_weights(digits, predict, tmp_path):
    run = digits(*SMALL, "oracle=true").folder
    write_folder(tmp_path / "own", 1)
    outcome = predict(f"run={run}", "images=own", "protocol=oracle_best")
    assert "protocol must be last, noisy_val_best, clean_val_best or label_wave" in outcome.err
