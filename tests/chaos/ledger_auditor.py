"""Checks that a service's ledger adds up, at any moment."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import LoopingCall

from natsroute import NatsrouteService

_MAX_DIFFERENCES = 10


class LedgerAuditor:
    """
    Checks a service's ledger again and again.

    :ivar differences: what did not add up, the first few only.
    :ivar samples: the number of checks.
    :ivar max_waiting: the most messages that waited for routes at a check.
    """

    def __init__(self, reactor: Any, service: NatsrouteService) -> None:
        self.differences: list[str] = []
        self.samples = self.max_waiting = 0
        self._service = service
        self._looping = LoopingCall(self._check_between_calls)
        self._looping.clock = reactor

    def start(self, interval: float = 0.005) -> None:
        """Check at this interval, in seconds."""
        self._looping.start(interval)

    def stop(self) -> None:
        """Check once more, and stop."""
        self._check_between_calls()
        if self._looping.running:
            self._looping.stop()

    def check(self) -> None:
        """Check that the ledger adds up. A route may call this too."""
        ledger = self._service.ledger()
        self.samples += 1
        self.max_waiting = max(self.max_waiting, sum(consumer.waiting for consumer in ledger.consumers))
        self._add(ledger.differences())

    def _check_between_calls(self) -> None:
        """Check also that the messages in progress are the calls in flight. During a call they may differ by it."""
        self.check()
        in_progress = sum(route.in_progress for route in self._service.ledger().routes)
        if in_progress != len(self._service.in_flight.running):
            self._add([f"{in_progress} in progress, {len(self._service.in_flight.running)} calls in flight"])

    def _add(self, differences: list[str]) -> None:
        if len(self.differences) < _MAX_DIFFERENCES:
            self.differences += differences
