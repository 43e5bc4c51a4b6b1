"""What a command prints when a run is trained or evaluated."""

import math
import os
from pathlib import Path
from typing import Any

from lnl.errors import many
from lnl.runs.identity import acting

MEANINGS = {
    "last": "last epoch",
    "noisy_val_best": "best epoch by noisy validation labels",
    "clean_val_best": "best epoch by CLEAN validation labels",
    "label_wave": "epoch in which the fewest training predictions changed",
    "oracle_best": "best epoch, SELECTED ON THE TEST SET: for comparison with papers that do",
}


def closing_block(result: dict[str, Any], folder: Path) -> str:
    """What was trained, on how many wrong labels, the accuracies, and the run folder."""
    data, seeds = result["data"], result["seeds"]
    parts = [result["method"], *({result["loss"]} - {"none"}), *acting(result["config"])]
    images = data["name"] if result["corruption"] == "none" else f"{data['name']} ({result['corruption']})"
    steps = f" ({many(result['steps'], 'step', 'steps')})" if "steps" in result else ""  # not in results before 0.2
    lines = [
        f"{images}, {result['model']}, {', '.join(parts)}, seed {seeds['seed']}: "
        f"{many(result['epochs'], 'epoch', 'epochs')}{steps} in {result['time']['fit_seconds']:.1f} s",
        *_labels(result),
        *(
            f"method.{name}=true IS THE TRUE NOISE ({value:.1%} wrong labels), which is known in experiments only"
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
    if not result["fast_dev_run"]:
        lines += learned_nothing(result)
    else:
        lines.insert(0, "SMOKE RUN: one batch of each kind; no result is kept")
    return _block(*lines, os.path.relpath(folder))


def learned_nothing(result: dict[str, Any]) -> list[str]:
    """Warns if the last epoch's accuracy on unseen labels is not above the share of the most frequent class.

    Above is more than 1.64 standard deviations of the number of right answers that naming this class would get, by the
    validation labels and the test labels together. If a model half-way to perfect would not be above either, the
    labels are too few to tell.
    """
    last, data = result["protocol"]["last"], result["data"]
    if "largest_class" not in data:  # before 0.2
        return []
    size, right, by_chance = data["val"], last["val"]["accuracy"] * data["val"], data["largest_class"] * data["val"]
    if "confusion_matrix" in last.get("test", {}):  # not of a cross-validated run
        labels = [sum(row) for row in last["test"]["confusion_matrix"]]
        right, by_chance = right + last["test"]["accuracy"] * sum(labels), by_chance + max(labels)
        size += sum(labels)
    chance = by_chance / size
    limit = by_chance + 1.64 * math.sqrt(size * chance * (1 - chance))
    if (by_chance + size) / 2 <= limit:
        return [f"Whether the model has learned anything cannot be told from {size:,} held-out labels."]
    if right > limit:
        return []
    return [
        f"THE MODEL HAS LEARNED NOTHING: one answer for every image would be right for {chance:.1%}.",
        f"Train longer (trainer.max_epochs={4 * result['epochs']}), or with another optimizer.lr or model.",
    ]


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
    epoch = MEANINGS[record["protocol"]] + ("" if record["protocol"] == "last" else f" ({record['epoch'] + 1})")
    images, speed = many(data["samples"], "image", "images"), 1000 * record["time"]["seconds_per_image"]
    lines = [
        os.path.relpath(folder),
        f"{data['name']}, {data['split']}, {images}, {epoch}: accuracy {test['accuracy']:.2%}, "
        f"macro F1 {test['macro_f1']:.2%}, {speed:.3g} ms an image",
    ]
    if not data["same_classes"]:
        lines.append("its classes are not those of training: label k is compared with output k, so numbers are matched")
    return _block(*lines)


def _block(*lines: str) -> str:
    return "\n".join(f"  {line}" for line in lines)
