"""What a run says when it is done."""

import os
from pathlib import Path
from typing import Any


def closing_block(result: dict[str, Any], folder: Path) -> str:
    """What was trained, on how many wrong labels, the accuracies, and where everything is."""
    data, noise, seeds = result["data"], result["noise"], result["seeds"]
    rate = noise["train_rate"]
    wrong = "an unknown number" if rate is None else f"{round(rate * data['train']):,}"
    share = "" if rate is None else f" ({rate:.1%}, {noise['kind']})"
    images = data["name"] if result["corruption"] == "none" else f"{data['name']} ({result['corruption']})"
    lines = [
        f"{images}, {result['model']}, {result['method']}, {result['loss']}, seed {seeds['seed']}: "
        f"{result['epochs']} epochs in {result['time']['fit_seconds']:.1f} s",
        f"trained on {data['train']:,} labels, {wrong} of them wrong{share}",
        *(
            f"test accuracy {entry['test']['accuracy']:7.2%}  {_meaning(name, entry)}"
            for name, entry in result["protocol"].items()
        ),
        str(Path(os.path.relpath(folder))),
    ]
    if result["fast_dev_run"]:
        lines.insert(0, "SMOKE RUN: one batch of each kind; no result is kept")
    return "\n".join(f"  {line}" for line in lines)


def _meaning(protocol: str, entry: dict[str, Any]) -> str:
    if protocol == "last":
        return "last epoch"
    return f"best epoch by noisy validation labels ({entry['epoch'] + 1})"
