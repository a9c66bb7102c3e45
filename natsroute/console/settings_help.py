"""The help of the commands that take all settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from natsroute.daemon.options import Options


def help_if_wanted(command: str, words: Sequence[str]) -> None:
    """Print the help of a command and end the process, if its words ask for help."""
    if "--help" in words or "-h" in words:
        try:
            print(f"Usage: natsroute {command} {Options.synopsis}")
            print(Options().getUsage())
            sys.stdout.flush()
        except BrokenPipeError:  # "natsroute run --help | head" has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
        sys.exit(0)
