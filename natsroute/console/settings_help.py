"""The help of the commands that take all settings."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from natsroute.console.terminal import discard_output
from natsroute.daemon.options import Options


def help_if_wanted(command: str, words: Sequence[str]) -> None:
    """Print the help of a command and end the process, if its words ask for help."""
    if "--help" in words or "-h" in words:
        try:
            print(f"Usage: natsroute {command} {Options.synopsis}")
            print(Options().getUsage())
            sys.stdout.flush()
        except BrokenPipeError:  # "natsroute run --help | head" has read enough
            discard_output()
        sys.exit(0)
