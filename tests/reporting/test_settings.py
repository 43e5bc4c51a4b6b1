"""What the runs of a table differ in is said: by the rows' names, or below the table."""

import pytest

from lnl.reporting.material import Options, gather
from lnl.reporting.page import payload, write_page
from lnl.reporting.report_figures import draw_all
from tests.reporting.test_report_figures import OPTIONS
from tests.reporting.written import write_run

MIX = {"_target_": "own.Mixup", "alpha": 1.0}
SGD = {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.9}


HISTORY = {"_target_": "lnl.callbacks.SampleHistory", "neighbours": 5}


def tables(root, **change):
    """Those of the last epoch, as a report has them."""
    return gather(Options(**OPTIONS | {"runs": str(root), "output_dir": str(root / "reports"), **change})).tables


def rows(root, **arguments):
    return [str(row) for row in tables(root, **arguments)[0].values.mean.index]


def said(root, **arguments):
    """What stands between the brackets of the sentence, by key."""
    notes = [note for note in tables(root, **arguments)[0].notes if note.startswith("Runs also differ in ")]
    text = notes[0].removeprefix("Runs also differ in ").removesuffix(".") if notes else ""
    return dict(part.removesuffix(")").split(" (", 1) for part in text.split("), ") if part)


def test_rows_of_unlike_length_are_told(tmp_path):
    for loss, epochs in (("ce", 3), ("gce", 4), ("mae", 6), ("rce", 3)):
        config = {"trainer": {"max_epochs": epochs}, "scheduler": {"T_max": epochs}}
        write_run(tmp_path, "study", loss=loss, epochs=epochs, config=config)
    assert said(tmp_path) == {"epochs": "3 for ce and rce; 4 for gce; 6 for mae"}


def test_a_cell_of_runs_that_stopped_early_has_its_range(tmp_path):
    stopping = {"callbacks": {"early_stopping": {"patience": 2}}, "trainer": {"max_epochs": 9}}
    for seed, epochs in enumerate((3, 5, 4)):
        write_run(tmp_path, "study", seed=seed, epochs=epochs, config=stopping)
        write_run(tmp_path, "study", seed=seed, epochs=9, loss="gce", config={"trainer": {"max_epochs": 9}})
    assert said(tmp_path) == {"epochs": "3 to 5 for ce + early_stopping; 9 for gce"}


def test_what_a_column_has_for_all_its_rows_is_told_by_column(tmp_path):
    for rate, epochs in ((0.1, 3), (0.3, 6)):
        for loss in ("ce", "gce"):
            write_run(tmp_path, "study", rate=rate, loss=loss, epochs=epochs)
    write_run(tmp_path / "more", "study", rate=0.1, epochs=3)
    write_run(tmp_path / "more", "study", rate=0.3, epochs=6)
    write_run(tmp_path / "more", "study", rate=0.3, epochs=3, loss="gce")
    assert said(tmp_path / "study") == {"epochs": "3 for rate 0.1; 6 for rate 0.3"}
    assert said(tmp_path / "more") == {"epochs": "3 for ce at rate 0.1 and gce; 6 for ce at rate 0.3"}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"data": {"batch_size": 64}}, {"data": {"batch_size": 256}}, {"batch_size": "64 for ce; 256 for gce"}),
        ({"data": {"subset": None}}, {"data": {"subset": 500}}, {"subset": "not given for ce; 500 for gce"}),
        ({"model": {"width": 1}}, {"model": {"width": 2}}, {"width": "1 for ce; 2 for gce"}),
        ({"trainer": {"clip": None}}, {"trainer": {"clip": 1.0}}, {"clip": "not given for ce; 1 for gce"}),
        ({"init_from": None}, {"init_from": "a.ckpt"}, {"init_from": "not given for ce; a.ckpt for gce"}),
        ({"optimizer": SGD}, {"optimizer": SGD | {"lr": 0.2}}, {"lr": "0.1 for ce; 0.2 for gce"}),
        (
            {"optimizer": SGD},
            {"optimizer": {"_target_": "torch.optim.Adam", "lr": 0.1, "betas": [0.9, 0.99]}},
            {"optimizer": "SGD for ce; Adam for gce"},  # of which each has keys of its own
        ),
        ({"loss": {}}, {"loss": {"q": 0.7}}, {}),  # which the other loss has not
        ({"seed": 0, "data": {"split_seed": 0}}, {"seed": 1, "data": {"split_seed": 1}}, {}),
        ({"callbacks": {"sample_history": HISTORY}}, {"callbacks": {}}, {}),  # looks on
        (
            {"trainer": {"accelerator": "cpu"}},
            {"trainer": {"accelerator": "gpu"}},
            {"accelerator": "cpu for ce; gpu for gce"},
        ),
    ],
)
def test_settings_that_rows_do_not_name_are_told(tmp_path, first, second, expected):
    for loss, config in (("ce", first), ("gce", second)):
        write_run(tmp_path, "study", loss=loss, config=config)
    assert rows(tmp_path) == ["ce", "gce"]
    assert said(tmp_path) == expected


def test_code_and_files_that_changed_are_told(tmp_path):
    for loss, digest in zip(("ce", "gce"), ("a" * 64, "b" * 64), strict=True):
        files = {"init_from": digest, "data.trusted": digest}
        config = {"init_from": "weights.ckpt", "data": {"trusted": f"{loss}.csv"}}
        write_run(tmp_path, "study", loss=loss, sources={"own.Mixup": f"0{digest}"}, files=files, config=config)
    assert said(tmp_path) == {
        "data.trusted": "ce.csv for ce; gce.csv for gce",  # whose content follows
        "Mixup": "0aaaaaaa for ce; 0bbbbbbb for gce",
        "files.init_from": "aaaaaaaa for ce; bbbbbbbb for gce",
    }


def test_what_names_say_and_what_follows_from_them_is_not_told(tmp_path):
    for rate in (0.1, 0.3):
        for lr in (0.1, 0.2):
            write_run(tmp_path, "study", rate=rate, config={"optimizer": {"lr": lr}, "noise": {"rate": rate}})
        config = {"method": {"forget_rate": rate}, "optimizer": {"lr": 0.1}, "noise": {"rate": rate}}
        write_run(tmp_path, "study", method="co_teaching", rate=rate, config=config)
    assert rows(tmp_path) == ["ce, lr=0.1", "ce, lr=0.2", "co_teaching + ce"]
    assert said(tmp_path) == {"lr": "0.1 for ce, lr=0.1 and co_teaching + ce; 0.2 for ce, lr=0.2"}
    for lr in (0.1, 0.2):
        write_run(tmp_path / "named", "study", config={"optimizer": {"lr": lr}})
    assert said(tmp_path / "named") == {}


def test_an_option_that_is_neither_row_nor_column_is_told(tmp_path):
    for model, method in (("cnn", "baseline"), ("mlp", "elr")):
        write_run(tmp_path, "study", model=model, method=method)
    assert said(tmp_path, rows=["model"]) == {"method": "baseline for cnn; elr for mlp"}


def test_what_acts_beside_a_method_is_told_by_its_name(tmp_path):
    mixup, ema = {"_target_": "lnl.methods.Mixup", "alpha": 1.0}, {"_target_": "lnl.callbacks.EMA", "decay": 0.9}
    write_run(tmp_path, "study", config={"loss": {"label_smoothing": 0.0}})
    write_run(tmp_path, "study", config={"loss": {"label_smoothing": 0.0}, "mix": mixup, "average": ema})
    write_run(tmp_path, "study", config={"loss": {"label_smoothing": 0.1}, "mix": mixup})
    assert rows(tmp_path) == ["ce", "ce + ema + mixup", "ce + mixup + smoothing0.1"]
    assert said(tmp_path) == {}


def test_many_rows_with_the_same_value_are_the_others(tmp_path):
    for loss in ("ce", "gce", "mae", "nce", "rce"):
        write_run(tmp_path, "study", loss=loss, epochs=2 if loss == "gce" else 7)
    assert said(tmp_path) == {"epochs": "2 for gce; 7 for the others"}


def test_callbacks_that_change_numbers_are_in_a_row_s_name(tmp_path):
    write_run(tmp_path, "study", 0.5, config={"callbacks": {"sample_history": HISTORY, "gone": None}})
    write_run(tmp_path, "study", 0.6, config={"callbacks": {"mix": MIX}})
    write_run(
        tmp_path, "study", 0.7, method="elr", config={"callbacks": {"mix": MIX, "average": {"_target_": "own.A"}}}
    )
    assert rows(tmp_path) == ["ce", "ce + mix", "elr + ce + average + mix"]
    assert said(tmp_path) == {}
    assert tables(tmp_path)[0].baseline == "ce"
    assert rows(tmp_path, columns="callbacks") == ["ce", "elr + ce"]
    assert set(rows(tmp_path, rows=["callbacks"])) == {"none", "mix", "average + mix"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"alpha": 0.2}, ["ce + mix, alpha=0.2", "ce + mix, alpha=1"]),
        ({"_target_": "own.Cutmix"}, ["ce + mix, mix=Cutmix", "ce + mix, mix=Mixup"]),
    ],
)
def test_callbacks_of_one_name_that_differ_split_the_row(tmp_path, change, expected):
    for seed, mix in enumerate((MIX, MIX | change)):
        write_run(tmp_path, "study", seed=seed, config={"callbacks": {"mix": mix}})
    assert rows(tmp_path) == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"sources": {"own.Mixup": "a" * 64}}, {"sources": {"own.Mixup": "b" * 64}}, "Mixup=aaaaaaaa Mixup=bbbbbbbb"),
        (
            {"files": {"init_from": "a" * 64}},
            {"files": {"init_from": "b" * 64}},
            "init_from=aaaaaaaa init_from=bbbbbbbb",
        ),
        ({"numbers_version": 3}, {"numbers_version": 4}, "numbers_version=3 numbers_version=4"),
        (
            {"config": {"optimizer": {"_target_": "torch.optim.Adam"}}},
            {"config": {"optimizer": {"_target_": "torch.optim.SGD"}}},
            "optimizer=Adam optimizer=SGD",
        ),
    ],
)
def test_seeds_of_runs_that_differ_in_their_identity_are_not_averaged(tmp_path, first, second, expected):
    for seed, change in enumerate((first, second)):
        write_run(tmp_path, "study", seed=seed, **change)
    assert rows(tmp_path) == [f"ce, {difference}" for difference in expected.split()]


def test_a_method_without_a_loss_has_none_in_its_row(tmp_path):
    for method, loss in (("fit_once", "none"), ("baseline", "ce")):
        write_run(tmp_path, "study", method=method, loss=loss)
    assert rows(tmp_path) == ["ce", "fit_once"]


@pytest.fixture
def part(tmp_path):
    """Three seeds of two methods, one of which visits 12 % of the training samples."""
    for seed in range(3):
        write_run(tmp_path, "study", seed=seed, train=0.02 + 0.01 * seed, visited=1.0)
        curve = [
            {"train/accuracy": 0.5, "train/accuracy_correct": 1.0, "train/visited": share} for share in (0.12, 1.0)
        ]
        facts = {"seed": seed, "method": "label_correction", "train": 0.19, "curve": curve}
        write_run(tmp_path, "study", visited=0.12, **facts)
    return tmp_path


def test_numbers_of_a_part_of_the_samples_say_of_which(part):
    train, test = tables(part, metric=["train/accuracy", "test/accuracy"])
    assert [(cell.text, cell.remarks) for (cell,) in train.cells().values()] == [
        ("3.0 ± 1.0", ()),
        ("19.0 ± 0.0", ("of 12 %",)),
    ]
    assert "| 19.0 ± 0.0 (of 12 %) |" in train.markdown()
    assert r"19.0 $\pm$ 0.0 (of 12 \%)" in train.latex()
    assert train.frame()["visited"].tolist() == ["", "of 12 %"]
    assert sum("measured on the n % of the training samples" in note for note in train.notes) == 1
    assert not len(train.tests)  # the two are not of the same samples
    assert not len(tables(part, metric="train/accuracy", baseline="label_correction + ce")[0].tests)
    assert len(test.tests) == 1
    assert "of 12 %" not in test.markdown()


def test_figures_and_the_page_say_of_which_samples_their_curves_are(part):
    options = OPTIONS | {"runs": str(part), "output_dir": str(part / "reports"), "page": True}
    material = gather(Options(**options))
    texts = {one.name.partition("-")[0]: one.text for one in draw_all(material)}
    note = "Measured on the training samples that an epoch visited: label_correction + ce, 12 %."
    assert note in texts["epochs"]
    runs = [run for run in payload(material, part)["runs"] if run["curves"]]
    (curves,) = {tuple(map(tuple, run["curves"]["fitted_correct"])) for run in runs}
    assert curves == ((2, 700.0),)  # of 1,000 samples three tenths have a wrong label
    write_page(material, part / "index.html")
    assert note in (part / "index.html").read_text()
