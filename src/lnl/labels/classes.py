"""Which class a label means that somebody wrote: by its name, or by its number."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

SHOWN = 10  # classes in a message


def cleaned(name: str) -> str:
    """Without spaces around it, in one Unicode form."""
    return unicodedata.normalize("NFC", name).strip()


def class_numbers(labels: Iterable[str], classes: Sequence[str]) -> dict[str, int]:
    """The class of each label that has one.

    Labels are names of classes; or all are numbers from 0, unless a class is called by the number of another: some of
    the labels, read alone, could then mean other classes than all of them do. 1.0 is 1 where no class is called 1.0.

    Args:
        labels: as :func:`cleaned`, all that are to be read alike.
        classes: K names.
    """
    labels = list(labels)
    named = {_plain(name): number for number, name in enumerate(classes)}
    named |= {name: number for number, name in enumerate(classes)}
    names = {label: named[key] for label in labels if (key := label if label in named else _plain(label)) in named}
    numbers = {label: number for label in labels if (number := _number(label, classes)) is not None}
    return numbers if names.keys() <= numbers.keys() and not _clash(classes) else names


def no_class(label: str, classes: Sequence[str]) -> str:
    """What to say of a label that :func:`class_numbers` has no class for."""
    more = f" and {len(classes) - SHOWN:,} more" if len(classes) > SHOWN else ""
    why = ", by name and not by number" if _clash(classes) and _number(label, classes) is not None else ""
    return f"'{label}' is no class; the classes are {', '.join(classes[:SHOWN])}{more}{why}"


def _clash(classes: Sequence[str]) -> bool:
    """Whether a class is called by the number of another."""
    return any(_number(name, classes) not in (None, number) for number, name in enumerate(classes))


def _number(label: str, classes: Sequence[str]) -> int | None:
    plain = _plain(label)
    return int(plain) if plain.isdecimal() and int(plain) < len(classes) else None


def _plain(label: str) -> str:
    whole = re.fullmatch(r"([0-9]+)\.0*", label)
    return whole[1] if whole else label
