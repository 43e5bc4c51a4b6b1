"""What a run says when it is done."""

import os
from pathlib import Path
from typing import Any

from lnl.runs.identity import acting


def closing_block(result: dict[str, Any], folder: Path) -> str:
    """What was trained, on how many wrong labels, the accuracies, and where everything is."""
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
        *_folds(result),
        *(f"{_accuracy(entry)}  {_meaning(name, entry)}" for name, entry in result["protocol"].items()),
        str(Path(os.path.relpath(folder))),
    ]
    if result["fast_dev_run"]:
        lines.insert(0, "SMOKE RUN: one batch of each kind; no result is kept")
    return "\n".join(f"  {line}" for line in lines)


def _labels(result: dict[str, Any]) -> list[str]:
    """What was trained on. Of a trusted sample, a method that uses it has the right label."""
    data, noise, corrections = result["data"], result["noise"], result.get("corrections")
    # Of a cross-validated run all labels; data and noise have those of the first fold.
    folds = result.get("cross_validation", {})
    count, wrong = folds.get("labels", data["train"]), wrong_labels(result)
    if (rate := folds.get("wrong_rate")) is not None:
        wrong = round(rate * count)
    trusted = data.get("trusted", 0)
    if corrections:
        count -= trusted
        said = f"trained on {trusted:,} trusted labels, then also on what was kept of {count:,}"
    else:
        said = f"trained on {count:,} labels{' cut into folds' if 'labels' in folds else ''}"
    number = "an unknown number" if wrong is None else f"{wrong:,}"
    share = "" if wrong is None else f" ({wrong / max(count, 1):.1%}, {noise['kind']})"
    others = f", {trusted:,} trusted" if trusted and not corrections else ""
    return [
        f"{said}, {number} of them wrong{share}{others}",
        *(line for counts in corrections or [] for line in _correction(counts)),
    ]


def wrong_labels(result: dict[str, Any]) -> int | None:
    """How many of the labels trained on are wrong; None where nobody knows."""
    noise = result["noise"]
    if "train_wrong" in noise:
        return noise["train_wrong"]
    rate = noise["train_rate"]  # of a run from before they were counted
    return None if rate is None else round(rate * result["data"]["train"])


def _correction(counts: dict[str, Any]) -> list[str]:
    accuracy = counts.get("kept_accuracy")
    line = f"round {counts['round']} kept {counts['kept']:,} of {counts['candidates']:,} labels, "
    line += f"{counts['changed']:,} changed" + ("" if accuracy is None else f", {accuracy:.1%} of the kept right")
    return [line, *([f"  {counts['remark']}"] if "remark" in counts else [])]


def evaluation_block(record: dict[str, Any], folder: Path) -> str:
    """What was evaluated on what, and how well it did."""
    data, test = record["data"], record["test"]
    epoch = "last epoch" if record["protocol"] == "last" else f"best epoch by noisy validation ({record['epoch'] + 1})"
    lines = [
        str(Path(os.path.relpath(folder))),
        f"{data['name']}, {data['split']}, {data['samples']:,} images, {epoch}: accuracy {test['accuracy']:.2%}, "
        f"macro F1 {test['macro_f1']:.2%}, {1000 * record['time']['seconds_per_image']:.3g} ms an image",
    ]
    if not data["same_classes"]:
        lines.append("its classes are not those of training: label k is compared with output k, so numbers are matched")
    return "\n".join(f"  {line}" for line in lines)


def _accuracy(entry: dict[str, Any]) -> str:
    if "test" in entry:
        return f"test accuracy {entry['test']['accuracy']:7.2%}"
    return f"validation accuracy {entry['val']['accuracy']:7.2%}"  # there is no test set


def _meaning(protocol: str, entry: dict[str, Any]) -> str:
    if protocol == "last":
        meaning = "last epoch"
    elif protocol == "noisy_val_best":
        meaning = "best epoch by noisy validation labels"
    elif protocol == "oracle_best":
        meaning = "best epoch, SELECTED ON THE TEST SET: for comparison with papers that do"
    else:
        meaning = f"end of stage {protocol.removeprefix('stage')}"
    if protocol != "last" and entry["epoch"] is not None:
        meaning += f" ({entry['epoch'] + 1})"
    if "trusted_test" in entry:
        meaning += f"; {entry['trusted_test']['accuracy']:.2%} on held-out trusted samples"
    return meaning


def _folds(result: dict[str, Any]) -> list[str]:
    if "cross_validation" not in result:
        return []
    folds = result["cross_validation"]
    accuracy = folds["val_accuracy"]
    return [
        f"cross-validated on {folds['folds']} folds (below: their means): "
        f"{accuracy['mean']:.2%} ± {accuracy['std']:.2%} of the given labels predicted"
    ]
