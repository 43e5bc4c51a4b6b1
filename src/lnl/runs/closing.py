"""What a command prints when a run is trained or evaluated."""

import os
from pathlib import Path
from typing import Any

from lnl.runs.identity import acting

MEANINGS = {
    "last": "last epoch",
    "noisy_val_best": "best epoch by noisy validation labels",
    "oracle_best": "best epoch, SELECTED ON THE TEST SET: for comparison with papers that do",
}


def closing_block(result: dict[str, Any], folder: Path) -> str:
    """What was trained, on how many wrong labels, the accuracies, and the run folder."""
    data, seeds = result["data"], result["seeds"]
    parts = [result["method"], *({result["loss"]} - {"none"}), *acting(result["config"])]
    images = data["name"] if result["corruption"] == "none" else f"{data['name']} ({result['corruption']})"
    lines = [
        f"{images}, {result['model']}, {', '.join(parts)}, seed {seeds['seed']}: "
        f"{result['epochs']} epochs in {result['time']['fit_seconds']:.1f} s",
        *_labels(result),
        *(
            f"method.{name}={value:g} IS THE TRUE SHARE OF WRONG LABELS, which is known in experiments only"
            for name, value in result.get("oracle_options", {}).items()
        ),
    ]
    if "cross_validation" in result:
        folds = result["cross_validation"]
        accuracy = folds["val_accuracy"]
        lines.append(
            f"cross-validated on {folds['folds']} folds (below: their means): "
            f"{accuracy['mean']:.2%} ± {accuracy['std']:.2%} of the given labels predicted"
        )
    lines += [_accuracy(name, entry) for name, entry in result["protocol"].items()]
    if result["fast_dev_run"]:
        lines.insert(0, "SMOKE RUN: one batch of each kind; no result is kept")
    return _block(*lines, os.path.relpath(folder))


def _labels(result: dict[str, Any]) -> list[str]:
    """The labels trained on. A method that uses trusted samples has the right label of each."""
    data, noise, corrections = result["data"], result["noise"], result.get("corrections")
    # Of a cross-validated run all labels; data and noise have those of the first fold.
    folds = result.get("cross_validation", {})
    count, wrong = folds.get("labels", data["train"]), noise["train_wrong"]
    if (rate := folds.get("wrong_rate")) is not None:
        wrong = round(rate * count)
    trusted, others = data.get("trusted", 0), ""
    if corrections:
        count -= trusted
        said = f"trained on {trusted:,} trusted labels, then also on what was kept of {count:,}"
    else:
        said = f"trained on {count:,} labels{' cut into folds' if 'labels' in folds else ''}"
        others = f", {trusted:,} trusted" if trusted else ""
    number = "an unknown number" if wrong is None else f"{wrong:,}"
    share = "" if wrong is None else f" ({wrong / max(count, 1):.1%}, {noise['kind']})"
    lines = [f"{said}, {number} of them wrong{share}{others}"]
    for round_ in corrections or []:
        accuracy = round_.get("kept_accuracy")
        right = "" if accuracy is None else f", {accuracy:.1%} of the kept right"
        kept = f"kept {round_['kept']:,} of {round_['candidates']:,} labels, {round_['changed']:,} changed{right}"
        lines += [f"round {round_['round']} {kept}", *([f"  {round_['remark']}"] if "remark" in round_ else [])]
    return lines


def _accuracy(protocol: str, entry: dict[str, Any]) -> str:
    split, name = ("test", "test") if "test" in entry else ("val", "validation")  # without a test set
    meaning = MEANINGS.get(protocol) or f"end of stage {protocol.removeprefix('stage')}"
    if protocol != "last" and entry["epoch"] is not None:
        meaning += f" ({entry['epoch'] + 1})"
    if "trusted_test" in entry:
        meaning += f"; {entry['trusted_test']['accuracy']:.2%} on held-out trusted samples"
    return f"{name} accuracy {entry[split]['accuracy']:7.2%}  {meaning}"


def evaluation_block(record: dict[str, Any], folder: Path) -> str:
    """What was evaluated on which data, and the accuracy."""
    data, test = record["data"], record["test"]
    epoch = "last epoch" if record["protocol"] == "last" else f"best epoch by noisy validation ({record['epoch'] + 1})"
    lines = [
        os.path.relpath(folder),
        f"{data['name']}, {data['split']}, {data['samples']:,} images, {epoch}: accuracy {test['accuracy']:.2%}, "
        f"macro F1 {test['macro_f1']:.2%}, {1000 * record['time']['seconds_per_image']:.3g} ms an image",
    ]
    if not data["same_classes"]:
        lines.append("its classes are not those of training: label k is compared with output k, so numbers are matched")
    return _block(*lines)


def _block(*lines: str) -> str:
    return "\n".join(f"  {line}" for line in lines)
