"""``natsroute check``: the same as ``twistd natsroute --check``."""

from __future__ import annotations

from collections.abc import Sequence

from natsroute.console.settings_help import help_if_wanted
from natsroute.daemon.options import Options


def run(words: Sequence[str]) -> None:
    """
    Read all settings and print what would run. Ends the process with exit code 0 if it would run, and 1 if not.

    :param words: the options of ``twistd natsroute``.
    """
    help_if_wanted("check", words)
    Options().parseOptions(["--check", *words])
