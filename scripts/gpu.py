"""All that lnl wants to know of a GPU, in one command of at most 8 minutes on an H100.

    python scripts/gpu.py                          # outputs/gpu.json
    python scripts/gpu.py --device cpu --small     # a rehearsal of two minutes, anywhere
    python scripts/gpu.py --rows gpu.json          # what was found becomes rows of docs/benchmarks.md

The stages: the tests marked ``gpu``; ``benchmark.py`` for three networks in bfloat16 and float32, and for images that
come from workers; CIFAR-10 runs to their accuracy, on the GPU and on the machine's CPU; runs that share the GPU by
``hydra/launcher=ray``. Each is written to the JSON when it is done. The same command, given again, goes on with those
that are missing, that failed, or that the time was too short for.

A machine without a network may have torch, torchvision, pytorch-lightning, scikit-learn, pandas and pytest, and be
reached by nothing but copies of the repository of at most 64 MiB. What training needs besides is pure Python and goes
along as wheels; lnl's own says its version. In the repository's root, here:

    mkdir -p .carry && echo /.carry/ >> .git/info/exclude
    python -m pip wheel --no-deps -w .carry/wheels . hydra-core==1.3.8 omegaconf==2.3.1 antlr4-python3-runtime==4.9.3
    CIFAR=$LNL_DATA_DIR/cifar-10-batches-py
    cp $CIFAR/{batches.meta,data_batch_1,data_batch_2} .carry/                          # the first copy
    rm .carry/*batch*; cp $CIFAR/{data_batch_3,data_batch_4} .carry/                    # the second
    rm .carry/*batch*; cp $CIFAR/{data_batch_5,test_batch} .carry/                      # the third

There, with each copy:

    mkdir -p /tmp/data/cifar-10-batches-py && cp .carry/*batch* /tmp/data/cifar-10-batches-py/

With the last one also:

    python3 -m pip install -q --no-index --no-deps --no-compile --target /tmp/site .carry/wheels/*.whl
    PYTHONPATH=src:/tmp/site LNL_DATA_DIR=/tmp/data python3 scripts/gpu.py --output gpu.json

Only ``gpu.json`` has to come back. ``ray`` is left out there, by name, unless its wheels go along.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from xml.etree import ElementTree

import torch
from scipy import stats

import benchmark
from lnl.app.resolvers import register_resolvers
from lnl.errors import install
from lnl.training.environment import describe, send_warnings_to_the_log

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/benchmarks.md"
BLOCK = re.compile(r"(<!-- generated: gpu -->\n)(.*?)(<!-- end -->)", re.DOTALL)
HEADER = (
    "| device | network | precision | images | (a) | (b) | (a)/(b) | samples per second, (a) | the device waits |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
)
SMALL = (
    "data=digits",
    "data.subset=128",
    "data.val_subset=64",
    "data.test_subset=64",
    "data.batch_size=32",
    "data.num_workers=2",
)
BF16, FLOAT32 = "bf16-mixed", "32-true"


class Timed(NamedTuple):
    """An epoch to be timed: of what, in how many turns, and how many seconds that takes on an H100 at most."""

    network: str
    precision: str
    turns: int
    seconds: int
    workers: int = 0

    @property
    def name(self) -> str:
        return f"{self.network} {self.precision}" + (f" {self.workers} workers" if self.workers else "")

    @property
    def overrides(self) -> list[str]:
        images = ["data.device_cache=false", f"data.num_workers={self.workers}"] if self.workers else []
        return [f"model={self.network}", f"trainer.precision={self.precision}", *images]


EPOCHS = (
    Timed("cnn", BF16, turns=5, seconds=25),
    Timed("cnn8", BF16, turns=3, seconds=30),
    Timed("resnet18", BF16, turns=3, seconds=40),
    Timed("cnn", FLOAT32, turns=3, seconds=20),
    Timed("cnn8", FLOAT32, turns=2, seconds=30),
    Timed("resnet18", FLOAT32, turns=1, seconds=35),
    Timed("cnn", BF16, turns=2, seconds=50, workers=8),
)
SEEDS = (0, 1, 2)


class SkipStage(Exception):
    """A stage that cannot be on this machine, and why."""


def run(*command: str) -> float:
    """Runs a command in the repository's root, with this interpreter; returns its seconds.

    Raises:
        RuntimeError: with the end of what it said, if it failed.
        subprocess.TimeoutExpired: after five minutes.
    """
    started = time.perf_counter()
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {(done.stdout + done.stderr)[-3000:]}")
    return time.perf_counter() - started


def tests() -> dict[str, Any]:
    """How many of the tests marked ``gpu`` passed, and which were skipped for what."""
    if importlib.util.find_spec("pytest") is None:
        raise SkipStage("pytest is not installed")
    # Not all files: other tests import what may be missing here.
    files = sorted(str(path) for path in (ROOT / "tests").rglob("test_*.py") if "mark.gpu" in path.read_text())
    with TemporaryDirectory() as folder:
        report = f"{folder}/tests.xml"
        run("-m", "pytest", "-m", "gpu", f"--junitxml={report}", *files)
        cases = list(ElementTree.parse(report).iter("testcase"))
    skips = {str(case.get("name")): case.find("skipped") for case in cases}
    left_out = {name: skip.get("message") for name, skip in skips.items() if skip is not None}
    return {"passed": len(cases) - len(left_out), "left_out": left_out}


def time_epoch(device: str, small: bool, timed: Timed) -> dict[str, Any]:
    """``benchmark.py`` without its notebook pipeline."""
    cfg = benchmark.configuration(device, *timed.overrides, *(SMALL if small else ()))
    return benchmark.measure(cfg, torch.device(device), 1 if small else timed.turns, workers=None)


def sweep(folder: str, device: str, *overrides: str) -> tuple[float, list[dict[str, Any]]]:
    """Seconds of a sweep, and its results."""
    accelerator = {"cpu": "cpu", "cuda": "gpu"}[device]
    options = (
        f"trainer.accelerator={accelerator}",
        f"hydra.sweep.dir={folder}",
        "sweep=gpu",
        f"paths.output_dir={folder}",
    )
    seconds = run("-m", "lnl.train", "-m", *options, *overrides)
    return seconds, [json.loads(path.read_text()) for path in sorted(Path(folder).rglob("result.json"))]


def share(device: str, small: bool) -> dict[str, Any]:
    """Four runs at a time on one GPU, and the same one after another: seconds of each."""
    for module in ("ray", "hydra_plugins.hydra_ray_launcher"):
        if importlib.util.find_spec(module.split(".")[0]) is None or importlib.util.find_spec(module) is None:
            raise SkipStage(f"ray is not installed ({install('ray')})")
    gpus = 0.25 if device == "cuda" else 0
    launcher = ("hydra/launcher=ray", f"hydra.launcher.ray.remote.num_gpus={gpus}")
    options = (*SMALL, "trainer.max_epochs=1", "seed=0,1") if small else ("data.subset=10000", "seed=0,1,2,3")
    found: dict[str, Any] = {}
    for name, how in {"ray": launcher, "one_after_another": ()}.items():
        with TemporaryDirectory() as folder:
            found[f"{name}_seconds"], results = sweep(folder, device, *how, *options)
        found[f"{name}_accuracies"] = accuracies(results)
    return {"gpus_of_a_job": gpus, **found}


def accuracies(results: list[dict[str, Any]]) -> list[float]:
    """Test accuracies of the last epoch."""
    return [result["protocol"]["last"]["test"]["accuracy"] for result in results]


def accuracy(device: str, small: bool) -> dict[str, Any]:
    """Test accuracies over the seeds: of the CPU, and in both precisions of the device; of the default run there."""
    fewer = (*SMALL, "trainer.max_epochs=1") if small else ("data.subset=10000",)
    seeds = f"seed={','.join(map(str, SEEDS))}"
    with TemporaryDirectory() as folder:
        found = {"cpu": accuracies(sweep(folder, "cpu", seeds, f"trainer.precision={FLOAT32}", *fewer)[1])}
    with TemporaryDirectory() as folder:
        _, results = sweep(folder, device, seeds, f"trainer.precision={FLOAT32},{BF16}", *fewer)
    for name, precision in (("device", FLOAT32), ("bf16", BF16)):
        found[name] = accuracies([each for each in results if each["config"]["trainer"]["precision"] == precision])
    with TemporaryDirectory() as folder:
        found["default_run"] = accuracies(sweep(folder, device, "seed=0", *(fewer if small else ()))[1])
    p_values = {name: same_mean(found["cpu"], found[name]) for name in ("device", "bf16")}
    return {**found, "p_values": p_values, "equal": all(p > 0.01 for p in p_values.values())}


def same_mean(ours: list[float], theirs: list[float]) -> float:
    """The p-value of Welch's t-test, 1 where all values are the same."""
    return 1.0 if len({*ours, *theirs}) == 1 else float(stats.ttest_ind(ours, theirs, equal_var=False).pvalue)


def stages(device: str, small: bool) -> dict[str, tuple[Callable[[], dict[str, Any]], int]]:
    """What is to be done, by name, and how many seconds it takes on an H100 at most."""
    timed = {each.name: (partial(time_epoch, device, small, each), each.seconds) for each in EPOCHS}
    return {
        "tests": (tests, 60),
        **timed,
        "accuracy": (partial(accuracy, device, small), 120),
        "ray": (partial(share, device, small), 70),
    }


def go(report: dict[str, Any], todo: dict[str, Any], minutes: float, save: Callable[[dict[str, Any]], Any]) -> None:
    """Runs the stages that ``report`` has not finished, in order, while there is time, and saves it after each.

    Args:
        report: what was found so far; ``stages`` of it is filled.
        todo: of :func:`stages`.
        minutes: a stage that would not end within these is left to the next time.
        save: takes the report.
    """
    started = time.monotonic()
    for name, (stage, seconds) in todo.items():
        if finished(report, name):
            print(f"{name}: finished before", flush=True)
            continue
        begun = time.monotonic()
        if begun - started + seconds > 60 * minutes:
            print(f"{name}: no time left, give the command again", flush=True)
            continue
        try:
            found = stage()
        except SkipStage as reason:
            found = {"skipped": str(reason)}
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"}
            traceback.print_exc()
        report["stages"][name] = {**found, "took": round(time.monotonic() - begun, 1)}
        save(report)
        said = found.get("skipped") or found.get("error", "").split("\n")[0] or "done"
        print(f"{name}: {said}, {time.monotonic() - begun:.0f} s", flush=True)


def finished(report: dict[str, Any], name: str) -> bool:
    """Whether a stage has been gone through; one that failed, or was skipped, is tried again."""
    return not {"error", "skipped"} & report["stages"].get(name, {"error": ""}).keys()


def rows(report: dict[str, Any]) -> list[str]:
    """A row of the page's table for each network and way that was timed."""
    lines = []
    for timed in EPOCHS:
        if not finished(report, timed.name):
            continue
        found = report["stages"][timed.name]
        seconds, waits = found["median_seconds"], found["device_waits"]
        cells = [
            report["device_name"],
            timed.network,
            timed.precision,
            f"from {timed.workers} workers" if timed.workers else "on the device",
            f"{seconds['lnl']:.2f} s",
            f"{seconds['bare']:.2f} s",
            f"{found['median_ratios']['lnl / bare']:.2f}",
            f"{found['samples_per_second']:,.0f}",
            "" if waits is None else f"{waits:.0%}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def write_rows(report: dict[str, Any], page: Path) -> None:
    """Puts the rows in place of what the page's table had of this device."""
    text = page.read_text()
    match = BLOCK.search(text)
    if match is None:
        raise ValueError(f"{page} has no <!-- generated: gpu --> ... <!-- end -->")
    kept = [line for line in match[2].splitlines() if line.startswith("| ") and not line.startswith("| device |")]
    kept = [line for line in kept if not line.startswith(f"| {report['device_name']} |")]
    table = HEADER + "".join(f"{line}\n" for line in [*kept, *rows(report)])
    page.write_text(BLOCK.sub(lambda _: f"{match[1]}{table}{match[3]}", text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--small", action="store_true", help="digits and one epoch: to try the script itself")
    parser.add_argument("--minutes", type=float, default=8.0, help="no stage is begun that would end later")
    parser.add_argument("--output", type=Path, default=None, help="the JSON; outputs/gpu.json or outputs/small.json")
    parser.add_argument("--rows", type=Path, metavar="JSON", help="only write the rows of docs/benchmarks.md")
    arguments = parser.parse_args()
    if arguments.rows:
        write_rows(json.loads(arguments.rows.read_text()), PAGE)
        return
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: torch sees no CUDA device; --device cpu --small tries the script.")

    send_warnings_to_the_log()
    register_resolvers()
    output = arguments.output or ROOT / ("outputs/small.json" if arguments.small else "outputs/gpu.json")
    of = {"device_name": describe(torch.device(arguments.device), "auto")["device_name"], "small": arguments.small}
    report = json.loads(output.read_text()) if output.exists() else {**of, "stages": {}}
    if any(report[key] != of[key] for key in of):
        sys.exit(f"error: {output} is of {report['device_name']}, small={report['small']}: give another --output.")
    output.parent.mkdir(parents=True, exist_ok=True)
    todo = stages(arguments.device, arguments.small)
    go(report, todo, arguments.minutes, lambda found: output.write_text(json.dumps(found, indent=2) + "\n"))
    print("\n".join([f"\n{HEADER.strip()}", *rows(report), f"\n{output}"]))
    sys.exit(any("error" in found for found in report["stages"].values()))


if __name__ == "__main__":
    main()
