"""Tables against numpy by hand, on results written by hand."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lnl.reporting.results import read_runs
from lnl.reporting.tables import LATEX, MARKDOWN, Format, cells, latex, markdown, pivot, seeds_note
from tests.reporting.written import write_run

ACCURACIES = {("ce", 0.1): [0.50, 0.56, 0.53], ("ce", 0.6): [0.31, 0.35], ("gce", 0.1): [0.6]}


@pytest.fixture
def runs(tmp_path):
    for (loss, rate), values in ACCURACIES.items():
        for seed, value in enumerate(values):
            write_run(tmp_path, "study", value, loss=loss, rate=rate, seed=seed)
    table = read_runs([tmp_path])
    return table[table["protocol"] == "last"]


@pytest.fixture
def summary(monkeypatch):
    """That of the studies."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "scripts")
    return importlib.import_module("studies.common").summary


def test_mean_deviation_and_count_are_numpys(runs):
    made = pivot(runs, "loss", "rate", "test/accuracy")
    for (loss, rate), values in ACCURACIES.items():
        assert made.mean.loc[loss, rate] == pytest.approx(np.mean(values))
        assert made.count.loc[loss, rate] == len(values)
        if len(values) > 1:
            assert made.std.loc[loss, rate] == pytest.approx(np.std(values, ddof=1))
    assert np.isnan(made.std.loc["gce", 0.1])
    assert np.isnan(made.mean.loc["gce", 0.6])
    assert made.count.loc["gce", 0.6] == 0


def test_cells_say_what_is_missing_and_what_is_best(runs):
    made = pivot(runs, "loss", "rate", "test/accuracy")
    shown = cells(made, Format(best="max"))
    assert shown.loc["ce"].tolist() == ["53.0 ± 3.0", "33.0 ± 2.8 (2 of 3)"]
    assert shown.loc["gce"].tolist() == ["**60.0 (1 of 3)**", "–"]
    assert cells(made, Format(best="min")).loc["ce", 0.1] == "**53.0 ± 3.0**"
    assert seeds_note(made) == "Mean ± sample standard deviation over 3 seeds with the same wrong labels; –: not run."
    ran = made.count + made.mean.isna()
    assert seeds_note(made, ran).endswith("; –: run, but without this number.")


def test_a_run_that_repeats_another_counts_once(summary, tmp_path):
    """Without noise every noise.seed gives the same labels."""
    for noise_seed in range(3):
        write_run(tmp_path, "study", 0.6, rate=0.0, noise_seed=noise_seed, labels="right")
        write_run(tmp_path, "study", 0.4 + 0.1 * noise_seed, rate=0.3, noise_seed=noise_seed, labels=noise_seed)
    table = read_runs([tmp_path]).query("protocol == 'last'")
    made = pivot(table, "loss", "rate", "test/accuracy")
    assert made.count.loc["ce"].tolist() == [1, 3]
    assert np.isnan(made.std.loc["ce", 0.0])
    assert made.std.loc["ce", 0.3] == pytest.approx(0.1)
    assert "2 runs repeat the seed, labels and split of another, and count once with it." in seeds_note(made)
    apart = summary(table, "rate", {"test": "test/accuracy"})
    assert apart.count["test"].tolist() == [1, 3]
    in_cells_of_their_own = pivot(table, "noise_seed", "rate", "test/accuracy")
    assert (in_cells_of_their_own.count == 1).all(axis=None)
    assert "repeat" not in seeds_note(in_cells_of_their_own)


def test_whether_seeds_share_their_wrong_labels_is_said(tmp_path):
    for seed in range(2):
        write_run(tmp_path, "study", rate=0.0, seed=seed, labels="right")
        write_run(tmp_path, "study", rate=0.3, seed=seed, labels="drawn once")
        write_run(tmp_path, "study", rate=0.6, seed=seed, labels=seed)
        write_run(tmp_path, "own", noise="given", rate=None, seed=seed)
    table = read_runs([tmp_path]).query("protocol == 'last'")
    said = {
        (0.0,): "2 seeds.",
        (0.0, 0.3): "2 seeds with the same wrong labels.",
        (0.0, 0.6): "2 seeds.",
        (0.3, 0.6): "2 seeds, in some cells with the same wrong labels.",
    }
    for rates, text in said.items():
        assert seeds_note(pivot(table[table["rate"].isin(rates)], "loss", "rate", "test/accuracy")).endswith(text)
    given = table[table["noise"] == "given"].assign(rate="not given")
    assert seeds_note(pivot(given, "loss", "rate", "test/accuracy")).endswith("2 seeds.")


def test_a_tie_as_shown_is_no_best(runs):
    equal = runs.assign(**{"test/accuracy": 0.5 + 1e-6 * np.arange(len(runs))})
    shown = cells(pivot(equal, "loss", "rate", "test/accuracy"), Format(best="max"))
    assert not shown.map(lambda text: "**" in text).any(axis=None)


def test_a_method_without_runs_has_a_row(runs):
    losses = ["gce", "mae", "ce"]
    known = runs.assign(loss=pd.Categorical(runs["loss"], losses, ordered=True))
    shown = cells(pivot(known, "loss", "rate", "test/accuracy"))
    assert shown.index.tolist() == losses
    assert shown.loc["mae"].tolist() == ["–", "–"]


def test_runs_that_differ_in_more_than_their_seeds_are_not_averaged(summary, runs, tmp_path):
    write_run(tmp_path, "study", 0.9, loss="ce", rate=0.1, seed=0, config={"optimizer": {"lr": 7}})
    mixed = read_runs([tmp_path]).query("protocol == 'last'")
    with pytest.raises(ValueError, match=r"loss ce, rate 0\.1 .*optimizer\.lr"):
        pivot(mixed, "loss", "rate", "test/accuracy")
    with pytest.raises(ValueError, match=r"loss ce .*rate"):
        summary(runs, "loss", {"test": "test/accuracy"})
    over_all = summary(runs, "loss", {"test": "test/accuracy"}, "runs")
    assert over_all.mean.loc["ce", "test"] == pytest.approx(np.mean(ACCURACIES["ce", 0.1] + ACCURACIES["ce", 0.6]))
    assert "5 runs" in seeds_note(over_all)


def test_published_numbers_stand_below_with_the_difference(runs):
    others = pd.DataFrame({0.1: {"ce": 54.5}, 0.9: {"ce": 11.0}})
    shown = cells(pivot(runs, "loss", "rate", "test/accuracy"), others=others)
    assert shown.index.tolist() == ["ce", "*published*", "gce"]
    assert shown.iloc[1].tolist() == ["54.5 (-1.5)", ""]


def test_several_metrics_each_with_its_own_format(summary, runs):
    low = runs[runs["rate"] == 0.1]
    formats = {"s": Format(1, 0, spread=False), "test": Format(best="max")}
    shown = cells(summary(low, "loss", {"test": "test/accuracy", "s": "fit_seconds", "absent": "no/such"}), formats)
    assert shown.columns.tolist() == ["test", "s"]
    assert shown.loc["ce"].tolist() == ["53.0 ± 3.0", "10"]


def test_markdown_is_a_table(runs):
    lines = markdown(cells(pivot(runs, "loss", "rate", "test/accuracy")), "loss").splitlines()
    assert lines[:2] == ["| loss | 0.1 | 0.6 |", "| --- | ---: | ---: |"]
    assert {line.count("|") for line in lines} == {4}


@pytest.mark.parametrize(
    ("markup", "text", "expected"),
    [
        (MARKDOWN, "a|b *c* mlp_1x512, p <0.001", r"a\|b \*c\* mlp_1x512, p <0.001"),
        (MARKDOWN, "<script>", r"\<script>"),
        (
            LATEX,
            r"50% of a_b & \c {#1} ~^",
            r"50\% of a\_b \& \textbackslash{}c \{\#1\} \textasciitilde{}\textasciicircum{}",
        ),
        (LATEX, "1 ± 2, – p <0.1 [8]", r"1 $\pm$ 2, -- p $<$0.1 {[}8{]}"),
    ],
)
def test_names_are_text_in_every_language(markup, text, expected):
    assert markup.escape(text) == expected


def test_latex_is_a_booktabs_table(runs):
    shown = cells(pivot(runs, "loss", "rate", "test/accuracy"), Format(best="max"), LATEX)
    lines = latex(shown, "loss", "100% ours", "ours").splitlines()
    assert r"\caption{100\% ours}" in lines
    body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    assert body == [r"ce & 53.0 $\pm$ 3.0 & 33.0 $\pm$ 2.8 (2 of 3) \\", r"gce & \textbf{60.0 (1 of 3)} & -- \\"]
    assert r"\begin{tabular}{lrr}" in lines
    assert [lines[0], lines[-1]] == [r"% \usepackage{booktabs}", r"\end{table}"]


def test_latex_escapes_headings_and_keeps_rows_of_one_name():
    table = pd.DataFrame({"a_b & c": ["1", ""], 0.1 + 0.2: ["2", "3"]}, index=["ce", "ce"])
    lines = latex(table, "10% #1 $x$", "caption", "label").splitlines()
    body = lines[lines.index(r"\toprule") + 1 : lines.index(r"\bottomrule")]
    assert body == [r"10\% \#1 \$x\$ & a\_b \& c & 0.3 \\", r"\midrule", r"ce & 1 & 2 \\", r"ce &  & 3 \\"]
