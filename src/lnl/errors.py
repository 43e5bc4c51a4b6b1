"""The exception whose message is for the user, and helpers for such messages."""

import difflib
import re
from collections.abc import Iterable
from numbers import Real


class UserError(Exception):
    """A mistake that the user can correct. The message gives the value, the allowed ones, and what to type.

    The commands print it without a traceback and exit with code 1.
    """


def nearest(given: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known name, if one is near."""
    near = difflib.get_close_matches(given, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else "."


def install(extra: str) -> str:
    """What to type for an extra of lnl, which is installed from its clone."""
    return f"pip install -e '.[{extra}]' in lnl's folder"


def typed_list(names: Iterable[str]) -> str:
    """The names as the command line takes them in a list, in quotes where signs are in them."""
    plain = re.compile(r"[\w.-]+( [\w.-]+)*")
    escaped = (name if plain.fullmatch(name) else "'" + name.replace("'", "\\'") + "'" for name in names)
    return f"[{','.join(escaped)}]"


def many(count: int, one: str, several: str) -> str:
    """``1 <one>``, or ``<count> <several>``."""
    return f"{count:,} {one if count == 1 else several}"


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def check_range(interval: str, **values: float | None) -> None:
    """Raises ValueError unless each of ``values`` is None or in an interval, such as ``[0, 1)`` or ``[1, inf)``."""
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    for name, value in values.items():
        if value is None:
            continue
        number = isinstance(value, Real)
        above = number and (value >= low if interval[0] == "[" else value > low)
        if not (above and (value <= high if interval[-1] == "]" else value < high)):
            least = "at least" if interval[0] == "[" else "above"
            must = f"in {interval}" if high < float("inf") else f"{least} {low:g}"
            raise ValueError(f"{name} must be {must}, got {value}")
