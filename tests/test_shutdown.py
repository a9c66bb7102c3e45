"""natsroute.daemon.shutdown; tests.integration.test_shutdown stops a whole service"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.shutdown import FLUSH_TIMEOUT, Shutdown
from tests.support.log_recorder import LogRecorder


class Steps:
    """Parts of a service that write down what is asked of them."""

    def __init__(self) -> None:
        self.taken: list[object] = []

    def take(self, step: object) -> Deferred[None]:
        self.taken.append(step)
        return succeed(None)


class MemoryConsumers:
    """Consumers with messages that are not handled until the test says so."""

    def __init__(self, steps: Steps) -> None:
        self.unfinished: list[str] = []
        self.is_cut_off = False
        self.received: Deferred[None] = succeed(None)
        self._steps = steps

    @property
    def idle(self) -> bool:
        return not self.unfinished

    def drain(self) -> Deferred[None]:
        self._steps.take("drain")
        return self.received

    def close(self) -> Deferred[None]:
        return self._steps.take("close consumers")

    def cut_off(self) -> None:
        self.is_cut_off = True
        self._steps.take("cut off")


class MemoryService:
    """A connection, a pool of threads or a server."""

    def __init__(self, name: str, steps: Steps) -> None:
        self._name = name
        self._steps = steps

    def stopService(self) -> Deferred[None]:
        return self._steps.take(f"stop {self._name}")


class ShutdownTests(SynchronousTestCase):
    """The order, and what is waited for."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.hooks: Deferred[None] = succeed(None)
        self.log = LogRecorder(self)
        self.steps = Steps()
        self.consumers: Any = MemoryConsumers(self.steps)
        self.shutdown = self.new_shutdown("server")

    def new_shutdown(self, embedded: str = "") -> Shutdown:
        def service(name: str) -> Any:
            return MemoryService(name, self.steps)

        return Shutdown(
            self.reactor,
            self.consumers,
            30.0,
            self.stop_hooks,
            10.0,
            lambda timeout: self.steps.take(("flush", timeout)),
            [service("connection 1"), service("connection 2")],
            [service("threads")],
            service(embedded) if embedded else None,
        )

    def stop_hooks(self) -> Deferred[None]:
        self.steps.take("hooks")
        return self.hooks

    def run_shutdown(self) -> Deferred[None]:
        running = Deferred.fromCoroutine(self.shutdown.run())
        self.reactor.advance(0)
        return running

    #: What follows the drain.
    REST = (
        "close consumers",
        "hooks",
        ("flush", FLUSH_TIMEOUT),
        "stop connection 1",
        "stop connection 2",
        "cut off",
        "stop threads",
        "stop server",
    )

    def test_order(self) -> None:
        """Consumers, hooks, publisher, its connections, threads, embedded server."""
        self.successResultOf(self.run_shutdown())
        self.assertEqual(self.steps.taken, ["drain", *self.REST])
        self.assertEqual(self.log.lines(), [])

    def test_without_an_embedded_server(self) -> None:
        self.shutdown = self.new_shutdown()
        self.successResultOf(self.run_shutdown())
        self.assertEqual(self.steps.taken, ["drain", *self.REST[:-1]])

    def test_nothing_stops_in_the_turn_that_asks_for_it(self) -> None:
        """A route that asks for the stop is running then, and its call could not be cancelled."""
        Deferred.fromCoroutine(self.shutdown.run())
        self.assertEqual(self.steps.taken, [])

    def test_messages_are_waited_for(self) -> None:
        self.consumers.unfinished = ["a"]
        running = self.run_shutdown()
        self.reactor.pump([0.01] * 1000)
        self.assertNoResult(running)
        self.consumers.unfinished = []
        self.reactor.advance(0.01)
        self.successResultOf(running)
        self.assertEqual((self.steps.taken, self.log.lines()), (["drain", *self.REST], []))

    def test_messages_on_their_way_are_waited_for(self) -> None:
        """Nothing is waiting for a route; the server has not answered the drain yet."""
        self.consumers.received = Deferred()
        running = self.run_shutdown()
        self.reactor.pump([0.01] * 10)
        self.assertNoResult(running)
        self.consumers.received.callback(None)
        self.reactor.advance(0.01)
        self.successResultOf(running)

    def test_drain_timeout(self) -> None:
        """What is not handled in time is named, ten subjects of it, and cut off once."""
        self.consumers.unfinished = [f"a.{number:02}" for number in range(20)] * 2
        running = self.run_shutdown()
        self.reactor.pump([0.01] * 2999)
        self.assertNoResult(running)
        self.reactor.pump([0.01] * 3)
        self.successResultOf(running)
        rest = [step for step in self.REST if step != "cut off"]
        self.assertEqual(self.steps.taken, ["drain", "cut off", *rest])
        subjects = ", ".join(f"a.{number:02}" for number in range(10))
        self.assertEqual(
            self.log.lines("error"), [f"Messages received but not fully handled: 40; subjects: {subjects}"]
        )

    def test_calls_that_begin_after_the_drain(self) -> None:
        """A route of a connection event that still runs at the end is cancelled, and named."""

        def close() -> Deferred[None]:
            self.consumers.unfinished.append("nats:disconnected")
            return succeed(None)

        self.consumers.close = close
        self.successResultOf(self.run_shutdown())
        self.assertEqual(
            self.log.lines("error"), ["Messages received but not fully handled: 1; subjects: nats:disconnected"]
        )
        self.assertTrue(self.consumers.is_cut_off)

    def test_skip_drain(self) -> None:
        """Messages are not waited for any longer. What was published is still confirmed."""
        self.consumers.unfinished = ["a"]
        running = self.run_shutdown()
        self.shutdown.skip_drain()
        self.reactor.advance(0.01)
        self.successResultOf(running)
        self.assertIn("cut off", self.steps.taken)
        self.assertIn(("flush", FLUSH_TIMEOUT), self.steps.taken)

    def test_the_next_start_drains_again(self) -> None:
        self.shutdown.skip_drain()
        self.shutdown.prepare()
        self.consumers.unfinished = ["a"]
        running = self.run_shutdown()
        self.reactor.pump([0.01] * 10)
        self.assertNoResult(running)

    def test_hooks_are_waited_for(self) -> None:
        """Nothing that they need has stopped before they have ended."""
        self.hooks = Deferred()
        running = self.run_shutdown()
        self.reactor.pump([0.01] * 900)
        self.assertEqual(self.steps.taken, ["drain", "close consumers", "hooks"])
        self.hooks.callback(None)
        self.reactor.advance(0.01)
        self.successResultOf(running)

    def test_hooks_that_take_too_long(self) -> None:
        """They are cancelled after 10 seconds, or with the drain."""
        for skip in (False, True):
            self.setUp()
            self.hooks = Deferred()
            running = self.run_shutdown()
            if skip:
                self.shutdown.skip_drain()
                self.reactor.pump([0.01])
            else:
                self.reactor.pump([0.01] * 998)
                self.assertNoResult(running)
                self.reactor.pump([0.01] * 3)
            self.successResultOf(running)
            self.assertIn(("flush", FLUSH_TIMEOUT), self.steps.taken)
