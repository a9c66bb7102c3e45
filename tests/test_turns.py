"""natsroute.turns; the tests of the modules that use it have the loops"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.turns import MAX_TURN, SharedTurns, Turn
from tests.support.waiting import run_one_call


class TurnTests(SynchronousTestCase):
    """A loop asks after each step."""

    def test_is_over(self) -> None:
        """The time begins with the first question."""
        clock = Clock()
        turn = Turn(clock)
        clock.advance(1)
        self.assertFalse(turn.is_over())
        clock.advance(MAX_TURN * 0.9)
        self.assertFalse(turn.is_over())
        clock.advance(MAX_TURN * 0.2)
        self.assertTrue(turn.is_over())


class SharedTurnsTests(SynchronousTestCase):
    """Several loops share a turn."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.turns = SharedTurns(self.clock)
        self.shares: list[float] = []

    def look(self) -> None:
        """A loop that looks at its share, and ends."""
        self.shares.append(self.turns.share())

    def test_one_loop(self) -> None:
        """It has the whole turn, each time."""
        self.assertEqual(self.turns.share(), MAX_TURN)
        self.turns.next(self.look)
        self.clock.advance(0)
        self.assertEqual(self.shares, [MAX_TURN])

    def test_several_loops(self) -> None:
        """All of them together have one turn."""

        def look_and_go_on() -> None:
            self.look()
            self.turns.next(look_and_go_on)

        for _ in range(4):
            self.turns.next(look_and_go_on)
        for _ in range(8):
            run_one_call(self.clock)
        self.assertEqual(self.shares, [MAX_TURN / 4] * 8)
        self.assertEqual(self.turns.share(), MAX_TURN / 5)

    def test_loops_that_end(self) -> None:
        """The others have more then."""
        for _ in range(3):
            self.turns.next(self.look)
        self.clock.advance(0)
        self.assertEqual(self.shares, [MAX_TURN / 3, MAX_TURN / 2, MAX_TURN])

    def test_next(self) -> None:
        """It calls the function in the next turn, once."""
        called: list[int] = []
        self.turns.next(lambda: called.append(1))
        self.assertEqual(called, [])
        self.clock.advance(0)
        self.clock.advance(1)
        self.assertEqual(called, [1])
