"""Reports the messages of a stream that are still being handled, before the server delivers them again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.routes.acknowledging import RouteAcknowledgement, StreamConsumer

#: Looks within the time after which the server delivers a message again. A message that is there at two of them is
#: reported, so the first report comes before half of that time, and the others follow each quarter.
_LOOKS = 4
#: Seconds between two looks, at least.
_MIN_PERIOD = 0.02


class InProgress:
    """
    Reports the messages of one consumer that wait for their call, or whose call runs.

    There is one timer for all, and nothing is done for a message that is handled soon.

    :param consumer: knows the calls, and writes the reports.
    :param pending: returns the ack subjects of messages that have not been given to a route yet.
    """

    def __init__(
        self, consumer: StreamConsumer, clock: IReactorTime, pending: Callable[[], Iterable[bytes]] = lambda: ()
    ) -> None:
        self._consumer = consumer
        self._clock = clock
        self._pending = pending
        self._seen: frozenset[bytes] = frozenset()
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """Begin."""
        if self._next is None:
            self._next = self._clock.callLater(self._period(), self._look)

    def stop(self) -> None:
        """Report nothing more until :meth:`start`."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._seen = frozenset()

    def _period(self) -> float:
        return max(_MIN_PERIOD, self._consumer.rules().shortest_wait / _LOOKS)

    def _look(self) -> None:
        self._next = self._clock.callLater(self._period(), self._look)
        now = frozenset(chain(self._pending(), self._given_to_routes()))
        for reply_to in now & self._seen:
            self._consumer.acks.in_progress(reply_to)
        self._seen = now

    def _given_to_routes(self) -> Iterator[bytes]:
        in_flight = self._consumer.in_flight
        for event in chain([call.event for call in in_flight.running], in_flight.waiting):
            acknowledgement = event.context.acknowledgement
            if (
                isinstance(acknowledgement, RouteAcknowledgement)
                and acknowledgement.consumer is self._consumer
                and acknowledgement.redelivers
                and event.acknowledged is None  # a report would end the delay of a NAK
                and event.reply_to is not None
            ):
                yield event.reply_to
