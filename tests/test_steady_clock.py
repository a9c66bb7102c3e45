"""natsroute.daemon.steady_clock"""

from __future__ import annotations

from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock
from twisted.python import runtime
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon import steady_clock as module
from natsroute.daemon.steady_clock import steady_clock, use_steady_clock


class Reactor(SelectReactor):  # type: ignore[misc]
    """A reactor of its own, without signals and without what would need to be closed."""

    def installWaker(self) -> None:
        pass


class JumpTests(SynchronousTestCase):
    """The clock of the machine is set while a reactor has timers."""

    def setUp(self) -> None:
        self.wall = 1_700_000_000.0
        self.uptime = 50.0
        self.fired: list[str] = []

        def wall() -> float:
            return self.wall

        self.patch(module, "wall_clock", wall)
        self.patch(Reactor, "seconds", staticmethod(wall))
        self.reactor = Reactor()

    def advance(self, seconds: float, jump: float = 0.0) -> list[str]:
        """Time goes on, and the clock is set. Returns what has fired since the last call."""
        self.uptime += seconds
        self.wall += seconds + jump
        self.reactor.runUntilCurrent()
        fired, self.fired = self.fired, []
        return fired

    def use(self) -> None:
        use_steady_clock(self.reactor, lambda: self.uptime)

    def test_back(self) -> None:
        """By an hour: each timer fires in time, one from before included."""
        self.reactor.callLater(1.0, lambda: self.fired.append("before"))
        self.use()
        self.reactor.callLater(2.0, lambda: self.fired.append("after"))
        self.assertEqual(self.advance(0.5, jump=-3600.0), [])
        self.assertEqual(self.reactor.timeout(), 0.5)
        self.assertEqual(self.advance(0.5), ["before"])
        self.assertEqual(self.advance(1.0), ["after"])
        self.reactor.callLater(2.0, lambda: self.fired.append("new"))
        self.assertEqual(self.advance(2.0), ["new"])

    def test_forward(self) -> None:
        """By an hour: nothing fires early."""
        self.use()
        self.reactor.callLater(2.0, lambda: self.fired.append("x"))
        self.assertEqual(self.advance(1.0, jump=3600.0), [])
        self.assertEqual(self.advance(1.0), ["x"])

    def test_without(self) -> None:
        """What it is for: a reactor of Twisted waits for an hour."""
        self.reactor.callLater(2.0, lambda: self.fired.append("x"))
        self.assertEqual(self.advance(5.0, jump=-3600.0), [])
        self.assertEqual(self.advance(3590.0), [])

    def test_twice(self) -> None:
        """The clock stays as it is when a second service starts."""
        self.use()
        clock = self.reactor.seconds
        self.wall -= 3600.0
        self.use()
        self.assertIs(self.reactor.seconds, clock)

    def test_another_clock(self) -> None:
        clock = Clock()
        seconds = clock.seconds
        use_steady_clock(clock)
        self.assertEqual(clock.seconds, seconds)


class SteadyClockTests(SynchronousTestCase):
    """steady_clock()"""

    def test_shows_the_time(self) -> None:
        before, now, after = runtime.seconds(), steady_clock()(), runtime.seconds()
        self.assertTrue(before - 5.0 < now < after + 5.0)

    def test_the_reactor_of_twisted(self) -> None:
        """It is recognised by the clock that it has."""
        self.assertIs(Reactor.seconds, runtime.seconds)
