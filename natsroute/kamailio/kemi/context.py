"""What the functions of ``KSR`` work on: one instance of a script, and the event that it handles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import ConsumerVariables, Evaluation, EventVariables
from natsroute.routes.event import Event

#: A message: subject, payload, and reply subject or something false.
Message = tuple[bytes, bytes, "bytes | None"]


class Outbox(Protocol):
    """Takes what a script publishes, in the script's thread. Its methods may block until there is space."""

    def publish(self, subject: bytes, payload: bytes, reply: bytes | None = None) -> None:
        """Take a message."""

    def publish_all(self, messages: Sequence[Message]) -> None:
        """Take several."""

    def ask(self, request: Callable[[], Deferred[Any]]) -> Any:
        """
        Send a request after what was published before, and wait for the answer.

        :param request: sends it. It is called in the reactor's thread.
        :raises Exception: what the request fails with.
        """


class ScriptContext:
    """
    One instance of a script, as the functions of ``KSR`` see it. It is used in the thread of the instance only.

    :param consumer: the variables that keep their values from event to event.
    :param outbox: takes what the script publishes.
    :param no_event: stands for the event while there is none, as when the script is loaded.

    :ivar evaluation: the event that the script handles, with its variables.
    :ivar flags: the numbers of the flags that the script has set for this event.
    :ivar has_locked: whether the script has locked something for this event.
    :ivar where: gives the position of the script's code that runs, as ``FILE:LINE:COLUMN``, or an empty text.
    """

    __slots__ = ("_consumer", "evaluation", "flags", "has_locked", "outbox", "where")

    def __init__(self, consumer: ConsumerVariables, outbox: Outbox, no_event: Event) -> None:
        self.outbox = outbox
        self.flags = 0
        self.has_locked = False
        self.where: Callable[[], str] = str
        self.evaluation = Evaluation(no_event, EventVariables(consumer))
        self._consumer = consumer

    def begin(self, event: Event) -> None:
        """The script handles an event now."""
        self.evaluation = Evaluation(event, EventVariables(self._consumer))
        if self.flags:
            self.flags = 0

    def release_locks(self) -> None:
        """The call has ended: release what it has locked, as a native script does at the end of its event."""
        if self.has_locked:
            self.has_locked = False
            self.evaluation.consumer.service.locks.release_all(self.evaluation.own)

    def failed(self, function: str, problem: str) -> None:
        """
        A function of ``KSR`` has failed, which is logged once for each place that calls it.

        :param function: its name, such as ``pv.get``.
        :param problem: the reason. It has nothing of a payload in it.
        """
        service, position = self.evaluation.consumer.service, self.where()
        if position:
            service.on_statement_failure(position, EvaluationError(f"KSR.{function}(): {problem}"))
        else:
            service.on_failure(f"KSR.{function}()", EvaluationError(problem))
