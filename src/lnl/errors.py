"""The one exception that is a message to the user, and what such a message may end with."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake the user can mend. The message says in one or two lines what was given, what is allowed, what to type.

    The commands print it without a traceback and exit with code 1.
    """


def nearest(given: str, known: Iterable[str]) -> str:
    """The end of a sentence that says what is not there: with the nearest of what is, if one is near."""
    near = difflib.get_close_matches(given, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else "."


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]
