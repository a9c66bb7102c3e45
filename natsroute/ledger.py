"""
The ledger: what became of each message. It adds up exactly, at any moment, also when it is looked at from inside a
route::

    for each consumer    received  = succeeded + failed + dropped + in progress + waiting
    for the publisher    published = confirmed + failed + dropped + in progress

Each room counts what it does itself: ``received`` and the dropped messages are counted by the subscription, routed
ones by the runner, ends by the calls; what waits, and what is on its way out, is found by looking. So the equations can
fail, and :meth:`Ledger.differences` is a test: that each message received is dropped, waits, or was given to a route;
that no route has had more ends than messages; that as many messages are on their way out as were taken and have no end.
What is in progress is what was given to routes and has not ended; the tests compare it with the calls that run.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs


@attrs.define(eq=False)
class RouteCounters:
    """
    Counts the messages that went to one event route; where there are several consumers, those of one of them.

    :ivar route: the route's name.
    :ivar routed: messages given to it.
    :ivar waiting: those of them that wait behind another one of their key.
    :ivar succeeded: calls that ended well.
    :ivar failed: calls that raised, or whose Deferred failed, after all retries; those cancelled at the end among them.
    :ivar retried: calls made again after a failure.
    :ivar dead_lettered: of the failed, those that were published to a dead-letter subject.
    """

    route: str
    routed: int = 0
    waiting: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    dead_lettered: int = 0

    @property
    def in_progress(self) -> int:
        """Messages whose call has begun and not ended."""
        return self.routed - self.waiting - self.succeeded - self.failed

    @classmethod
    def total(cls, route: str, route_counters: Iterable[RouteCounters]) -> RouteCounters:
        """The sum of several, as a new one."""
        sums = [sum(column) for column in zip(*(attrs.astuple(counters)[1:] for counters in route_counters))]
        return cls(route, *sums)


@attrs.frozen
class ConsumerAccount:
    """
    The account of one ``subject_queue_group``.

    :ivar name: the entry, as ``Kamailio-World:2021``.
    :ivar received: messages that came.
    :ivar pending: messages that wait because its route is busy.
    :ivar overflowed: messages dropped because more came than may wait.
    :ivar unrouted: messages that no event route takes.
    :ivar routes: what became of the others; the sum over all routes.
    """

    name: str
    received: int
    pending: int
    overflowed: int
    unrouted: int
    routes: RouteCounters

    @property
    def routed(self) -> int:
        """Messages given to a route."""
        return self.routes.routed

    @property
    def succeeded(self) -> int:
        """Messages whose route ended well."""
        return self.routes.succeeded

    @property
    def failed(self) -> int:
        """Messages whose route failed, after all retries."""
        return self.routes.failed

    @property
    def retried(self) -> int:
        """Calls made again after a failure."""
        return self.routes.retried

    @property
    def dead_lettered(self) -> int:
        """Of the failed, those that were published to a dead-letter subject."""
        return self.routes.dead_lettered

    @property
    def in_progress(self) -> int:
        """Messages whose route has begun and not ended."""
        return self.routes.in_progress

    @property
    def waiting(self) -> int:
        """Messages that wait, for their route or behind another one of their key."""
        return self.pending + self.routes.waiting

    @property
    def dropped(self) -> int:
        """Messages for which no route was run: overflowed and unrouted ones."""
        return self.overflowed + self.unrouted

    def __str__(self) -> str:
        return _line(self, "received", "succeeded", "failed", "dropped", "in_progress", "waiting")


@attrs.frozen
class PublisherAccount:
    """
    The account of the publisher.

    :ivar published: messages taken.
    :ivar confirmed: messages that the server has.
    :ivar failed: messages whose Deferred failed, those of ``dropped`` aside.
    :ivar dropped: messages that gave way, as their policy ``drop`` asks for.
    :ivar resent: messages sent again after a reconnect.
    :ivar in_progress: messages that wait, or were sent and are not confirmed.
    """

    published: int
    confirmed: int
    failed: int
    dropped: int
    resent: int
    in_progress: int

    @classmethod
    def total(cls, accounts: Iterable[PublisherAccount]) -> PublisherAccount:
        """The sum of several accounts, at least one."""
        return cls(*(sum(column) for column in zip(*map(attrs.astuple, accounts))))

    def __str__(self) -> str:
        return _line(self, "published", "confirmed", "failed", "dropped", "in_progress")


@attrs.frozen
class Ledger:
    """
    All accounts at one moment.

    :ivar consumers: one for each ``subject_queue_group``, in their order.
    :ivar routes: one for each event route that has had a message or a connection event, over all consumers.
    :ivar publisher: the account of the publisher.
    """

    consumers: tuple[ConsumerAccount, ...]
    routes: tuple[RouteCounters, ...]
    publisher: PublisherAccount

    def differences(self) -> list[str]:
        """What does not add up, in words: an empty list, or there is a fault in natsroute."""
        wrong = [
            f"{one.name}: {one}"
            for one in self.consumers
            if one.received != one.succeeded + one.failed + one.dropped + one.in_progress + one.waiting
            or one.in_progress < 0
        ]
        out = self.publisher
        if out.published != out.confirmed + out.failed + out.dropped + out.in_progress:
            wrong.append(f"publisher: {out}")
        return wrong


def _line(account: object, *names: str) -> str:
    """The equation: the first is the sum of the others."""
    total, *parts = (f"{getattr(account, name)} {name.replace('_', ' ')}" for name in names)
    return f"{total} = {' + '.join(parts)}"
