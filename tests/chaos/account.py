"""Whether a service's ledger adds up, at any moment."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import LoopingCall

from natsroute import NatsrouteService


class Auditor:
    """
    Looks at a service's ledger again and again.

    :ivar differences: what did not add up; the first few.
    :ivar samples: how often it looked.
    :ivar most_waiting: messages that waited for routes, at the most.
    """

    def __init__(self, reactor: Any, service: NatsrouteService) -> None:
        self.differences: list[str] = []
        self.samples = self.most_waiting = 0
        self._service = service
        self._looping = LoopingCall(self._look_from_outside)
        self._looping.clock = reactor

    def start(self, interval: float = 0.005) -> None:
        """Look every few milliseconds."""
        self._looping.start(interval)

    def stop(self) -> None:
        """Look once more, and then no more."""
        self._look_from_outside()
        if self._looping.running:
            self._looping.stop()

    def look(self) -> None:
        """See whether it adds up; also from inside a route."""
        ledger = self._service.ledger()
        self.samples += 1
        self.most_waiting = max(self.most_waiting, sum(consumer.waiting for consumer in ledger.consumers))
        self._note(ledger.differences())

    def _look_from_outside(self) -> None:
        """Then no route is just being called, and those in progress are the calls that have not ended."""
        self.look()
        in_progress = sum(tally.in_progress for tally in self._service.ledger().routes)
        if in_progress != len(self._service.in_flight.running):
            self._note([f"{in_progress} in progress, {len(self._service.in_flight.running)} calls running"])

    def _note(self, found: list[str]) -> None:
        if len(self.differences) < 10:
            self.differences += found
