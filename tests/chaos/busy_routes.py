"""Event routes of every kind that are slow, fail and publish, and a record of what became of each message."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from zlib import crc32

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from natsroute import Event, EventRoutes
from natsroute.ledger import Ledger
from natsroute.middleware import dead_letter, retry

#: Messages per thousand that fail at once, that are slow, and that are slow and then fail.
FAIL, SLOW, FAIL_SLOWLY = 20, 90, 10

#: Seconds that a slow message takes. With bursts, some messages always wait.
SLOWNESS = 0.02

#: Subjects of each route.
SUBJECTS = 3

#: The kinds of routes. Messages for ``nobody`` have no route.
KINDS = ("serial", "parallel", "keyed", "threaded", "retried", "hanging", "nobody")

#: The retries of the retried route, and the timeout of the hanging route.
RETRIES, TIMEOUT = 2, 0.05


class PlannedError(Exception):
    """A route fails on purpose."""


@attrs.frozen
class ServiceTotals:
    """What the service counts, summed up over its consumers."""

    received: int = 0
    dropped: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    dead_lettered: int = 0

    @classmethod
    def of(cls, ledger: Ledger) -> ServiceTotals:
        """The totals of a ledger."""
        names = [field.name for field in attrs.fields(cls)]
        return cls(*(sum(getattr(consumer, name) for consumer in ledger.consumers) for name in names))


class RouteRecord:
    """
    What the routes themselves count.

    :ivar begun: how often a route got each message, by subject and number.
    :ivar succeeded: messages that a route handled.
    :ivar failed: messages that failed in a route.
    :ivar retried: calls after the first one.
    :ivar dead_lettered: messages that failed in the route with dead letters.
    :ivar published: messages that routes published.
    :ivar confirmed_or_failed: messages that routes published and whose Deferred has fired.
    :ivar out_of_order: messages of a route in order that came after a later one of their subject.
    """

    def __init__(self) -> None:
        self.begun: Counter[tuple[str, int]] = Counter()
        self.succeeded = self.failed = self.retried = self.dead_lettered = 0
        self.published = self.confirmed_or_failed = self.out_of_order = 0
        self._last: dict[str, int] = {}

    def begin(self, event: Event, *, in_order: bool) -> None:
        """A route has got a message."""
        number = int(event.data.split()[0])
        self.begun[event.subject, number] += 1
        if in_order:
            self.out_of_order += number <= self._last.get(event.subject, 0)
            self._last[event.subject] = number

    def violations(self, totals: ServiceTotals) -> list[str]:
        """
        Compare with what the service counts, after the end of the run.

        :return: what does not fit; empty if all is well.
        """
        begun = self.begun.total()
        expectations = {
            "received = begun by a route + dropped": (totals.received, begun + totals.dropped),
            "begun = ended": (begun, self.succeeded + self.failed),
            "succeeded": (totals.succeeded, self.succeeded),
            "failed": (totals.failed, self.failed),
            "retried": (totals.retried, self.retried),
            "dead-lettered": (totals.dead_lettered, self.dead_lettered),
            "published by routes = confirmed or failed": (self.published, self.confirmed_or_failed),
            "messages delivered to a route more than once = 0": (begun - len(self.begun), 0),
            "out of order = 0": (self.out_of_order, 0),
        }
        return [f"{what}: {left} != {right}" for what, (left, right) in expectations.items() if left != right]


class BusyRoutes:
    """
    The routes.

    :ivar event_routes: for a service.
    :ivar record: what became of the messages.
    :ivar subject_queue_group: what the service subscribes to.
    :ivar subjects: the subjects to send messages to.

    :param seed: decides, together with subject and number, what happens to a message.
    :param on_call: called within each call of a route.
    """

    subject_queue_group = [f"in.{kind}.*:crew" for kind in KINDS]
    subjects = [f"in.{kind}.{number}" for kind in KINDS for number in range(SUBJECTS)]

    def __init__(self, reactor: Any, seed: int, on_call: Callable[[], None]) -> None:
        self.event_routes = event_route = EventRoutes()
        self.record = RouteRecord()
        self._reactor = reactor
        self._seed = seed
        self._on_call = on_call
        event_route("nats:in.serial.*")(self._in_order)
        event_route("nats:in.parallel.*", concurrency=20)(self._in_any_order)
        event_route("nats:in.keyed.*", key=lambda event: event.subject, concurrency=2)(self._in_order)
        event_route("nats:in.threaded.*", thread=True)(self._in_thread)
        middleware = [dead_letter("dead.letters"), retry(RETRIES, wait=0.01)]
        event_route("nats:in.retried.*", concurrency=50, middleware=middleware)(self._retried)
        event_route("nats:in.hanging.*", concurrency=50, timeout=TIMEOUT)(self._hang)

    def _in_order(self, event: Event) -> Deferred[None] | None:
        return self._handle(event, in_order=True)

    def _in_any_order(self, event: Event) -> Deferred[None] | None:
        return self._handle(event, in_order=False)

    def _handle(self, event: Event, *, in_order: bool) -> Deferred[None] | None:
        self.record.begin(event, in_order=in_order)
        self._on_call()
        chance = self._chance(event)
        if chance < FAIL:
            self.record.failed += 1
            raise PlannedError()
        self.record.published += 1
        event.publish(f"echo.{event.subject}", event.data).addBoth(self._published)
        if chance < FAIL + SLOW + FAIL_SLOWLY:
            return deferLater(self._reactor, SLOWNESS, self._end_slowly, chance)
        self.record.succeeded += 1
        return None

    def _retried(self, event: Event) -> None:
        """One in ten fails: in its first attempt, in the first two, or in all."""
        if event.attempts == 1:
            self.record.begin(event, in_order=False)
        else:
            self.record.retried += 1
        self._on_call()
        chance = self._chance(event)
        if chance < 100 and event.attempts <= 1 + chance % (RETRIES + 1):
            if event.attempts > RETRIES:
                self.record.failed += 1
                self.record.dead_lettered += 1
            raise PlannedError()
        self.record.succeeded += 1

    def _hang(self, event: Event) -> Deferred[None] | None:
        """Some calls never end, and are cancelled."""
        self.record.begin(event, in_order=False)
        if self._chance(event) < FAIL:
            return Deferred(self._cancelled)
        self.record.succeeded += 1
        return None

    def _cancelled(self, _: object) -> None:
        self.record.failed += 1

    def _in_thread(self, event: Event) -> None:
        # One call of a subscription runs at a time, so this thread may write to the record.
        self.record.begin(event, in_order=True)
        chance = self._chance(event)
        time.sleep(SLOWNESS / 10 if chance < FAIL + SLOW else 0)
        if chance < FAIL:
            self._reactor.callFromThread(self._count_failed)
            raise PlannedError()
        self._reactor.callFromThread(self._count_succeeded)

    def _end_slowly(self, chance: int) -> None:
        if chance < FAIL + FAIL_SLOWLY:
            self.record.failed += 1
            raise PlannedError()
        self.record.succeeded += 1

    def _count_succeeded(self) -> None:
        self.record.succeeded += 1

    def _count_failed(self) -> None:
        self.record.failed += 1

    def _published(self, _: object) -> None:
        self.record.confirmed_or_failed += 1

    def _chance(self, event: Event) -> int:
        """A number from 0 to 999, which depends on subject and number of the message."""
        return crc32(b"%d %b %b" % (self._seed, event.subject.encode(), event.data.split()[0])) % 1000
