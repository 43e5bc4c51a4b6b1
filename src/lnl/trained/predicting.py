"""Predictions of a trained run for new pictures: file names in, a CSV out, in bounded memory."""

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import DictConfig

from lnl.config import listed
from lnl.data.preparation import Preparation
from lnl.datasets.pictures import PictureError, read_in_form
from lnl.errors import UserError, many
from lnl.files import PICTURES, about_unread, explained, is_picture, replacing, unread_format, walk
from lnl.labels.tables import csv_text, missing_column, read_csv
from lnl.progress import tracked, working
from lnl.runs.find import FinishedRun
from lnl.trained.loading import ImageClassifier, load_trained, quiet_trainer

SHOWN = 10  # pictures that could not be read, on the terminal; the CSV has them all

Picture = NDArray[np.uint8] | PictureError


def predict_new_images(cfg: DictConfig, run: FinishedRun) -> None:
    """Writes ``cfg.output``, a row for each picture that ``cfg.images`` names, and prints a summary.

    Columns are ``file``, ``predicted`` (a class name), ``p_<class>`` for each class, and ``error``: why a picture could
    not be read; it then has no prediction.

    Raises:
        UserError: for a setting that cannot be; and, after all others are written, if pictures could not be read,
            unless ``on_error=skip``.
    """
    if cfg.output is None:
        raise UserError("output must be given: output=FILE.csv")
    if cfg.batch_size < 1:
        raise UserError(f"batch_size must be at least 1, got {cfg.batch_size}")
    with working("looking for pictures"):
        files = find_pictures(cfg.images, cfg.file_column, Path(str(cfg.root)).expanduser() if cfg.root else None)
    output = Path(str(cfg.output)).expanduser()
    given = [*(Path(source).expanduser() for source in listed(cfg.images)), *(path for _, path in files)]
    if os.path.realpath(output) in map(os.path.realpath, given):
        raise UserError(f"output={output} is one of images=: choose another output=FILE.csv.")
    trained = load_trained(run, cfg.protocol, cfg.trust)
    started = time.perf_counter()
    trainer = quiet_trainer(run, cfg.trainer.accelerator, cfg.trainer.precision)
    trained.classifier.to(trainer.strategy.root_device)
    with trainer.precision_plugin.forward_context():
        bad = _write(output, files, trained.classifier, cfg.batch_size, cfg.num_workers)
    seconds = time.perf_counter() - started
    print(
        f"  {run.folder.path.name}, {'last' if cfg.protocol == 'last' else 'best'} epoch ({trained.epoch + 1})\n"
        f"  {many(len(files) - len(bad), 'picture', 'pictures')} predicted in {seconds:.1f} s\n  {output}"
    )
    if bad and cfg.on_error == "skip":
        print(f"  {len(bad):,} could not be read, and have the reason in their row:\n{_listed(bad)}")
    elif bad:
        few = f"{len(bad):,} of {len(files):,} pictures could not be read; all others are predicted"
        raise UserError(f"{few}:\n{_listed(bad)}\non_error=skip takes that for success.")


def find_pictures(
    given: str | Sequence[str] | None, column: str = "file", root: Path | None = None
) -> list[tuple[str, Path]]:
    """Name and path of every picture that ``given`` names, each once.

    ``given`` is a folder, which is searched with its folders for pictures that are not hidden; a picture; a ``.csv``
    with a ``column`` of file names; a ``.txt`` with one a line; or a list of these. Relative names in a file belong to
    ``root``, by default the file's folder. Names are as given; those in a folder are relative to it if it is the only
    source.

    Raises:
        UserError: if a source is missing or names no picture.
    """
    if not (sources := listed(given)):
        raise UserError("which images? images=FOLDER, or a picture, or a .csv or .txt that names pictures")
    found: list[tuple[str, Path]] = []
    for source in sources:
        path = Path(source).expanduser()
        if path.is_dir():
            names, unread = _pictures_in(path)
            if not names:
                there = f": {about_unread(unread)}" if unread else f"; pictures end in {', '.join(PICTURES)}"
                raise UserError(f"no picture is in {source} or a folder in it{there}")
            if unread:
                print(f"  left out of {source}: {about_unread(unread)}")
            found += [(name if len(sources) == 1 else str(Path(source, name)), path / name) for name in names]
        elif not path.exists() and not path.is_symlink():
            raise UserError(f"there is no {source}: images= is a folder, a picture, or a .csv or .txt that names some")
        elif path.suffix.lower() in (".csv", ".txt"):
            names = _names_in(path, column)
            found += [(name, (root or path.parent) / Path(name).expanduser()) for name in names]
        else:
            found.append((source, path))
    return list(dict.fromkeys(found))


def _pictures_in(folder: Path) -> tuple[list[str], Counter[str]]:
    """The pictures of a folder, its own files first, and how many files of which formats are not read."""

    def place(name: str) -> list[tuple[bool, str]]:
        return [*((True, part) for part in Path(name).parts[:-1]), (False, Path(name).name)]

    every = [name for name, _ in walk(folder)]
    return sorted(filter(is_picture, every), key=place), Counter(filter(None, map(unread_format, every)))


def _names_in(path: Path, column: str) -> list[str]:
    if path.suffix.lower() == ".txt":
        try:
            names = path.read_text(encoding="utf-8-sig").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path} cannot be read as a list of pictures: {error}") from error
    else:
        table = read_csv(path)
        if column not in table:
            raise missing_column(path, table, column, "file_column=NAME says which names the pictures", column)
        names = table[column].tolist()
    names = [name.strip() for name in names if name.strip()]
    if not names:
        raise UserError(f"{path} names no picture")
    return names


def _write(
    output: Path, files: Sequence[tuple[str, Path]], classifier: ImageClassifier, batch_size: int, threads: int | None
) -> list[tuple[str, PictureError]]:
    """Writes the table, whole or not at all, and returns the unreadable pictures; raises UserError if all are."""
    size, channels = classifier.preparation.size, classifier.preparation.channels
    bad: list[tuple[str, PictureError]] = []
    with explained(output), replacing(output) as unfinished:
        output.parent.mkdir(parents=True, exist_ok=True)
        # A file's name may have bytes that are no text; they are kept.
        batches = _read(files, classifier.preparation, batch_size, threads)
        with unfinished.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            for names, pictures in tracked(batches, "predicting batches", -(-len(files) // batch_size)):
                good = [picture for picture in pictures if not isinstance(picture, PictureError)]
                images = np.array(good, dtype=np.uint8).reshape(-1, size, size, channels)
                table = _rows(names, pictures, classifier.probabilities(images), classifier.classes)
                file.write(csv_text(table, header=not file.tell()))
                bad += [(name, p) for name, p in zip(names, pictures, strict=True) if isinstance(p, PictureError)]
        if len(bad) == len(files):
            raise UserError(f"none of {len(files):,} pictures could be read:\n{_listed(bad)}")
    return bad


def _read(
    files: Sequence[tuple[str, Path]], preparation: Preparation, batch_size: int, threads: int | None
) -> Iterator[tuple[list[str], list[Picture]]]:
    """Names and pixels at the model's size, a batch at a time; the next batch is read meanwhile."""

    def read(file: tuple[str, Path]) -> Picture:
        try:
            return read_in_form(file[1], preparation)
        except PictureError as error:
            return error

    parts = [files[start : start + batch_size] for start in range(0, len(files), batch_size)]
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        reading = pool.map(read, parts[0])
        for part, following in zip(parts, [*parts[1:], []], strict=True):
            pictures, reading = reading, pool.map(read, following)
            yield [name for name, _ in part], list(pictures)


def _rows(
    names: Sequence[str], pictures: Sequence[Picture], probabilities: NDArray[np.float32], classes: Sequence[str]
) -> pd.DataFrame:
    errors = [str(picture) if isinstance(picture, PictureError) else "" for picture in pictures]
    good, every = [i for i, error in enumerate(errors) if not error], range(len(names))
    best = np.asarray(classes, dtype=object)[probabilities.argmax(axis=1)]
    predicted = pd.Series(best, good, dtype=object).reindex(every, fill_value="")
    files = pd.Series(names, dtype=object)  # pandas' own type for text refuses names that are no text
    table = pd.DataFrame(probabilities.astype(float), good, [f"p_{name}" for name in classes]).reindex(every)
    return pd.concat([pd.DataFrame({"file": files, "predicted": predicted}), table], axis=1).assign(error=errors)


def _listed(bad: Sequence[tuple[str, PictureError]]) -> str:
    lines = [f"  {ascii(name)[1:-1] if not name.isprintable() else name}: {reason}" for name, reason in bad[:SHOWN]]
    return "\n".join(lines + ([f"  ... and {len(bad) - SHOWN:,} more"] if len(bad) > SHOWN else []))
