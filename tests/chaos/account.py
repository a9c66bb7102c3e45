"""Whether a service's own figures add up, at any moment."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import LoopingCall

from natsroute import NatsrouteService


def account(service: NatsrouteService, executing: int = 0) -> list[str]:
    """
    What does not add up in a service's figures.

    :param executing: handlers that are being called at this very moment, if this is asked within one.
    """
    if hasattr(service, "ledger"):
        differences: list[str] = service.ledger().differences()
        return differences
    # Without a ledger: the counters that the rooms keep for themselves.
    differences = []
    received = sum(consumer.subscription.received for consumer in service.consumers)
    held = waiting(service) + len(service.calls.waiting)
    ended = service.calls.succeeded + service.calls.failed + service.unrouted.count
    if received != ended + held + service.calls.running + executing:
        differences.append(
            f"received {received}, but ended {ended}, waiting {held}, running {service.calls.running} + {executing}"
        )
    publisher = service.publisher
    if publisher.published < publisher.confirmed + publisher.failed:
        differences.append(
            f"published {publisher.published}, but confirmed {publisher.confirmed}, failed {publisher.failed}"
        )
    return differences


def waiting(service: NatsrouteService) -> int:
    """Messages that wait in the service's subscriptions."""
    return sum(consumer.subscription.pending for consumer in service.consumers)


class Auditor:
    """
    Looks at a service's figures again and again.

    :ivar differences: what did not add up; the first few.
    :ivar samples: how often it looked.
    :ivar most_waiting: messages that waited for routes, at the most.
    """

    def __init__(self, reactor: Any, service: NatsrouteService) -> None:
        self.differences: list[str] = []
        self.samples = self.most_waiting = 0
        self._service = service
        self._looping = LoopingCall(self.look)
        self._looping.clock = reactor

    def start(self, interval: float = 0.005) -> None:
        """Look every few milliseconds."""
        self._looping.start(interval)

    def stop(self) -> None:
        """Look once more, and then no more."""
        self.look()
        if self._looping.running:
            self._looping.stop()

    def look(self, executing: int = 0) -> None:
        """See :func:`account`."""
        self.samples += 1
        self.most_waiting = max(self.most_waiting, waiting(self._service))
        found = account(self._service, executing)
        if found and len(self.differences) < 10:
            self.differences += found
