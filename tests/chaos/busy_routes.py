"""Event routes of every kind that are slow, fail and publish, and a book of what became of each message."""

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

#: Per mille of the messages that fail at once, are slow, and fail after having been slow.
FAIL, SLOW, FAIL_SLOWLY = 20, 90, 10

#: Seconds that a slow one takes: with bursts, some always wait.
SLOWNESS = 0.02

#: Subjects of a route.
SUBJECTS = 3

#: The kinds of routes; messages for ``nobody`` have none.
KINDS = ("serial", "parallel", "keyed", "threaded", "retried", "hanging", "nobody")

#: What the retried route and the hanging route ask for.
RETRIES, TIMEOUT = 2, 0.05


class PlannedError(Exception):
    """A route was to fail."""


@attrs.frozen
class Told:
    """What the service says of the messages of all its consumers."""

    received: int = 0
    dropped: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    dead_lettered: int = 0

    @classmethod
    def by(cls, ledger: Ledger) -> Told:
        """The sum of all accounts."""
        names = [field.name for field in attrs.fields(cls)]
        return cls(*(sum(getattr(consumer, name) for consumer in ledger.consumers) for name in names))


class Book:
    """
    What the routes themselves know.

    :ivar begun: how often each message was handed to a route, by subject and number.
    :ivar well: messages that ended well.
    :ivar badly: messages that failed.
    :ivar retried: calls after the first one.
    :ivar letters: messages that failed in a route with dead letters.
    :ivar published: messages that routes published.
    :ivar answered: Deferreds of those that have fired.
    :ivar order: messages of a serial or threaded route that came behind a later one of their subject.
    """

    def __init__(self) -> None:
        self.begun: Counter[tuple[str, int]] = Counter()
        self.well = self.badly = self.retried = self.letters = self.published = self.answered = self.order = 0
        self._last: dict[str, int] = {}

    def begin(self, event: Event, *, in_order: bool) -> None:
        """A route has got a message."""
        number = int(event.data.split()[0])
        self.begun[event.subject, number] += 1
        if in_order:
            self.order += number <= self._last.get(event.subject, 0)
            self._last[event.subject] = number

    def complaints(self, told: Told) -> list[str]:
        """
        What does not fit, when all is over.

        :param told: what the service says.
        """
        begun = self.begun.total()
        expectations = {
            "received = begun by a route + dropped": (told.received, begun + told.dropped),
            "begun = ended": (begun, self.well + self.badly),
            "succeeded = ended well": (told.succeeded, self.well),
            "failed = ended badly": (told.failed, self.badly),
            "retried = called again": (told.retried, self.retried),
            "dead-lettered = failed for good where there are dead letters": (told.dead_lettered, self.letters),
            "published by routes = answered": (self.published, self.answered),
            "messages handed over more than once = 0": (begun - len(self.begun), 0),
            "out of order = 0": (self.order, 0),
        }
        return [f"{what}: {left} != {right}" for what, (left, right) in expectations.items() if left != right]


class BusyRoutes:
    """
    The routes.

    :ivar event_routes: for a service.
    :ivar book: what became of the messages.
    :ivar subject_queue_group: what the service subscribes to.
    :ivar subjects: where messages may be sent.

    :param seed: decides which message meets which fate, whenever it comes.
    :param look: called within each call.
    """

    subject_queue_group = [f"in.{kind}.*:crew" for kind in KINDS]
    subjects = [f"in.{kind}.{number}" for kind in KINDS for number in range(SUBJECTS)]

    def __init__(self, reactor: Any, seed: int, look: Callable[[], None]) -> None:
        self.event_routes = event_route = EventRoutes()
        self.book = Book()
        self._reactor = reactor
        self._seed = seed
        self._look = look
        event_route("nats:in.serial.*")(self._in_order)
        event_route("nats:in.parallel.*", concurrency=20)(self._in_any_order)
        event_route("nats:in.keyed.*", key=lambda event: event.subject, concurrency=2)(self._in_order)
        event_route("nats:in.threaded.*", thread=True)(self._in_thread)
        again = [dead_letter("dead.letters"), retry(RETRIES, wait=0.01)]
        event_route("nats:in.retried.*", concurrency=50, middleware=again)(self._again)
        event_route("nats:in.hanging.*", concurrency=50, timeout=TIMEOUT)(self._hang)

    def _in_order(self, event: Event) -> Deferred[None] | None:
        return self._play(event, in_order=True)

    def _in_any_order(self, event: Event) -> Deferred[None] | None:
        return self._play(event, in_order=False)

    def _play(self, event: Event, *, in_order: bool) -> Deferred[None] | None:
        self.book.begin(event, in_order=in_order)
        self._look()
        fate = self._fate(event)
        if fate < FAIL:
            self.book.badly += 1
            raise PlannedError()
        self.book.published += 1
        event.publish(f"echo.{event.subject}", event.data).addBoth(self._answered)
        if fate < FAIL + SLOW + FAIL_SLOWLY:
            return deferLater(self._reactor, SLOWNESS, self._end_slowly, fate)
        self.book.well += 1
        return None

    def _again(self, event: Event) -> None:
        """One in ten fails, at its first, at its second, or at all of its attempts."""
        if event.attempts == 1:
            self.book.begin(event, in_order=False)
        else:
            self.book.retried += 1
        self._look()
        fate = self._fate(event)
        if fate < 100 and event.attempts <= 1 + fate % (RETRIES + 1):
            if event.attempts > RETRIES:
                self.book.badly += 1
                self.book.letters += 1
            raise PlannedError()
        self.book.well += 1

    def _hang(self, event: Event) -> Deferred[None] | None:
        """Some never end, and are cancelled."""
        self.book.begin(event, in_order=False)
        if self._fate(event) < FAIL:
            return Deferred(self._cancelled)
        self.book.well += 1
        return None

    def _cancelled(self, _: object) -> None:
        self.book.badly += 1

    def _in_thread(self, event: Event) -> None:
        # Of one subscription one runs at a time, so that the figures of the book are safe.
        self.book.begin(event, in_order=True)
        fate = self._fate(event)
        time.sleep(SLOWNESS / 10 if fate < FAIL + SLOW else 0)
        if fate < FAIL:
            self._reactor.callFromThread(self._count_bad)
            raise PlannedError()
        self._reactor.callFromThread(self._count_good)

    def _end_slowly(self, fate: int) -> None:
        if fate < FAIL + FAIL_SLOWLY:
            self.book.badly += 1
            raise PlannedError()
        self.book.well += 1

    def _count_good(self) -> None:
        self.book.well += 1

    def _count_bad(self) -> None:
        self.book.badly += 1

    def _answered(self, _: object) -> None:
        self.book.answered += 1

    def _fate(self, event: Event) -> int:
        """From 0 to 999, by subject and number."""
        return crc32(b"%d %b %b" % (self._seed, event.subject.encode(), event.data.split()[0])) % 1000
