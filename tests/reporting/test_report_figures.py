"""What the figures of a report show, read off their axes."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from lnl.reporting.figures import COLORS
from lnl.reporting.material import Options, gather
from lnl.reporting.report_figures import draw_all, write_figures
from tests.reporting.written import write_run

OPTIONS = {
    **dict.fromkeys(("name", "baseline", "against", "names")),
    "rows": ["method", "loss"],
    "columns": "rate",
    "metric": "test/accuracy",
    "protocol": "last",
    "oracle": False,
    "tables": [],
    "figures": [],
    "page": False,
}
SETTING = "cifar10-symmetric-noise-cnn"


@pytest.fixture
def material(tmp_path):
    """ce and gce at two rates and two seeds, mae at one rate; a fifth of 1,000 labels is wrong, or none."""
    for loss, rate in (("ce", 0.0), ("ce", 0.2), ("gce", 0.0), ("gce", 0.2), ("mae", 0.2)):
        for seed in (0, 1):
            curve = [
                {"val/loss": 2 - i, "train/accuracy": 0.5, "train/accuracy_correct": 0.25 * i}
                | ({"train/memorised": 0.1 * i + 0.1 * seed} if rate else {})
                for i in range(3)
            ]
            confusion = [[3, 1], [1, 3 + seed]]
            facts = {
                "loss": loss,
                "rate": rate,
                "seed": seed,
                "curve": curve,
                "confusion": confusion,
                "seconds": 10 + seed,
            }
            folder = write_run(tmp_path, "study", 0.9 - rate, **facts)
            np.savez(folder / "noise.npz", transition_matrix=np.array([[1 - rate, rate], [rate, 1 - rate]]))
    return gather(Options(runs=str(tmp_path / "study"), output_dir=str(tmp_path / "reports"), **OPTIONS))


@pytest.fixture
def drawn(material):
    return {one.name: one.figure for one in draw_all(material)}


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def test_every_figure_is_there(drawn):
    against = f"against-rate-test-accuracy-{SETTING}-last"
    names = ("epochs", "memorisation", "errors", "transition", "confusion", "time")
    assert set(drawn) == {against, *(f"{name}-{SETTING}" for name in names)}


def test_memorisation_counts_samples(drawn):
    correct_clean, correct_noisy, wrong_clean, wrong_noisy = drawn[f"memorisation-{SETTING}"].axes
    assert lines(correct_clean)["ce"].get_ydata().tolist() == [0, 250, 500]  # of 1,000
    assert lines(correct_noisy)["gce"].get_ydata().tolist() == [0, 200, 400]  # of 800
    assert lines(wrong_noisy)["mae"].get_ydata() == pytest.approx([10, 30, 50])  # of 200, mean of two seeds
    assert lines(wrong_noisy)["mae"].get_xdata().tolist() == [1, 2, 3]
    assert not wrong_clean.get_lines()


def test_a_method_has_one_colour_in_all_figures(drawn):
    expected = dict(zip(("ce", "gce", "mae"), COLORS, strict=False))
    for figure in drawn.values():
        for axes in figure.axes:
            for name, line in lines(axes).items():
                if name in expected:
                    assert to_hex(line.get_color()) == expected[name]
    points = drawn[f"time-{SETTING}"].axes[1].collections
    assert [to_hex(one.get_facecolor()[0]) for one in points] == list(expected.values())


def test_errors_are_of_training_and_test(drawn):
    train, test = drawn[f"errors-{SETTING}"].axes
    assert lines(train)["ce"].get_ydata() == pytest.approx([40, 40])
    assert lines(test)["ce"].get_ydata() == pytest.approx([10, 30])
    assert lines(test)["mae"].get_xdata().tolist() == [0.2]


def test_matrices_are_shares_summed_over_seeds(drawn):
    shown = [axes.images[0].get_array() for axes in drawn[f"confusion-{SETTING}"].axes if axes.images]
    assert len(shown) == 5
    np.testing.assert_allclose(shown[0], [[6 / 8, 2 / 8], [2 / 9, 7 / 9]])
    clean, noisy = (axes.images[0].get_array() for axes in drawn[f"transition-{SETTING}"].axes[:2])
    np.testing.assert_allclose(clean, np.eye(2))
    np.testing.assert_allclose(noisy, [[0.8, 0.2], [0.2, 0.8]])


@pytest.mark.slow
def test_the_same_runs_give_the_same_files(material, tmp_path):
    for folder in ("a", "b"):
        write_figures(material, tmp_path / folder, ["png", "svg"])
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == 14
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
