"""
The program of a child process: ``python -m natsroute.daemon.processes.child_program``.

It imports natsroute, and waits for its role on the lifeline. A process without a role yet can take one at once, which
is faster than to start a new one. If the lifeline closes first, it ends.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from twisted.python.reflect import namedAny

from natsroute.daemon.options import child_service
from natsroute.daemon.processes.child_process import NEWS, READY
from natsroute.daemon.processes.lifeline import LIFELINE, Lifeline, Orders
from natsroute.daemon.processes.log_relay import LogSender
from natsroute.daemon.processes.role import Role

#: Seconds beyond the timeouts of the settings that a stop may take.
MARGIN = 10.0


def main() -> None:
    """Wait for a role, and run a service with it."""
    if os.getpid() != os.getpgrp():
        os.setsid()  # Ctrl-C in a terminal is for the parent alone, which decides when this process ends
    os.set_inheritable(NEWS, False)
    lifeline = os.fdopen(os.dup(LIFELINE), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, LIFELINE)  # neither a route nor a program that it starts reads the lifeline
    os.close(nothing)
    line = lifeline.readline()
    if line.endswith(b"\n"):
        run(Role.from_line(line), LogSender(NEWS), lifeline.readline)


def run(role: Role, news: LogSender, lines: Callable[[], bytes]) -> None:
    """
    Run a service until it ends.

    :param news: sends the log to the parent.
    :param lines: reads the lifeline.
    :raises SystemExit: a setting cannot work; the exit code is 1.
    """
    news.begin()
    orders = Orders(lines)
    orders.start()
    if role.cpu is not None:
        os.sched_setaffinity(0, {role.cpu})
    sys.path[:] = [*role.python_path, *(path for path in sys.path if path not in role.python_path)]
    reactor = _reactor(role.reactor)
    service = child_service(role, news.use)
    os.chdir(role.folder)
    orders.loaded()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    service.startService()
    service.ready().addCallbacks(lambda _: news.send(READY + b"\n"), lambda _: None)
    settings = service.settings
    timeout = settings.drain_timeout + settings.hook_timeout + MARGIN
    lifeline = Lifeline(reactor, service.skip_drain, service.log_report, timeout, orders.next)
    lifeline.start()
    reactor.run()
    if lifeline.parent_is_gone:
        _remove_folder(role.socket)


def _remove_folder(socket: str) -> None:
    """Remove the folder of the sockets, which the parent cannot do any more, if this is the last process."""
    try:
        os.rmdir(os.path.dirname(socket))
    except OSError:
        pass


def _reactor(module: str) -> Any:
    """The reactor of the same kind as the parent's."""
    if "twisted.internet.reactor" not in sys.modules:
        namedAny(module).install()
    from twisted.internet import reactor

    return reactor


if __name__ == "__main__":
    main()
