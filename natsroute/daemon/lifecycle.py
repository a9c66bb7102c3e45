"""Starting and stopping in any order, for a service whose stop takes time."""

from __future__ import annotations

import enum
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from natsroute.errors import MisuseError


class Phase(enum.Enum):
    """
    What a service is doing.

    RESTARTING: it stops, and starts again when it has stopped.
    """

    STOPPED = "stopped"
    RUNNING = "running"
    STOPPING = "stopping"
    RESTARTING = "restarting"


class Lifecycle:
    """
    Starts and stops something, one after the other.

    :param begin: called for each start.
    :param end: called for each stop. Its Deferred fires when everything has stopped.

    :ivar phase: what it is doing.
    """

    def __init__(self, begin: Callable[[], None], end: Callable[[], Deferred[None]]) -> None:
        self.phase = Phase.STOPPED
        self._begin = begin
        self._end = end
        self._waiting: list[Deferred[None]] = []

    def start(self) -> None:
        """
        Start; during a stop, start when it is done.

        :raises MisuseError: it is running, or will start again.
        """
        if self.phase is Phase.STOPPED:
            self.phase = Phase.RUNNING
            self._begin()
        elif self.phase is Phase.STOPPING:
            self.phase = Phase.RESTARTING
        else:
            raise MisuseError(f"the service is {self.phase.value} already")

    def stop(self) -> Deferred[None]:
        """
        Stop. During a stop, start nothing after it.

        :return: fires when it has stopped. Cancelling it only ends the wait.
        """
        if self.phase is Phase.STOPPED:
            return succeed(None)
        # A Deferred for each caller: one that is cancelled, such as that of a route, does not cancel the stop.
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        if self.phase is Phase.RUNNING:
            self.phase = Phase.STOPPING
            self._end().addBoth(self._ended)
        else:
            self.phase = Phase.STOPPING
        return waiting

    def _ended(self, result: Failure | None) -> None:
        waiting, self._waiting = self._waiting, []
        starts_again = self.phase is Phase.RESTARTING
        self.phase = Phase.STOPPED
        if starts_again:
            self.start()
        for one in waiting:
            if isinstance(result, Failure):
                one.errback(result)
            else:
                one.callback(None)
