"""natsroute.turns; the tests of the modules that use it have the loops"""

from __future__ import annotations

from collections import deque

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.turns import MAX_TURN, BacklogLoop, SharedTurns, Turn
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


class BacklogLoopTests(SynchronousTestCase):
    """Steps, in as many turns as they need."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.backlog: deque[int] = deque()
        self.done: list[int] = []
        self.loop = BacklogLoop(self.clock, self.step)
        self.seconds = 0.0  # that a step takes

    def step(self) -> bool:
        if self.backlog:
            self.clock.rightNow += self.seconds
            self.did(self.backlog.popleft())
        return bool(self.backlog)

    def did(self, number: int) -> None:
        self.done.append(number)

    def test_short(self) -> None:
        """What takes no time is done at once. Without a backlog, nothing happens."""
        self.loop.run()
        self.backlog.extend(range(1000))
        self.loop.run()
        self.assertEqual((self.done, self.clock.getDelayedCalls()), ([*range(1000)], []))

    def test_turns(self) -> None:
        """The rest is for later turns. Until then, run() does nothing."""
        self.seconds = MAX_TURN * 0.3
        self.backlog.extend(range(12))
        self.loop.run()
        self.assertEqual(self.done, [*range(5)])  # the time begins behind the first step
        self.loop.run()
        self.assertEqual(self.done, [*range(5)])
        run_one_call(self.clock)
        self.assertEqual(self.done, [*range(10)])
        run_one_call(self.clock)
        self.assertEqual((self.done, self.clock.getDelayedCalls()), ([*range(12)], []))

    def test_nested(self) -> None:
        """A step may add to the backlog, and run it: the steps stay in order, one after the other."""

        def did(number: int) -> None:
            if number < 3:
                self.backlog.append(number + 10)
                self.loop.run()
            self.done.append(number)

        self.did = did  # type: ignore[method-assign]
        self.backlog.extend(range(4))
        self.loop.run()
        self.assertEqual(self.done, [0, 1, 2, 3, 10, 11, 12])

    def test_later(self) -> None:
        """The next turn begins it, and only one call waits for that."""
        self.backlog.extend(range(3))
        self.loop.run_later()
        self.loop.run_later()
        self.loop.run()
        self.assertEqual((self.done, len(self.clock.getDelayedCalls())), ([], 1))
        run_one_call(self.clock)
        self.assertEqual(self.done, [0, 1, 2])

    def test_later_within_a_step(self) -> None:
        """The loop that runs does it."""

        def did(number: int) -> None:
            self.done.append(number)
            self.loop.run_later()

        self.did = did  # type: ignore[method-assign]
        self.backlog.extend(range(3))
        self.loop.run()
        self.assertEqual((self.done, self.clock.getDelayedCalls()), ([0, 1, 2], []))

    def test_finish(self) -> None:
        """All that is left is done now, and no further turn comes."""
        self.seconds = MAX_TURN
        self.backlog.extend(range(5))
        self.loop.run()
        self.loop.finish()
        self.assertEqual((self.done, self.clock.getDelayedCalls()), ([*range(5)], []))
        self.loop.finish()

    def test_run_while_it_finishes(self) -> None:
        """A step that takes long and adds to the backlog leaves no further turn."""
        self.seconds = MAX_TURN
        add = [5, 6]

        def did(number: int) -> None:
            self.done.append(number)
            self.clock.rightNow += self.seconds
            if add:
                self.backlog.append(add.pop(0))
                self.loop.run()

        self.did = did  # type: ignore[method-assign]
        self.backlog.extend(range(5))
        self.loop.finish()
        self.assertEqual((self.done, self.clock.getDelayedCalls()), ([*range(7)], []))

    def test_finish_within_a_step(self) -> None:
        """The same."""
        self.seconds = MAX_TURN

        def did(number: int) -> None:
            self.done.append(number)
            if number == 2:
                self.loop.finish()

        self.did = did  # type: ignore[method-assign]
        self.backlog.extend(range(5))
        self.loop.run()
        run_one_call(self.clock)
        self.assertEqual((self.done, self.clock.getDelayedCalls()), ([*range(5)], []))

    def test_stop(self) -> None:
        """No further turn comes, until it is run again."""
        self.seconds = MAX_TURN
        self.backlog.extend(range(3))
        self.loop.run()
        self.loop.stop()
        self.loop.stop()
        self.assertEqual((self.done, self.clock.getDelayedCalls()), ([0, 1], []))
        self.loop.run()
        self.assertEqual(self.done, [0, 1, 2])

    def test_a_step_fails(self) -> None:
        """The next call goes on behind it."""

        def did(number: int) -> None:
            if number == 1:
                raise ValueError
            self.done.append(number)

        self.did = did  # type: ignore[method-assign]
        self.backlog.extend(range(3))
        self.assertRaises(ValueError, self.loop.run)
        self.loop.run()
        self.assertEqual(self.done, [0, 2])


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
