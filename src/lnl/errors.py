"""The one exception that is a message to the user."""


class UserError(Exception):
    """A mistake the user can mend. The message says in one or two lines what was given, what is allowed, what to type.

    The commands print it without a traceback and exit with code 1.
    """
