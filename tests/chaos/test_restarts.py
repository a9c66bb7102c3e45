"""nats-server is killed again and again under load; ``python -m tests.chaos restarts`` does it longer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SkipTest, TestCase

from tests.chaos import restarts
from tests.chaos.markdown import table
from tests.chaos.outages import plan_outages, seconds_of
from tests.chaos.peers import KAMAILIO, NATS_PY, NATS_PY_RARE_FLUSH, Peer
from tests.chaos.publishers import NatsroutePublisher
from tests.support.kamailio import REQUIRE

SEED = int(os.environ.get("NATSROUTE_CHAOS_SEED", "1"))
RATE = 5_000.0


class RestartTests(TestCase):
    """What a publisher reports, compared with what a subscriber sees."""

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor

    async def test_natsroute(self) -> None:
        """Nothing confirmed is lost, nothing is out of order, every Deferred fires, and the ledger adds up."""
        await self.check_natsroute(5, kills=1)

    async def test_natsroute_with_two_kills(self) -> None:
        """The second kill comes soon after the first: what was sent again is lost again."""
        await self.check_natsroute(3, kills=2)

    async def test_natsroute_with_six_kills(self) -> None:
        await self.check_natsroute(2, kills=6)

    async def check_natsroute(self, rounds: int, *, kills: int) -> None:
        """A run in which nothing goes wrong."""
        publisher = NatsroutePublisher(RATE)
        outages = plan_outages(SEED, rounds, (0.3, 1.2), kills)
        found = await restarts.run(self.reactor, Path(self.mktemp()).absolute(), publisher, outages)
        self.assertEqual(found.violations, [], f"seed {SEED}")
        self.assertEqual(publisher.auditor.differences, [], f"seed {SEED}")
        self.assertEqual((found.failed, found.sent), (0, found.published), f"seed {SEED}: {found.reasons}")
        self.assertGreater(found.published, RATE * seconds_of(outages) * 0.3)  # the machine may be busy
        resent = publisher.service.ledger().publisher.resent
        self.assertGreater(resent, 0)
        self.assertLessEqual(found.repeated, resent)
        self.assertGreater(publisher.auditor.samples, 10)

    async def check_peer(self, peer: Peer) -> None:
        """A run with two restarts gives a comparison that makes sense."""
        if peer.find_version() is None:
            self.assertNotEqual((os.environ.get(REQUIRE), peer.name), ("1", KAMAILIO.name))
            raise SkipTest(f"{peer.name}: not installed")
        folder = Path(self.mktemp()).absolute()
        found = await restarts.run(self.reactor, folder, peer.make(RATE), plan_outages(SEED, 2, (1.0, 2.5)))
        self.assertGreater(found.published, 0)
        self.assertEqual((found.unexpected, found.unreported), (0, 0))
        self.assertLess(found.never_seen, found.published)  # how much depends on how long the server is away
        self.assertIn(f"| published | {found.published:,} |", table({peer.name: found}))

    def test_nats_py(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.check_peer(NATS_PY))

    def test_nats_py_with_rare_flushes(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.check_peer(NATS_PY_RARE_FLUSH))

    def test_kamailio(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.check_peer(KAMAILIO))
