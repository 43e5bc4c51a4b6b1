"""Which class a written label means: by its name or its number."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

SHOWN = 10  # classes in a message


def cleaned(name: str) -> str:
    """Without surrounding spaces, in Unicode form NFC."""
    return unicodedata.normalize("NFC", name).strip()


def class_numbers(labels: Iterable[str], classes: Sequence[str]) -> dict[str, int]:
    """The class of each label that has one.

    Labels are names of classes; or all of them are numbers from 0, unless the name of a class is the number of another
    one, because some of the labels would then be ambiguous. 1.0 means 1 unless a class is called 1.0.

    Args:
        labels: all labels to be read by one rule, as :func:`cleaned`.
        classes: K names.
    """
    labels = list(labels)
    named = {_plain(name): number for number, name in enumerate(classes)}
    named |= {name: number for number, name in enumerate(classes)}
    names = {label: named[key] for label in labels if (key := label if label in named else _plain(label)) in named}
    numbers = {label: number for label in labels if (number := _number(label, classes)) is not None}
    return numbers if names.keys() <= numbers.keys() and not _clash(classes) else names


def no_class(label: str, classes: Sequence[str]) -> str:
    """The error for a label without a class."""
    more = f" and {len(classes) - SHOWN:,} more" if len(classes) > SHOWN else ""
    why = ", by name and not by number" if _clash(classes) and _number(label, classes) is not None else ""
    return f"'{label}' is no class; the classes are {', '.join(classes[:SHOWN])}{more}{why}"


def _clash(classes: Sequence[str]) -> bool:
    """Whether the name of a class is the number of another one."""
    return any(_number(name, classes) not in (None, number) for number, name in enumerate(classes))


def _number(label: str, classes: Sequence[str]) -> int | None:
    plain = _plain(label)
    return int(plain) if plain.isdecimal() and int(plain) < len(classes) else None


def _plain(label: str) -> str:
    return label.partition(".")[0] if re.fullmatch(r"[0-9]+\.0*", label) else label
