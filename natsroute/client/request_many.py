"""Requests with several answers (NATS ADR-47): when the answers are complete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.errors import MisuseError
from natsroute.wire.frames import Msg


@attrs.frozen
class Until:
    """
    When the answers to a request are complete: at the first of these conditions.

    :ivar timeout: seconds since the request.
    :ivar max_messages: this number of answers; None: any number.
    :ivar stall: seconds since the last answer, once there was one; None: any time.
    :ivar sentinel: called with each answer; true if it is the mark of the end, which is not an answer itself. True
        stands for an answer with an empty payload.
    """

    timeout: float
    max_messages: int | None = None
    stall: float | None = None
    sentinel: Callable[[Any], object] | bool | None = None

    def check(self) -> None:
        """
        Check the conditions, but for the timeout.

        :raises MisuseError: one of them is no condition.
        """
        if self.max_messages is not None and (type(self.max_messages) is not int or self.max_messages < 1):
            raise MisuseError(f"max_messages = {self.max_messages!r}; it must be an integer of at least 1")
        if self.stall is not None:
            check_seconds("stall", self.stall)
        if not (self.sentinel is None or isinstance(self.sentinel, bool) or callable(self.sentinel)):
            raise MisuseError(f"sentinel = {self.sentinel!r}; it must be True or a function of an answer")

    def is_end(self, msg: Any) -> bool:
        """Whether an answer marks the end."""
        if callable(self.sentinel):
            return bool(self.sentinel(msg))
        return bool(self.sentinel) and not msg.data


def check_seconds(name: str, seconds: object) -> None:
    """
    Check an argument that is a time.

    :raises MisuseError: it is not a number above 0, or infinite.
    """
    if not isinstance(seconds, (int, float)) or not 0 < seconds < float("inf"):
        raise MisuseError(f"{name} = {seconds!r}; it must be a number above 0")


class Answers:
    """
    Collects the answers to one request.

    :param until: when they are complete.
    :param on_answer: called with each answer instead of keeping it; None: they are kept. If it raises, no more are
        taken.
    :param on_complete: called with the answers that were kept.
    :param on_failed: called with what ``on_answer`` or the sentinel raised.
    """

    def __init__(
        self,
        clock: IReactorTime,
        until: Until,
        on_answer: Callable[[Any], object] | None,
        *,
        on_complete: Callable[[list[Any]], object],
        on_failed: Callable[[BaseException], object],
    ) -> None:
        self._clock = clock
        self._until = until
        self._kept: list[Any] = []
        self._take = self._kept.append if on_answer is None else on_answer
        self._left = until.max_messages
        self._on_complete = on_complete
        self._on_failed = on_failed
        self._timeout: IDelayedCall = clock.callLater(until.timeout, self._complete)
        self._stall: IDelayedCall | None = None

    def received(self, msg: Msg) -> None:
        """Take an answer."""
        until = self._until
        try:
            if until.is_end(msg):
                self._complete()
                return
            self._take(msg)
        except BaseException as error:
            self._on_failed(error)
            return
        if self._left is not None:
            self._left -= 1
            if not self._left:
                self._complete()
                return
        if until.stall is not None:
            if self._stall is None:
                self._stall = self._clock.callLater(until.stall, self._complete)
            else:
                self._stall.reset(until.stall)

    def _complete(self) -> None:
        self._on_complete(self._kept)

    def stop(self) -> None:
        """Wait no longer."""
        for timer in (self._timeout, self._stall):
            if timer is not None and timer.active():
                timer.cancel()
