"""When a publisher looks after its messages, and when it sends those again that have failed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.jetstream.publishing.outgoing_message import OutgoingMessage
from natsroute.jetstream.publishing.stream_options import StreamPublishOptions
from natsroute.jetstream.publishing.stream_subject import StreamSubject

#: Messages that are looked after in one turn of the reactor. That takes up to 10 µs for each.
MAX_DUE = 500


class StreamTimers:
    """
    The timers of a publisher.

    :param on_look: called now and then. It returns whether it is to be called again.
    :param on_retried: called when a subject has sent again.
    """

    def __init__(
        self,
        clock: IReactorTime,
        options: StreamPublishOptions,
        on_look: Callable[[], bool],
        on_retried: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._options = options
        self._interval = options.ack_timeout / 2
        if options.max_age:
            self._interval = min(self._interval, options.max_age / 4)
        self._on_look = on_look
        self._on_retried = on_retried
        self._next_look: IDelayedCall | None = None
        self._retries: dict[StreamSubject, IDelayedCall] = {}

    def watch(self, delay: float | None = None) -> None:
        """
        There are messages to look after.

        :param delay: seconds until ``on_look`` is called, unless that is planned already; None: the usual time.
        """
        if self._next_look is None:
            self._next_look = self._clock.callLater(self._interval if delay is None else delay, self._look)

    def _look(self) -> None:
        self._next_look = None
        if self._on_look():
            self.watch()

    def due(self, messages: dict[str, OutgoingMessage]) -> list[tuple[str, OutgoingMessage]]:
        """
        Those that are too old, or whose acknowledgement is overdue. If these are more than :data:`MAX_DUE`, the next
        turn of the reactor looks for the rest.
        """
        old = self._clock.seconds() - (self._options.max_age or float("inf"))
        overdue = self._clock.seconds() - self._options.ack_timeout
        all_due = (
            (reply, one)
            for reply, one in messages.items()
            if one.since <= old or (one.written is not None and one.written <= overdue)
        )
        due = [*islice(all_due, MAX_DUE)]
        if len(due) == MAX_DUE:
            self.watch(0.0)
        return due

    def is_old(self, message: OutgoingMessage) -> bool:
        """Whether a message is older than ``max_age``."""
        max_age = self._options.max_age
        return bool(max_age) and message.since <= self._clock.seconds() - max_age

    def retry_later(self, target: StreamSubject, delay: float) -> None:
        """Let a subject send again after some seconds."""
        self._retries[target] = self._clock.callLater(delay, self._retry, target)

    def _retry(self, target: StreamSubject) -> None:
        del self._retries[target]
        target.retry()
        self._on_retried()

    def stop_retries(self) -> None:
        """Let no subject send again: everything is, or nothing."""
        retries, self._retries = self._retries, {}
        for target, timer in retries.items():
            timer.cancel()
            target.restart()

    def stop(self) -> None:
        """There are no messages any more."""
        self.stop_retries()
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
