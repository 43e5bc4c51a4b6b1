"""Paths are taken as they were typed."""

import os
from pathlib import Path
from typing import get_args

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_object
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from lnl.app.arguments import prepare
from lnl.app.options import Options
from lnl.app.paths import LISTS, OR_NUMBERS, PATHS, as_typed, parse
from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR
from lnl.values import WHOLE, hints_of
from tests.datasets.own import write_folder

NAMES = [
    *("My photos (new), a=b", "decisions (1).csv", "2024_10", "007", "1e3", "null", "true", "a,b", "it's", 'a"b'),
    *("[x]", "{y}", "{a: b}", " both ends ", "back\\slash\\", "a\\,b", "'quoted'", "ümläut #1 $x 100%", "range(1,3)"),
    *("a=b", "tab\tand\nline", "-1", "+1", "@x", ".inf", "*", "日本語", "glob(*)", "a:b", "x, y"),
]


def config(command, *arguments):
    register_resolvers()
    flags = [argument for argument in arguments if argument.startswith("-")]
    with initialize_config_dir(CONF_DIR, version_base="1.3"):
        return compose(command, prepare(arguments, command)[len(flags) :])


@pytest.mark.parametrize("name", NAMES)
def test_the_configuration_has_the_path_that_was_typed(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / name, per_class=1)
    data = config("train", f"data.path={name}", f"init_from={name}", f"paths.output_dir={name}")
    assert (data.data.path, data.init_from, data.paths.output_dir) == (name, name, name)
    assert data.data._target_ == "lnl.data.FolderData"
    assert config("predict", f"run={name}", f"images={name}").images == name
    assert config("report", f"++runs={name}").runs == name
    (tmp_path / name / "result.json").touch()  # it is a run, too
    evaluation = config("evaluate", "./" + name, str(tmp_path / name))
    assert list(evaluation.runs) == ["./" + name, str(tmp_path / name)]


@settings(max_examples=150)
@example("\\'")
@example("' ,")
@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12))
def test_any_name_of_a_file_is_taken_as_typed(tmp_path_factory, name):
    assume(name not in (".", "..") and "${" not in name and os.path.expanduser(name) == name)
    folder = tmp_path_factory.mktemp("any")
    (folder / name).touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for sweep in (False, True):
            assert parse(as_typed(f"data.path={name}", sweep)).value() == name
        assert parse(as_typed(f"runs={folder}/{name}")).value() == f"{folder}/{name}"


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("data.path=2024_10", "2024_10"),  # nothing of these is there
        ("data.path=photos (1)", "photos (1)"),
        ("data.path='two words'", "two words"),
        ("data.path=a\\,b", "a,b"),
        ("data.path=a,b", "a,b"),
        ("data.path=${oc.env:HERE}/x", "${oc.env:HERE}/x"),
        ("data.path=${oc.env:HERE}/x (1)", "${oc.env:HERE}/x (1)"),
        ("data.path=~/photos", "HOME/photos"),
        ("output=~$a.csv", Path("~$a.csv")),  # no user's home
        ("hydra.run.dir='~/a b'", "HOME/a b"),
        ("init_from=null", None),
        ("data.trusted=100", 100),
        ("data.trusted=right (1).csv", "right (1).csv"),
        ("runs=[a (1),b, 2024_10,'c,d',~/e]", ["a (1)", "b", "2024_10", "c,d", "HOME/e"]),
        ("runs=[a,b]", ["a", "b"]),
        ("runs=[]", []),
        ("runs=[a\\,b\\]", ["a\\", "b\\"]),
        ("++output=a=b", "a=b"),
        ("noise.rate=0.5", 0.5),
    ],
)
def test_what_is_not_there_is_read_as_hydra_does_if_it_can(typed, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "HOME")
    (tmp_path / "100").touch()
    value = str(value.absolute()) if isinstance(value, Path) else value
    assert parse(as_typed(typed)).value() == value


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("data.path=a,b", ["a", "b"]),
        ("data.path=a (1), 2024_10,it's", ["a (1)", "2024_10", "it's"]),
        ("data.path=choice(a,b)", ["a", "b"]),
        ("data.trusted=100,200", [100, 200]),
        ("data.path=x,y", None),
    ],
)
def test_commas_are_a_sweep_unless_a_file_has_them(typed, values, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x,y").mkdir()
    override = parse(as_typed(typed, sweep=True))
    if values is None:
        assert override.value() == "x,y"
    else:
        assert [getattr(value, "text", value) for value in override.value().list] == values


def takes_path(hint):
    return hint in (Path, os.PathLike) or any(takes_path(kind) for kind in get_args(hint) if isinstance(kind, type))


def paths_of(node, prefix):
    """The keys of a part of the configuration whose annotations have a Path."""
    for key, value in node.items_ex(resolve=False):
        if isinstance(value, DictConfig):
            yield from paths_of(value, f"{prefix}.{key}")
    if target := OmegaConf.to_container(node).get("_target_"):
        hints = hints_of(get_object(target))
        yield from (f"{prefix}.{key}" for key, hint in hints.items() if takes_path(hint) or takes_path_in(hint))


def takes_path_in(hint):
    return any(takes_path(kind) for kind in get_args(hint))


@pytest.mark.slow
def test_the_keys_that_take_a_path_are_those_of_the_options_classes():
    options = Options()
    expected = {key for key, hint in WHOLE.items() if takes_path_in(hint)} - {"against"}  # a study, by its name
    for group in ("data", "noise", "model", "method", "trainer", "corruption", "optimizer", "loss"):
        for option in options.names(group):
            with initialize_config_dir(CONF_DIR, version_base="1.3"):
                node = compose("train", [f"+{group}@options.it={option}"]).options.it
            expected |= set(paths_of(node, group))
    folders = {"paths.cache_dir", "paths.data_dir", "paths.output_dir", "paths.run_dir", "output_dir", "name"}
    trackers = {"logger.tensorboard.save_dir", "logger.wandb.save_dir"}
    of_hydra = {"hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"}
    hub = {"data.name"}  # or a folder
    assert expected | folders | trackers | of_hydra | hub | {"features.path"} == PATHS
    assert {"run", "runs", "images", "hydra.searchpath"} == LISTS
    assert {"data.trusted", "method.transition"} == OR_NUMBERS


@pytest.mark.parametrize("command", ["train", "audit", "evaluate", "predict", "export", "report"])
def test_a_key_whose_help_names_a_folder_or_file_takes_a_path(command):
    for line in Path(CONF_DIR, f"{command}.yaml").read_text().splitlines():
        key, _, value = line.strip().partition("=")
        if value.lstrip("[").startswith(("FOLDER", "FILE")):
            assert key in PATHS | LISTS
