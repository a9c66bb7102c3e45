"""natsroute.client.refusals"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.refusals import Refusals
from natsroute.client.subscription import PendingLimits, Subscription
from natsroute.errors import PermissionsError

ERROR = PermissionsError("no", "subscription", "a", None)


class RefusalsTests(SynchronousTestCase):
    """Waits of 1, 2, 3... seconds."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[list[int]] = []  # the sids of each time
        self.answer: Deferred[None] = Deferred()
        self.accepted = 0
        self.refusals = Refusals(self.clock, float, ask=self.ask, on_accepted=self.on_accepted)
        owner: Any = None
        self.first, self.second = (
            Subscription(owner, sid, "a", None, lambda msg: None, PendingLimits()) for sid in (1, 2)
        )

    def ask(self, refused: Iterable[Subscription]) -> Deferred[None]:
        self.asked.append([subscription.sid for subscription in refused])
        self.answer = Deferred()
        return self.answer

    def on_accepted(self) -> None:
        self.accepted += 1

    def test_nothing(self) -> None:
        self.assertEqual((self.refusals.error, self.refusals.newest_asked), (None, None))
        self.refusals.clear()
        self.assertEqual((self.clock.getDelayedCalls(), self.accepted), ([], 0))

    def test_accepted(self) -> None:
        """It counts as refused until the answer has come."""
        self.refusals.add(self.first, ERROR)
        self.assertIs(self.refusals.error, ERROR)
        self.clock.advance(0.9)
        self.assertEqual(self.asked, [])
        self.clock.advance(0.1)
        self.assertEqual((self.asked, self.first.refused, self.accepted), ([[1]], ERROR, 0))
        self.answer.callback(None)
        self.assertEqual((self.first.refused, self.refusals.error, self.accepted), (None, None, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_refused_again(self) -> None:
        """The wait grows, and begins anew once all were accepted."""
        self.refusals.add(self.first, ERROR)
        for wait in (1, 2, 3):
            self.clock.advance(wait - 0.1)
            self.assertEqual(len(self.asked), wait - 1)
            self.clock.advance(0.1)
            self.refusals.add(self.first, ERROR)
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.answer.callback(None)
            self.assertIs(self.first.refused, ERROR)
        self.clock.advance(4)
        self.answer.callback(None)
        self.assertEqual((len(self.asked), self.accepted), (4, 1))
        self.refusals.add(self.first, ERROR)
        self.clock.advance(1)
        self.assertEqual(len(self.asked), 5)

    def test_one_of_two_accepted(self) -> None:
        self.refusals.add(self.first, ERROR)
        self.refusals.add(self.second, ERROR)
        self.clock.advance(1)
        self.assertIs(self.refusals.newest_asked, self.second)
        self.refusals.add(self.second, ERROR)
        self.assertIs(self.refusals.newest_asked, self.first)
        self.answer.callback(None)
        self.assertEqual((self.first.refused, self.second.refused, self.accepted), (None, ERROR, 0))
        self.clock.advance(2)
        self.assertEqual(self.asked, [[1, 2], [2]])
        self.answer.callback(None)
        self.assertEqual(self.accepted, 1)

    def test_refused_while_another_one_is_asked_for(self) -> None:
        """It waits for the next time."""
        self.refusals.add(self.first, ERROR)
        self.clock.advance(1)
        self.refusals.add(self.second, ERROR)
        self.answer.callback(None)
        self.assertEqual((self.first.refused, self.second.refused, self.accepted), (None, ERROR, 0))
        self.clock.advance(2)
        self.assertEqual(self.asked, [[1], [2]])

    def test_forgotten(self) -> None:
        """A subscription that ends is refused no more; others still are."""
        self.refusals.add(self.first, ERROR)
        self.refusals.add(self.second, ERROR)
        self.refusals.forget(self.first)
        self.assertEqual((self.first.refused, self.accepted), (None, 0))
        self.clock.advance(1)
        self.assertEqual(self.asked, [[2]])
        self.refusals.forget(self.second)
        self.assertEqual((self.accepted, self.refusals.newest_asked), (1, None))
        self.answer.callback(None)
        self.assertEqual(self.accepted, 1)
        self.refusals.forget(self.first)
        self.assertEqual(self.accepted, 1)

    def test_cleared(self) -> None:
        """Nothing is asked for, and an answer that comes later means nothing."""
        self.refusals.add(self.first, ERROR)
        self.refusals.clear()
        self.assertEqual((self.first.refused, self.clock.getDelayedCalls()), (None, []))
        self.refusals.add(self.first, ERROR)
        self.clock.advance(1)
        late = self.answer
        self.refusals.clear()
        self.refusals.add(self.second, ERROR)
        late.callback(None)
        self.assertEqual((self.second.refused, self.accepted), (ERROR, 0))
        self.clock.advance(1)
        self.assertEqual(self.asked, [[1], [2]])

    def test_lost(self) -> None:
        """The server is lost before it answers."""
        self.refusals.add(self.first, ERROR)
        self.clock.advance(1)
        self.answer.errback(ZeroDivisionError())
        self.assertEqual((self.first.refused, self.accepted), (ERROR, 0))
