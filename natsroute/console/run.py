"""``natsroute run``: the same as ``twistd -n natsroute``, without a pid file."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def run(words: Sequence[str]) -> None:
    """
    Run a service. Ends the process as twistd does.

    :param words: the options of ``twistd natsroute``.
    """
    if "--help" in words or "-h" in words:  # twistd's would be for twistd
        from natsroute.console.settings_help import help_if_wanted

        help_if_wanted("run", words)
    from twisted.scripts.twistd import run as run_twistd

    # A process in the foreground needs no pid file, and several services may run in the same folder.
    sys.argv = ["twistd", "--nodaemon", "--pidfile=", "natsroute", *words]
    run_twistd()
