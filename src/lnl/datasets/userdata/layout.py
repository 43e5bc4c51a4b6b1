"""What is in a folder that has no class folders with pictures, and what to type instead."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from lnl.datasets.userdata.listing import SPLIT_OF
from lnl.datasets.userdata.remarks import some
from lnl.errors import many
from lnl.files import TABLES, about_unread, entries, is_picture, unread_format, walk

SHOWN = 3  # folders in a message


def no_classes(path: Path) -> str:
    """The error for a folder none of whose folders has a picture."""
    held, unread, others, tables = Counter[str](), Counter[str](), Counter[str](), []
    for place in _files(path):
        held[PurePosixPath(place).parent.as_posix()] += is_picture(place)
        unread[unread_format(place)] += 1
        others[PurePosixPath(place).suffix.lower() or "no suffix"] += not is_picture(place) and not unread_format(place)
        tables += [place] if place.lower().endswith(TABLES) and place.count("/") < 2 else []
    del unread[""]
    held, others = +held, +others
    expected = f"lnl expects {path}/<class>/*.jpg (or .png, .webp, .bmp, ...)"
    tables.sort(key=lambda place: PurePosixPath(place).name != "decided_labels.csv")  # of an audit, before its others
    hint = f"; data=table data.path={path / tables[0]} reads a table" if tables else ""
    if nested := nested_classes(path, held):
        return nested
    if unread and not held:
        return f"no picture of {path} can be read: {about_unread(unread)}."
    if count := held.pop(".", 0):
        said = f"{many(count, 'picture is', 'pictures are')} in {path} itself, and have no class: {expected}"
        return f"{said}, or data=table.{_siblings(path)}"
    for where, count in held.items():
        said = f"{many(count, 'picture is', 'pictures are')} deeper in {path / where} than expected"
        return f"{said}: {expected}, or data=table."
    beside = ", ".join(f"{count:,} ({suffix})" for suffix, count in others.most_common(SHOWN))
    there = f"; other files there: {beside}" if others else ""
    return f"there are no pictures in the folders of {path}{there}: {expected}{hint}."


def _files(path: Path) -> Iterator[str]:
    """The files below a folder, entering its folders also where they are links."""
    for entry in entries(path):
        if os.path.isdir(entry.path):
            yield from (place for place, _ in walk(entry.path, place=f"{entry.name}/"))
        else:
            yield entry.name


def nested_classes(path: Path, held: Mapping[str, int]) -> str:
    """The error for pictures that are a level or more deeper than expected; empty if they are not, or not all.

    Args:
        path: that was given.
        held: the number of pictures in each folder below, by its name relative to ``path``.
    """
    found: dict[PurePosixPath, Counter[str]] = defaultdict(Counter)
    for place in map(PurePosixPath, held):
        split = place.parent.name.lower() in SPLIT_OF
        found[place.parent.parent if split else place.parent][place.name] += held[place.as_posix()]
    found.pop(PurePosixPath(), None)
    several = {root: classes for root, classes in found.items() if len(classes) > 1}
    if not several:
        return ""
    total = sum(map(Counter.total, several.values()))
    said = f"{path} has no pictures in its folders, but {total:,} in folders inside them"
    typed = [
        f"data.path={path / root} reads the {len(classes)} classes {some(list(classes))} ({classes.total():,} pictures)"
        for root, classes in several.items()
    ]
    outer = list(dict.fromkeys(root.parts[0] for root in found))
    if len(outer) == 1 and len(typed) == 1:
        return f"{said}.\n{typed[0]}."
    more = f"; and so on for {len(typed) - SHOWN:,} more" if len(typed) > SHOWN else ""
    return (
        f"{said}: if the classes are {some(outer)}, move their pictures up, or name them in a table (data=table).\n"
        f"If they are the folders inside: {'; '.join(typed[:SHOWN])}{more}."
    )


def _siblings(path: Path) -> str:
    """A line for the folder of a class; empty if no folder beside it has pictures."""
    parent = path.absolute().parent
    try:
        folders = [entry for entry in entries(parent) if entry.is_dir() and entry.name != path.absolute().name]
        others = [entry.name for entry in folders if any(is_picture(inside.name) for inside in entries(entry.path))]
    except OSError:
        return ""
    if not others:
        return ""
    given = path.parent if path.name not in ("", "..") else parent
    return f"\nIf {path.absolute().name} is a class beside {some(others)}: data.path={given} reads them all."
