"""
The ledger: what became of each message. It adds up exactly, at any moment, also inside a route::

    for each consumer    received  = succeeded + failed + handed back + dropped + in progress + waiting
    for the publisher    published = confirmed + failed + dropped + in progress
    for requests         requested = answered + failed + in progress

Each part of natsroute counts what it does itself. The subscription counts the messages received and dropped, the runner
those that it gives to a route, and the calls of the route how they end. The messages that are pending or on their way
out are looked up. So the equations can fail, and :meth:`Ledger.differences` tests that

- each message received was dropped, is waiting, or was given to a route;
- no route has ended more calls than it was given messages;
- the messages on their way out are those that were published and have neither been confirmed nor failed.

In progress are the messages that were given to a route whose call has not ended. The tests compare their number with
the calls that are running.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from natsroute.hot import Counts


class RouteCounters(Counts):
    """
    What became of the messages that were given to one event route, by one consumer or by all.

    :ivar route: the route's name.
    :ivar routed: messages given to the route.
    :ivar waiting: of these, messages that wait behind another one with the same key.
    :ivar succeeded: calls that ended well.
    :ivar failed: calls that raised or whose Deferred failed, after all retries. Calls that were cancelled when the
        service stopped are among them.
    :ivar retried: retries after a failed call.
    :ivar dead_lettered: of the failed calls, those whose message was published to a dead-letter subject.
    :ivar not_dead_lettered: of the failed calls, those whose message should have been, and could not. The log says why.
    :ivar handed_back: messages of a stream that are delivered again: because their call failed and is retried, or was
        cancelled when the service stopped. Each delivery counts as a message.
    """

    #: The names of the counters.
    NAMES = (
        "routed",
        "waiting",
        "succeeded",
        "failed",
        "retried",
        "dead_lettered",
        "not_dead_lettered",
        "handed_back",
    )
    __slots__ = ("dead_lettered", "failed", "handed_back", "not_dead_lettered", "retried", "route", "waiting")

    def __init__(
        self,
        route: str,
        routed: int = 0,
        waiting: int = 0,
        succeeded: int = 0,
        failed: int = 0,
        retried: int = 0,
        dead_lettered: int = 0,
        not_dead_lettered: int = 0,
        handed_back: int = 0,
    ) -> None:
        super().__init__(routed, succeeded)
        self.route = route
        self.waiting = waiting
        self.failed = failed
        self.retried = retried
        self.dead_lettered = dead_lettered
        self.not_dead_lettered = not_dead_lettered
        self.handed_back = handed_back

    @property
    def in_progress(self) -> int:
        """Messages whose call has begun and not ended."""
        return self.routed - self.waiting - self.succeeded - self.failed - self.handed_back

    @classmethod
    def total(cls, route: str, route_counters: Iterable[RouteCounters]) -> RouteCounters:
        """The sum of several counters, in a new object."""
        all_counters = list(route_counters)
        return cls(route, **{name: sum(getattr(one, name) for one in all_counters) for name in cls.NAMES})


@attrs.frozen
class ConsumerAccount:
    """
    The account of one ``subject_queue_group`` or ``jetstream_consumer``.

    :ivar name: the entry, such as ``Kamailio-World:2021``.
    :ivar received: messages received.
    :ivar pending: messages that wait because their route is busy.
    :ivar overflowed: messages dropped because too many were pending.
    :ivar unclaimed: messages dropped because the subscription had ended when they arrived.
    :ivar unrouted: messages dropped because no event route matched.
    :ivar routes: what became of the others, the sum over all routes.
    :ivar returned: messages of a stream that were handed back before a route got them.
    :ivar lag: for a stream, the messages that are still to be delivered, as far as the server has said; else None.
    """

    name: str
    received: int
    pending: int
    overflowed: int
    unclaimed: int
    unrouted: int
    routes: RouteCounters
    returned: int = 0
    lag: int | None = None

    @property
    def routed(self) -> int:
        """Messages given to a route."""
        return self.routes.routed

    @property
    def succeeded(self) -> int:
        """Messages whose call ended well."""
        return self.routes.succeeded

    @property
    def failed(self) -> int:
        """Messages whose call failed, after all retries."""
        return self.routes.failed

    @property
    def retried(self) -> int:
        """Retries after a failed call."""
        return self.routes.retried

    @property
    def dead_lettered(self) -> int:
        """Of the failed messages, those that were published to a dead-letter subject."""
        return self.routes.dead_lettered

    @property
    def not_dead_lettered(self) -> int:
        """Of the failed messages, those that could not be published to a dead-letter subject."""
        return self.routes.not_dead_lettered

    @property
    def handed_back(self) -> int:
        """Messages of a stream that are delivered again."""
        return self.routes.handed_back + self.returned

    @property
    def in_progress(self) -> int:
        """Messages whose call has begun and not ended."""
        return self.routes.in_progress

    @property
    def waiting(self) -> int:
        """Messages that wait because their route is busy, or behind another one with the same key."""
        return self.pending + self.routes.waiting

    @property
    def dropped(self) -> int:
        """Messages that no route was called for: the overflowed, the unclaimed and the unrouted ones."""
        return self.overflowed + self.unclaimed + self.unrouted

    def __str__(self) -> str:
        handed_back = ("handed_back",) if self.lag is not None or self.handed_back else ()
        return _line(self, "received", "succeeded", "failed", *handed_back, "dropped", "in_progress", "waiting")


@attrs.frozen
class PublisherAccount:
    """
    The account of the publisher.

    :ivar published: messages given to the publisher.
    :ivar confirmed: messages that the server has, and whose Deferreds have fired.
    :ivar failed: messages whose Deferred failed, except those in ``dropped``.
    :ivar dropped: messages dropped by the policy ``drop``.
    :ivar resent: messages sent again after a reconnect.
    :ivar in_progress: messages that wait to be sent, are not confirmed, or whose Deferreds have not fired since.
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
class RequestsAccount:
    """
    The account of the requests that were sent, those to JetStream included.

    :ivar requested: requests made.
    :ivar answered: requests with an answer; those that take several answers, when these are complete.
    :ivar failed: requests that failed or were cancelled.
    :ivar in_progress: requests that wait for their answer, or for a connection.
    :ivar late: answers that were dropped, because their requests had ended.
    """

    requested: int = 0
    answered: int = 0
    failed: int = 0
    in_progress: int = 0
    late: int = 0

    def __str__(self) -> str:
        return _line(self, "requested", "answered", "failed", "in_progress")


@attrs.frozen
class Ledger:
    """
    All accounts at one moment.

    :ivar consumers: one for each ``subject_queue_group``, in the order of the setting.
    :ivar routes: one for each event route that has had a message or a connection event, the sum over all consumers.
    :ivar publisher: the account of the publisher.
    :ivar requests: the account of the requests.
    """

    consumers: tuple[ConsumerAccount, ...]
    routes: tuple[RouteCounters, ...]
    publisher: PublisherAccount
    requests: RequestsAccount = RequestsAccount()

    def differences(self) -> list[str]:
        """What does not add up, in words. If the list is not empty, natsroute has a bug."""
        wrong = [
            f"{one.name}: {one}"
            for one in self.consumers
            if one.received
            != one.succeeded + one.failed + one.handed_back + one.dropped + one.in_progress + one.waiting
            or one.in_progress < 0
        ]
        out = self.publisher
        if out.published != out.confirmed + out.failed + out.dropped + out.in_progress:
            wrong.append(f"publisher: {out}")
        asked = self.requests
        if asked.requested != asked.answered + asked.failed + asked.in_progress:
            wrong.append(f"requests: {asked}")
        return wrong


def _line(account: object, *names: str) -> str:
    """The equation: the first is the sum of the others."""
    total, *parts = (f"{getattr(account, name)} {name.replace('_', ' ')}" for name in names)
    return f"{total} = {' + '.join(parts)}"
