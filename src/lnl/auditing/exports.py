"""The ranking of an audit for programs in which labels are reviewed: Label Studio and FiftyOne."""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import pandas as pd

from lnl.datasets.pictures import Files
from lnl.datasets.source import Dataset
from lnl.errors import UserError
from lnl.files import write_atomically

VERSION = "lnl audit"  # of the predictions in Label Studio


def chosen(export: Any) -> list[str]:
    """The names in ``export=``, of which there may be none, one or a list; UserError if one is unknown."""
    names = [] if export is None else [export] if isinstance(export, str) else list(export)
    if unknown := [name for name in names if name not in EXPORTS]:
        raise UserError(f"export is {unknown[0]}, and must be null, {' or '.join(EXPORTS)}, or a list of these")
    return names


def check_exports(names: Sequence[str], dataset: Dataset) -> None:
    """Raises UserError if the pictures are no files, or FiftyOne, which knows labels by files, has two for one."""
    if names and not isinstance(dataset.originals, Files):
        raise UserError(f"export={names[0]} needs pictures that are files, by which the other program shows them")
    if "fiftyone" in names and dataset.originals is not None:
        file, count = Counter(dataset.originals.names).most_common(1)[0]
        if count > 1:
            raise UserError(f"export=fiftyone: {file} has {count} labels, and FiftyOne knows one of each file")


def write_exports(
    names: Sequence[str],
    folder: Path,
    issues: pd.DataFrame,
    kinds: pd.DataFrame | None,
    classes: Sequence[str],
    dataset: Dataset,
) -> list[Path]:
    """Writes the files of the chosen exports into ``folder``, with every label of ``issues``; returns them."""
    check_exports(names, dataset)
    unusual: Mapping[int, list[str]] = defaultdict(list)
    for row in [] if kinds is None else kinds.to_dict("records"):
        unusual[row["index"]].append(row["kind"])
    rows = [row | {"kinds": unusual.get(row["index"], [])} for row in issues.to_dict("records")]
    written = []
    for name in names:
        for file, text in EXPORTS[name](rows, classes, dataset.originals).items():
            write_atomically(folder / file, text)
            written.append(folder / file)
    return written


def label_studio(rows: Sequence[dict[str, Any]], classes: Sequence[str], pictures: Files) -> dict[str, str]:
    """Tasks with a prediction, and the labeling interface that they need.

    The prediction is the suggested label of flagged ones, else the given label: Label Studio has it chosen already.
    A task's picture is a file of Label Studio's local storage, by its path from the folder that contains the folder of
    the pictures: Label Studio needs that one as its document root, and the folder of the pictures as a storage.
    """
    root = _absolute(pictures.root)
    tasks = [
        {
            "data": {
                "image": "/data/local-files/?d=" + quote(os.fsencode(_relative(pictures, row["index"], root.parent))),
                **{name: row[name] for name in ("index", "rank", "given_label", "suggested_label")},
                "flagged": bool(row["issue"]),
                "kinds": ", ".join(row["kinds"]),
            },
            "predictions": [
                {
                    "model_version": VERSION,
                    "score": round(float(row["score"]), 6),
                    "result": [
                        {
                            "id": f"lnl{row['index']}",
                            "from_name": "label",
                            "to_name": "image",
                            "type": "choices",
                            "value": {"choices": [row["suggested_label" if row["issue"] else "given_label"]]},
                        }
                    ],
                }
            ],
        }
        for row in rows
    ]
    choices = "".join(f"    <Choice value={quoteattr(name)}/>\n" for name in classes)
    interface = (
        '<View>\n  <Image name="image" value="$image"/>\n'
        '  <Text name="given" value="given: $given_label, suggested: $suggested_label"/>\n'
        f'  <Choices name="label" toName="image" choice="single">\n{choices}  </Choices>\n</View>\n'
    )
    return {"label_studio.json": _json(tasks), "label_studio.xml": interface}


def fiftyone(rows: Sequence[dict[str, Any]], classes: Sequence[str], pictures: Files) -> dict[str, str]:
    """Labels as FiftyOne's FiftyOneImageClassificationDataset has them, of files by their absolute paths."""
    number = {name: place for place, name in enumerate(classes)}
    labels: dict[str, Any] = {
        os.path.normpath(_absolute(pictures.root) / pictures.names[row["index"]]): {
            "label": number[row["given_label"]],
            "confidence": round(float(row["self_confidence"]), 6),
            "attributes": {
                **{name: row[name] for name in ("index", "rank", "given_label", "suggested_label")},
                "score": round(float(row["score"]), 6),
                "flagged": bool(row["issue"]),
                "kinds": ", ".join(row["kinds"]),
            },
        }
        for row in rows
    }
    return {"fiftyone.json": _json({"classes": list(classes), "labels": labels})}


EXPORTS: dict[str, Callable[..., dict[str, str]]] = {"label_studio": label_studio, "fiftyone": fiftyone}


def _absolute(folder: Path) -> Path:
    return Path(os.path.abspath(folder))


def _relative(pictures: Files, index: int, folder: Path) -> str:
    return os.path.relpath(_absolute(pictures.root) / pictures.names[index], folder).replace(os.sep, "/")


def _json(content: Any) -> str:
    """A name that is no valid text has question marks where it is not."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace").decode() + "\n"
