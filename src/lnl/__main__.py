"""``lnl audit photos`` is ``python -m lnl.audit photos``."""

import os
import runpy
import sys

from lnl import __version__
from lnl.errors import nearest

COMMANDS = {
    "audit": "which of the given labels are wrong",
    "train": "train one model, or with -m a sweep of them",
    "predict": "predictions of a trained run for other images",
    "evaluate": "trained runs on a test set",
    "export": "a trained run's model as a file that other programs read",
    "report": "tables, figures and one page of trained runs",
}
HELP = "\n".join(
    [
        "Learning with noisy labels: find wrong labels, and train image classifiers in spite of them.\n",
        *(f"  lnl {name:<10} {does}" for name, does in COMMANDS.items()),
        "\nlnl COMMAND --help says what a command takes. A folder of pictures: lnl audit photos",
    ]
)


def main() -> None:
    """Runs the command that the first argument names, as ``python -m lnl.<command>`` does."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        del sys.argv[1]
        runpy.run_module(f"lnl.{name}", run_name="__main__", alter_sys=True)
    elif name in ("--help", "-h", "help"):
        print(HELP)
    elif name == "--version":
        print(f"lnl {__version__}")
    else:
        meant = f"; did you mean lnl audit {name}?" if os.path.exists(name) else nearest(name, COMMANDS)
        sys.exit(f"error: there is no command {name}{meant}\nThe commands are {', '.join(COMMANDS)}; --help has more.")


if __name__ == "__main__":
    main()
