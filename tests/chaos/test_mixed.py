"""Everything at once; ``python -m tests.chaos mixed`` does it longer."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase, TestCase

from natsroute.client.subscription import PendingPolicy
from tests.chaos import mixed
from tests.chaos.busy_routes import Book, PlannedError, Told

SEED = int(os.environ.get("NATSROUTE_CHAOS_SEED", "1"))
SECONDS = 12.0
#: Figures that show that something has happened.
SHOWN = ("succeeded", "failed", "dropped", "retried", "dead_lettered", "published by routes", "confirmed", "resent")


class MixedTests(TestCase):
    """Cuts, stalls, delays, single bytes, kills, bursts, slow and failing routes, and the end."""

    timeout = 120

    async def run_with(self, pending_policy: PendingPolicy) -> mixed.Outcome:
        from twisted.internet import reactor

        folder = Path(self.mktemp()).absolute()
        outcome = await mixed.run(reactor, folder, SEED, SECONDS, pending_policy)
        self.flushLoggedErrors(PlannedError)
        self.assertEqual(outcome.complaints, [], f"seed {SEED}: {outcome.figures}")
        for figure in SHOWN:
            self.assertGreater(outcome.figures[figure], 0, f"seed {SEED}: {figure}")
        return outcome

    async def test_everything_adds_up(self) -> None:
        outcome = await self.run_with("pause")
        self.assertGreater(outcome.figures["most waiting at once"], mixed.MAX_PENDING, f"seed {SEED}")

    async def test_everything_adds_up_where_messages_are_dropped(self) -> None:
        await self.run_with("drop_oldest")


class BookTests(SynchronousTestCase):
    """The comparison sees what it must see."""

    def test_complaints(self) -> None:
        book = Book()
        self.assertEqual(book.complaints(Told()), [])
        for field in attrs.fields(Told):
            self.assertEqual(len(book.complaints(Told(**{field.name: 1}))), 1)
        book.begun["a", 1] += 2
        book.well = 2
        self.assertEqual(
            book.complaints(Told(received=2, succeeded=2)), ["messages handed over more than once = 0: 1 != 0"]
        )
