"""A natsroute service that is the only member of a queue group, and a comparison of what it consumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred

from natsroute import Event, EventRoutes, NatsrouteService, Settings
from tests.chaos.messages import QUESTION_SUBJECT
from tests.chaos.publishers import QUICK
from tests.support.waiting import until


class RecordingConsumer:
    """
    Records each message that its route gets.

    :ivar seen: subject and number of each message, in order.
    :ivar service: the service.

    :param settings: more settings than :data:`~tests.chaos.publishers.QUICK`.
    """

    def __init__(self, reactor: Any, **settings: Any) -> None:
        self.seen: list[tuple[str, int]] = []
        self._reactor = reactor
        routes = EventRoutes()
        routes("nats:chaos.*")(self._record)
        self.service = NatsrouteService(
            Settings(subject_queue_group="chaos.*:crew", num_publish_workers=1, **{**QUICK, **settings}), routes
        )

    async def start(self) -> None:
        """Start, and wait until the server has the subscription."""
        self.service.startService()
        await until(lambda: self.service.connected, self._reactor)

    def stop(self) -> Deferred[None]:
        """Stop."""
        return self.service.stopService()

    async def differences(self, sightings: Iterable[tuple[str, int]]) -> list[str]:
        """
        Compare with what the witness saw: each message once for each time that the witness saw it.

        :return: what differs; empty if all is well.
        """
        expected = Counter(sightings)
        try:
            await until(lambda: not expected - Counter(self.seen), self._reactor)
        except AssertionError:
            pass  # the comparison counts what is missing
        return consumption_differences(expected, Counter(self.seen))

    def _record(self, event: Event) -> None:
        if event.subject != QUESTION_SUBJECT:
            self.seen.append((event.subject, int(event.data.split()[0])))


def consumption_differences(expected: Counter[tuple[str, int]], consumed: Counter[tuple[str, int]]) -> list[str]:
    """What was not consumed as often as the witness saw it."""
    lines = []
    for what, found in [("not consumed", expected - consumed), ("consumed too often", consumed - expected)]:
        if found:
            numbers = sorted(number for _, number in found)
            lines.append(f"{found.total()} messages {what}, of numbers {numbers[0]} to {numbers[-1]}")
    return lines
