"""What the documentation shows is what works."""

import functools
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from PIL import Image

from lnl.app.arguments import prepare
from lnl.app.options import Options
from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR
from tests.conftest import above_chance

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMAND_NAMES = ("train", "evaluate", "report", "audit", "predict", "export")
CONFIGS = ("hydra/lnl", *COMMAND_NAMES[1:])
HELPS = {name: yaml.safe_load((ROOT / f"conf/{name}.yaml").read_text()) for name in CONFIGS}
EVERYTHING = README + "".join(  # the guides are run, whole, in test_guides.py
    page.read_text() for folder in ("docs", "docs/studies") for page in sorted((ROOT / folder).glob("*.md"))
)
EVERYTHING += "".join(config.get("hydra", config)["help"]["template"] for config in HELPS.values())
COMMANDS = re.findall(rf"(?:python -m lnl\.|^ *lnl )({'|'.join(COMMAND_NAMES)}) ([^#`\n]*)", EVERYTHING, re.MULTILINE)
USE = (ROOT / "docs/use.md").read_text()


@functools.cache
def composed(command, *overrides):
    register_resolvers()
    with initialize_config_dir(CONF_DIR, version_base="1.3"):
        return compose(command, overrides=list(overrides))


@pytest.mark.parametrize(("command", "arguments"), [command for command in COMMANDS if "--help" not in command[1]])
def test_a_command_is_one_that_can_be_given(command, arguments):
    choices = {}
    for argument in prepare(shlex.split(arguments), command):
        if argument != "-m":
            key, _, values = argument.partition("=")
            if key == "--config-dir":
                key, values = "hydra.searchpath", f"[file://{ROOT / values}]"
            if values.startswith("glob("):
                values = Options().names(key)[0]
            choices[key] = [values] if values.startswith(("[", "{")) else values.split(",")
    first = {key: values[0] for key, values in choices.items()}
    for key, values in choices.items():
        for value in values:
            assert composed(command, *(f"{name}={chosen}" for name, chosen in {**first, key: value}.items()))


def test_lnl_is_installed_from_its_clone():
    """There is no distribution of that name to install."""
    wrong = re.compile(r"""pip install ['"]?lnl\b|\blnl\[""")
    folders = [ROOT / name for name in ("src", "conf", "docs", "scripts")]
    pages = [
        path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".yaml", ".md", ".html")
    ]
    found = [str(path) for path in [*pages, *ROOT.glob("*.md"), ROOT / "Makefile"] if wrong.search(path.read_text())]
    assert len(pages) > 200
    assert found == []
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {extra for path in pages for extra in re.findall(r"pip install -e '\.\[(\w+)\]'", path.read_text())}
    assert {"joblib", "ray", "slurm", "optuna", "onnx", "hf"} <= named <= extras.keys()


def test_the_readme_names_every_option_that_a_run_is_made_of():
    """Of each group that ``lnl.train`` chooses from; Hydra's own settings are none."""
    defaults = yaml.safe_load(Path(CONF_DIR, "train.yaml").read_text())["defaults"]
    chosen = {group for entry in defaults if isinstance(entry, dict) for group, option in entry.items() if option}
    options = {
        group: sorted(path.stem for path in Path(CONF_DIR, group).glob("*.yaml")) for group in chosen - {"hydra"}
    }
    rows = dict(re.findall(r"^\| `(.+?)` \| (.*) \|$", README, re.MULTILINE))
    named = {group: sorted(re.findall("`(.+?)`", row)) for group, row in rows.items()}
    assert named == {group: names for group, names in options.items() if len(names) > 1}


def test_the_loss_of_the_readme_works_from_outside_the_package(digits, tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "my_loss.py").write_text(code)
    option = tmp_path / "mine/loss/brier.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("_target_: my_loss.Brier\n")
    monkeypatch.syspath_prepend(tmp_path)
    outcome = digits("--config-dir=mine", "loss=brier")
    assert outcome.code == 0, outcome.err
    assert outcome.result["loss"] == "brier"


@pytest.mark.slow
def test_the_page_about_use_works_word_for_word(digits, predict, export, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    assert digits("hydra.run.dir=outputs/runs/mine").code == 0
    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    (tmp_path / "photos").mkdir()
    for place in ("photo.png", "photos/a.jpg"):
        Image.fromarray(pixels).save(tmp_path / place)
    (tmp_path / "new.csv").write_text("path\nphoto.png\nmissing.png\n")
    commands = re.findall(r"^python -m lnl\.(predict|export) (.*)$", USE, re.MULTILINE)
    assert len(commands) == 4
    for name, arguments in commands:
        outcome = {"predict": predict, "export": export}[name](*shlex.split(arguments))
        assert outcome.code == 0, outcome.err
    foreign, notebook = re.findall(r"```python\n(.*?)```", USE, re.DOTALL)
    capsys.readouterr()
    exec(foreign, {})
    assert capsys.readouterr().out.strip() in [str(digit) for digit in range(10)]
    exec(notebook, {})
    score, header, *issues = capsys.readouterr().out.splitlines()
    assert float(score) > above_chance(297)
    assert header.split() == ["index", "given_label", "suggested_label", "score"]
    assert len(issues) == 5


def test_every_key_of_a_result_is_documented(digits):
    documented = (ROOT / "docs/run_folder.md").read_text()

    def keys(value, depth=0):
        if isinstance(value, dict) and depth < 4:
            for key, entry in value.items():
                yield key
                if key not in ("config", "versions"):
                    yield from keys(entry, depth + 1)

    result = digits().result
    assert {key for key in keys(result) if f"`{key}`" not in documented and f"/{key}`" not in documented} <= {"loss"}
