"""natsroute.ledger; tests.integration and tests.chaos check that it adds up in the service."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from natsroute.ledger import ConsumerAccount, Ledger, PublisherAccount, RequestsAccount, RouteCounters


class LedgerTests(SynchronousTestCase):
    """Accounts, and the check that they add up."""

    def setUp(self) -> None:
        self.counters = RouteCounters(
            "", routed=10, waiting=2, succeeded=5, failed=2, retried=7, dead_lettered=1, not_dead_lettered=3
        )
        self.consumer = ConsumerAccount(
            "a:q", received=19, pending=3, overflowed=3, unclaimed=2, unrouted=1, routes=self.counters
        )
        self.publisher = PublisherAccount(published=10, confirmed=5, failed=2, dropped=1, resent=9, in_progress=2)

        self.requests = RequestsAccount(requested=10, answered=7, failed=2, in_progress=1, late=5)

    def differences(self) -> list[str]:
        return Ledger((self.consumer,), (), self.publisher, self.requests).differences()

    def test_adds_up(self) -> None:
        self.assertEqual((self.consumer.in_progress, self.consumer.waiting, self.consumer.dropped), (1, 5, 6))
        self.assertEqual(self.differences(), [])

    def test_does_not_add_up(self) -> None:
        """Each number matters."""
        for name in ("received", "pending", "overflowed", "unclaimed", "unrouted"):
            right = self.consumer
            self.consumer = attrs.evolve(right, **{name: getattr(right, name) + 1})
            self.assertEqual(len(self.differences()), 1, name)
            self.consumer = right
        for name in ("published", "confirmed", "failed", "dropped", "in_progress"):
            correct = self.publisher
            self.publisher = attrs.evolve(correct, **{name: getattr(correct, name) + 1})
            self.assertEqual(len(self.differences()), 1, name)
            self.publisher = correct
        for name in ("requested", "answered", "failed", "in_progress"):
            asked = self.requests
            self.requests = attrs.evolve(asked, **{name: getattr(asked, name) + 1})
            self.assertEqual(len(self.differences()), 1, name)
            self.requests = asked
        self.counters.succeeded += 2  # as if one message was counted twice
        self.assertEqual(
            self.differences(), ["a:q: 19 received = 7 succeeded + 2 failed + 6 dropped + -1 in progress + 5 waiting"]
        )

    def test_a_stream(self) -> None:
        """What was handed back is a part of the sum, by a route or before one had it."""
        self.counters.handed_back = 1
        self.consumer = attrs.evolve(self.consumer, received=20, returned=1, lag=7)
        self.assertEqual((self.consumer.handed_back, self.consumer.in_progress), (2, 0))
        self.assertEqual(self.differences(), [])
        self.assertEqual(
            str(self.consumer),
            "20 received = 5 succeeded + 2 failed + 2 handed back + 6 dropped + 0 in progress + 5 waiting",
        )

    def test_total(self) -> None:
        total = RouteCounters.total("nats:a", [self.counters, self.counters, RouteCounters("other", routed=1)])
        none = RouteCounters.total("nats:a", [])
        self.assertEqual([getattr(total, name) for name in total.NAMES], [21, 4, 10, 4, 14, 2, 6, 0])
        self.assertEqual([getattr(none, name) for name in none.NAMES], [0] * 8)
        self.assertEqual((total.route, none.route), ("nats:a", "nats:a"))

    def test_total_of_publisher_accounts(self) -> None:
        one = PublisherAccount(published=1, confirmed=2, failed=3, dropped=4, resent=5, in_progress=6)
        self.assertEqual(PublisherAccount.total([one]), one)
        self.assertEqual(attrs.astuple(PublisherAccount.total([one, one, one])), (3, 6, 9, 12, 15, 18))
