"""Everything at once; ``python -m tests.chaos mixed`` does it longer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.chaos import mixed
from tests.chaos.busy_routes import Book, PlannedError

SEED = int(os.environ.get("NATSROUTE_CHAOS_SEED", "1"))
SECONDS = 12.0


class MixedTests(TestCase):
    """Cuts, stalls, delays, single bytes, kills, bursts, slow and failing routes, and the end."""

    timeout = 120

    async def test_everything_adds_up(self) -> None:
        from twisted.internet import reactor

        folder: Any = Path(self.mktemp()).absolute()
        outcome = await mixed.run(reactor, folder, SEED, SECONDS)
        self.flushLoggedErrors(PlannedError)
        self.assertEqual(outcome.complaints, [], f"seed {SEED}: {outcome.figures}")
        for figure in ("succeeded", "failed", "unrouted", "published by routes", "confirmed", "resent"):
            self.assertGreater(outcome.figures[figure], 0, f"seed {SEED}: {figure}")
        self.assertGreater(outcome.figures["most waiting at once"], mixed.MOST_PENDING, f"seed {SEED}")


class BookTests(SynchronousTestCase):
    """The comparison sees what it must see."""

    def test_complaints(self) -> None:
        book = Book()
        self.assertEqual(book.complaints(0, 0, 0, 0), [])
        self.assertEqual(len(book.complaints(1, 0, 0, 0)), 1)
        book.begun["a", 1] += 2
        book.well = 2
        self.assertEqual(book.complaints(2, 0, 2, 0), ["messages handed over more than once = 0: 1 != 0"])
