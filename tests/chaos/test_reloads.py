"""Reloads under load; ``python -m tests.chaos reloads`` does it more often, and with more messages."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.chaos import reloads
from tests.chaos.reloads import Answers

SEED = int(os.environ.get("NATSROUTE_CHAOS_SEED", "1"))


class ReloadsTests(TestCase):
    """A short run."""

    async def test_run(self) -> None:
        """Each message is answered once, by the version before a reload or by the one after it."""
        from twisted.internet import reactor

        outcome = await reloads.run(reactor, Path(self.mktemp()).absolute(), SEED, 3, 1_000.0)
        self.assertEqual(outcome.violations, [], f"seed {SEED}: {outcome.figures}")
        self.assertEqual(outcome.figures["reloads"], 3)
        self.assertGreater(outcome.figures["answered exactly once"], 0)


class AnswersTests(SynchronousTestCase):
    """What is wrong with some answers to four messages; the version 1 was loaded when two had been received."""

    def violations(self, *answers: str, kind: str = "plain") -> list[str]:
        found = Answers({kind: 4}, {kind: [0, 2]})
        for answer in answers:
            found.add(kind, answer)
        return list(found.violations())

    def test_all_is_well(self) -> None:
        self.assertEqual(self.violations("0:0", "1:1", "2:1", "3:1"), [])
        self.assertEqual(self.violations("1:1", "0:0", "3:1", "2:1", kind="parallel"), [])

    def test_not_once(self) -> None:
        self.assertEqual(
            self.violations("0:0", "2:1", "3:1"), ["plain: 1 messages were not answered, the first of them 1"]
        )
        self.assertIn("1 answers too many", self.violations("0:0", "1:0", "1:1", "2:1", "3:1"))

    def test_by_a_version_that_is_gone(self) -> None:
        self.assertEqual(
            self.violations("0:0", "1:0", "2:0", "3:1"),
            ["plain: 1 messages that came after a reload were answered by an earlier version"],
        )

    def test_out_of_order(self) -> None:
        self.assertEqual(
            self.violations("1:0", "0:0", "2:1", "3:1"), ["plain: answered before an earlier message: 1 times"]
        )
        self.assertEqual(
            self.violations("0:1", "1:0", "2:1", "3:1"),
            ["plain: answered by an earlier version than the message before: 1 times"],
        )
