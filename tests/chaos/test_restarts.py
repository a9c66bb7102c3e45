"""nats-server is killed again and again under load; ``python -m tests.chaos restarts`` does it longer."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase

from tests.chaos import restarts
from tests.chaos.outages import plan
from tests.chaos.peers import KAMAILIO, NATS_PY, NATS_PY_SELDOM, Peer
from tests.chaos.publishers import NatsroutePublisher
from tests.chaos.report import table
from tests.chaos.tally import SENT, tally
from tests.support.kamailio import REQUIRE

SEED = int(os.environ.get("NATSROUTE_CHAOS_SEED", "1"))
RATE = 5_000.0


class RestartTests(TestCase):
    """Each message, each Deferred."""

    timeout = 120

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor

    async def test_natsroute(self) -> None:
        """Nothing confirmed is lost, nothing is out of order, every Deferred fires, the figures add up."""
        publisher = NatsroutePublisher(RATE)
        outages = plan(SEED, 8, (0.3, 1.2))
        found = await restarts.run(self.reactor, Path(self.mktemp()).absolute(), publisher, outages)
        self.assertEqual(found.complaints, [], f"seed {SEED}")
        self.assertEqual(publisher.auditor.differences, [], f"seed {SEED}")
        self.assertEqual((found.failed, found.sent), (0, found.published), f"seed {SEED}: {found.reasons}")
        self.assertGreater(found.published, RATE * outages[-1].at * 0.9)
        resent = publisher.service.ledger().publisher.resent
        self.assertGreater(resent, 0)
        self.assertLessEqual(found.twice, resent)
        self.assertGreater(publisher.auditor.samples, 100)

    async def meet(self, peer: Peer) -> None:
        """Two restarts, and what became of the messages can be told."""
        if peer.find_version() is None:
            self.assertNotEqual((os.environ.get(REQUIRE), peer.name), ("1", KAMAILIO.name))
            raise SkipTest(f"{peer.name}: not installed")
        folder = Path(self.mktemp()).absolute()
        found = await restarts.run(self.reactor, folder, peer.make(RATE), plan(SEED, 2, (1.0, 2.5)))
        self.assertGreater(found.published, 0)
        self.assertEqual((found.strange, found.silent), (0, 0))
        self.assertLess(found.lost_in_all, found.published // 2)
        self.assertIn(f"| published | {found.published:,} |", table({peer.name: found}))

    def test_nats_py(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.meet(NATS_PY))

    def test_nats_py_that_seldom_flushes(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.meet(NATS_PY_SELDOM))

    def test_kamailio(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.meet(KAMAILIO))


class PlanTests(SynchronousTestCase):
    """What a seed decides."""

    def test_same_seed(self) -> None:
        self.assertEqual(plan(1, 10, (1.0, 2.0)), plan(1, 10, (1.0, 2.0)))
        self.assertNotEqual(plan(1, 10, (1.0, 2.0)), plan(2, 10, (1.0, 2.0)))

    def test_one_after_the_other(self) -> None:
        outages = plan(3, 50, (1.0, 2.0))
        for before, after in pairwise(outages):
            self.assertGreaterEqual(after.at - before.at - before.lasts, 1.0)


class TallyTests(SynchronousTestCase):
    """The comparison sees what it must see."""

    def seen(self, *numbers: int) -> list[tuple[str, int]]:
        """Sightings on the right subjects."""
        return [(f"chaos.{number % 12}", number) for number in numbers]

    def test_all_well(self) -> None:
        found = tally(3, dict.fromkeys(range(3), SENT), self.seen(0, 1, 2))
        self.assertEqual((found.complaints, found.sent, found.lost_in_all), ([], 3, 0))

    def test_lost(self) -> None:
        """Told to have been sent, and never seen; what failed may be missing."""
        found = tally(4, {0: SENT, 1: SENT, 2: "SomeError", 3: "SomeError"}, self.seen(0, 3))
        self.assertEqual((found.lost, found.lost_in_all, found.failed), ([1], 2, 2))
        self.assertIn("1 confirmed and never seen: [1]", found.complaints)

    def test_silent(self) -> None:
        found = tally(2, {0: SENT}, self.seen(0, 1))
        self.assertEqual((found.silent, found.complaints), (1, ["1 without an outcome"]))

    def test_order(self) -> None:
        """Within a subject; repeats are no disorder, whatever comes behind them."""
        outcomes = dict.fromkeys(range(40), SENT)
        whole = list(range(40))
        self.assertEqual(tally(40, outcomes, self.seen(*whole)).out_of_order, 0)
        found = tally(40, outcomes, self.seen(*whole[:30], *whole[20:]))
        self.assertEqual((found.out_of_order, found.twice), (0, 10))
        found = tally(40, outcomes, self.seen(*whole[:12], 24, 12, *whole[13:24], *whole[25:]))
        self.assertEqual((found.out_of_order, found.complaints), (1, ["1 out of order"]))

    def test_strange(self) -> None:
        """Another subject, or a number that nobody published."""
        found = tally(2, {0: SENT, 1: SENT}, [("chaos.1", 0), *self.seen(0, 1, 2)])
        self.assertEqual(found.strange, 2)
