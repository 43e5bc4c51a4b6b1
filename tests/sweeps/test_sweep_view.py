"""The live view, drawn into a terminal of 80 columns."""

import io
import sys
import threading

import pytest
from rich.console import Console

from lnl.sweeps.journal import Entry, JobJournal, best, measured_on
from lnl.sweeps.view import Sweep, duration, picture, seconds_left, summary


def job(number, state, **more):
    overrides = ["data=digits", f"optimizer.lr=0.{number}", "trainer.max_epochs=4"]
    return Entry(number, f"outputs/runs/run{number}", overrides, state, **more)


JOBS = [
    job(0, "finished", accuracy=0.5, epoch=4, epochs=4),
    job(1, "running", accuracy=0.625, epoch=1.5, epochs=4),
    job(2, "failed", reason="no"),
    job(3, "skipped", accuracy=0.25),
]


def drawn(entries, total, seconds):
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(picture(entries, total, seconds))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_view_has_counts_time_bar_running_jobs_and_the_best():
    head, bar, *rest = drawn(JOBS, 8, 55)
    assert head == "3/8 jobs done, 1 running, 1 failed   55.0 s, 3 min 5 s left"
    assert bar == "━" * 33 + "╸"  # 3 3/8 of 8 jobs, in half columns
    assert [" ".join(line.split()) for line in rest] == [
        "epoch 2/4 optimizer.lr=0.1",
        "best so far, by validation labels",
        "62.50% optimizer.lr=0.1",
        "50.00% optimizer.lr=0.0",
        "25.00% optimizer.lr=0.3",
    ]


def settings(rates, losses, accuracy=0.5):
    """Jobs of each rate and loss; the second loss is the better one."""
    return [
        Entry(
            i, "outputs/runs/x", [f"noise.rate={rate}", f"loss={loss}"], accuracy=accuracy + 0.1 * (loss == losses[-1])
        )
        for i, (rate, loss) in enumerate((rate, loss) for rate in range(rates) for loss in losses)
    ]


def test_jobs_are_compared_where_their_validation_labels_are_equal():
    assert [entry.job for entry in best(settings(1, ["ce", "gce", "mae"]), 2)] == [2, 0]
    assert [entry.job for entry in best(settings(3, ["ce", "gce"]), 1)] == [1, 3, 5]
    assert best(settings(3, ["ce"]), 3) == []  # of one job there is no best
    assert best(settings(6, ["ce", "gce"]), 3) == []  # too many
    assert "best" not in "\n".join(drawn(settings(3, ["ce"]), 3, 1.0))
    assert "labels, where data and noise are equal" in "\n".join(drawn(settings(2, ["ce", "gce"]), 4, 1.0))
    text = summary(settings(2, ["ce", "gce"]), 4, 1.0)
    lines = [line.strip() for line in text.splitlines() if "best" in line]
    assert lines == [
        f"best by validation labels, where data and noise are equal: 60.00%, noise.rate={rate} loss=gce"
        for rate in range(2)
    ]


@pytest.mark.parametrize(
    ("override", "changes"),
    [
        ("noise=uniform", True),
        ("+noise.seed=1", True),
        ("data.split_seed=1", True),
        ("corruption=gaussian", True),
        ("experiment=apl_asymmetric", True),
        ("experiment/apl@_global_=ce", False),
        ("loss.noise=1", False),
        ("datamodule=1", False),
    ],
)
def test_what_changes_the_validation_labels(override, changes):
    one, other = Entry(0, "x", [override, "seed=0"]), Entry(1, "y", ["seed=1"])
    assert (measured_on(one) != measured_on(other)) == changes


def test_no_job_and_no_known_number_of_jobs_can_be_drawn():
    assert drawn([], 3, 0.1)[0] == "0/3 jobs done, 0 running, 0 failed   0.1 s"
    assert "starts" in drawn([job(0, "running")], 3, 0.1)[2]
    assert drawn(JOBS[:1], None, 3)[0] == "1/? jobs done, 0 running, 0 failed   3.0 s"


def test_many_running_jobs_are_counted():
    text = "\n".join(drawn([job(i, "running", epochs=2) for i in range(20)], 20, 3))
    assert text.count("epoch 1/2") == 8
    assert "and 12 more" in text


def test_skipped_and_failed_jobs_do_not_make_the_rest_look_quick():
    # 1 3/8 jobs were done in 55 s: the other 4 5/8 take 185 s.
    assert seconds_left(JOBS, 8, 55) == pytest.approx(185)
    assert seconds_left(JOBS[2:], 8, 55) is None
    assert seconds_left(JOBS, None, 55) is None


def test_durations():
    assert [duration(s) for s in (0.04, 59.96, 61, 3599.6, 12000)] == [
        "0.0 s",
        "60.0 s",
        "1 min 1 s",
        "1 h 0 min",
        "3 h 20 min",
    ]


def test_without_a_terminal_there_is_no_view(capsys, tmp_path):
    sweep = Sweep(tmp_path / "sweep/1", 1, exact=True)
    sweep.start()
    JobJournal(sweep.folder, 0, tmp_path / "run", [])
    sweep.end(interrupted=True)
    captured = capsys.readouterr()
    assert (captured.out.splitlines()[0][:5], captured.err) == ("  1 j", "")


def test_without_a_terminal_there_are_lines_about_the_whole_on_stderr(capsys, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch")  # which the first job would load
    sweep = Sweep(tmp_path / "sweep/1", 4, exact=True)
    monkeypatch.setattr(sweep, "watcher", threading.Thread(target=lambda: None))
    sweep.start()
    done, running = (JobJournal(sweep.folder, number, tmp_path / f"run{number}", []) for number in (0, 1))
    done.tell(state="finished")
    running.tell(epochs=4)
    sweep.started -= 60
    sweep.pace.at -= 60
    sweep._look()
    sweep._look()  # nothing is new
    assert capsys.readouterr().err.splitlines() == [
        "starting 4 jobs ...",
        "1/4 jobs done, 1 running, 0 failed   1 min 0 s, 3 min 0 s left",
    ]
    running.tell(state="finished")
    sweep.end(interrupted=True)
    assert capsys.readouterr().err == ""
