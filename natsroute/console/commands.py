"""
The commands. Each is a module of this package, which is imported only when it runs.

A command that speaks with a service has two functions: ``add_arguments(parser)``, and the coroutine function
``run(reactor, arguments)``, which returns an exit code. A command that is ``raw`` has ``run(words)``, which takes all
words behind its name and ends the process.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class ExitCode(enum.IntEnum):
    """What the exit code of ``natsroute`` says."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NO_SERVICE = 3
    INTERRUPTED = 130


#: What the help says of exit codes.
EXIT_CODES = "Exit codes: 0 done and ready; 1 not ready, or failed; 2 wrong usage; 3 no running service found."


class Command(NamedTuple):
    """
    A command.

    :ivar module: its module.
    :ivar summary: what it does, in one line.
    :ivar raw: whether it reads its words itself.
    """

    module: str
    summary: str
    raw: bool = False


COMMANDS = {
    "run": Command("natsroute.console.run", "run a service in the foreground, as 'twistd -n natsroute' does", raw=True),
    "check": Command("natsroute.console.check", "read all settings and print what would run", raw=True),
    "status": Command("natsroute.console.status", "show a running service: ready or why not, and its counters"),
    "calls": Command("natsroute.console.calls", "show the calls of event routes in flight, the oldest first"),
    "ledger": Command("natsroute.console.ledger", "show what became of each message"),
    "reload": Command("natsroute.console.reload", "load the event routes of a running service anew"),
    "record": Command("natsroute.console.record", "record messages in a file"),
    "replay": Command("natsroute.console.replay", "run recorded messages through event routes, or publish them"),
    "log-level": Command("natsroute.console.log_level", "show or change what a running service logs"),
}
