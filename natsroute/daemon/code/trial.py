"""A trial: loads code in a process of its own, to see whether it can be loaded, before this process does."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from natsroute.daemon.child_guard import guarded
from natsroute.daemon.code.trial_answer import TrialAnswer
from natsroute.daemon.code.trial_process import command, names_of_code
from natsroute.daemon.settings.settings import Settings
from natsroute.errors import ReloadError

#: The part of the time after which the process itself says what blocks, if it can.
_OWN_LIMIT = 0.8


class Trial(ProcessProtocol):
    """
    One trial. The process runs under a child guard: it does not outlive this one.

    :param settings: name the code.
    :param seconds: after these, the trial has failed, and the process is ended.

    :ivar ended: fires with None in the reactor's thread if the code can be loaded; fails with
        :class:`~natsroute.errors.ReloadError` otherwise. Cancelling it ends the process.
    :ivar exited: fires with None when there is no process any more, or never was one.
    """

    transport: IProcessTransport

    def __init__(self, reactor: Any, settings: Settings, seconds: float) -> None:
        self.ended: Deferred[None] = Deferred(lambda _: self._stop())
        self.exited: Deferred[None] = Deferred()
        self._seconds = seconds
        self._answer = TrialAnswer(names_of_code(settings))
        whole = guarded(command(settings, seconds * _OWN_LIMIT))
        self._limit: IDelayedCall | None = reactor.callLater(seconds, self._give_up)
        try:
            reactor.spawnProcess(self, whole[0], whole, env=None)
        except OSError as error:
            self.exited.callback(None)
            self._fail(f"the new code cannot be tried in another process: {error}")

    def outReceived(self, data: bytes) -> None:
        self._answer.add_answer(data)

    def errReceived(self, data: bytes) -> None:
        self._answer.add_errors(data)

    def processEnded(self, reason: Failure) -> None:
        self._end_limit()
        self.exited.callback(None)
        if self.ended.called:
            return
        problem = self._answer.problem(reason.value)
        if problem is None:
            self.ended.callback(None)
        else:
            self._fail(problem)

    def _give_up(self) -> None:
        self._limit = None
        self._stop()
        self._fail(f"the new code was not loaded within {self._seconds:g} s (reload_timeout): an import may block")

    def _fail(self, problem: str) -> None:
        self._end_limit()
        self.ended.errback(ReloadError(problem))

    def _stop(self) -> None:
        self._end_limit()
        self.transport.closeStdin()

    def _end_limit(self) -> None:
        limit, self._limit = self._limit, None
        if limit is not None:
            limit.cancel()
