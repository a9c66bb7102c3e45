"""Ending the process with an exit code. ``twistd`` has no way to say one."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ReactorNotRunning


class ExitCode:
    """
    The exit code of a process that belongs to natsroute.

    ``twistd`` ends with 0 whenever its reactor has stopped. So the reactor stops as always, with everything that
    belongs to it, and Python itself then ends with the code. Functions that were registered with :mod:`atexit` after
    this object was created have run by then: create it early.

    :param register: registers a function that is called when Python ends.
    :param exit: ends the process at once, with a code.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        register: Callable[[Callable[[], None]], object] = atexit.register,
        exit: Callable[[int], object] = os._exit,
    ) -> None:
        self._reactor = reactor
        self._exit = exit
        self._code = 0
        register(self._at_exit)

    def fail(self) -> None:
        """Stop the reactor. When everything has stopped, the process ends with exit code 1."""
        self._code = 1
        self._reactor.callWhenRunning(self.stop)

    def stop(self) -> None:
        """Stop the reactor, unless it stops already."""
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            pass  # it stops already, because of a signal for example

    def _at_exit(self) -> None:
        if self._code:
            logging.shutdown()
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            self._exit(self._code)
