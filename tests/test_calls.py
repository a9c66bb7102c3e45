"""natsroute.routes.calls"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.errors import DecodeError
from natsroute.ledger import Tally
from natsroute.routes.calls import Calls, Progress
from natsroute.routes.event import Scope
from natsroute.wire.frames import Address
from tests.support import LogRecorder


def an_event(data: bytes = b"", subject: str = "a.b") -> Event:
    scope = Scope(lambda *message, **how: succeed(None), Clock(), Tally("nats:a.*"))
    return Event.within(scope, Address(subject, 1), data)


class CallsTests(SynchronousTestCase):
    """Functions, coroutines and Deferreds; errors and calls that never end."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.progress = Progress(self.clock, slow_after=30.0)
        self.tally = Tally("nats:a.*")
        self.log = LogRecorder(self)

    def call(self, function: Any, event: Event) -> Deferred[None] | None:
        self.tally.routed += 1
        return Calls(function, self.tally, self.progress).call(event)

    def counts(self) -> tuple[int, int, int]:
        self.assertEqual(self.tally.in_progress, len(self.progress.running))
        return self.tally.succeeded, self.tally.failed, self.tally.in_progress

    def test_a_function(self) -> None:
        """Whatever it returns: Kamailio's callbacks return 1."""
        for value in (None, 1, "x", False):
            self.assertIs(self.call(lambda event, value=value: value, an_event()), None)
        self.assertEqual(self.counts(), (4, 0, 0))

    def test_a_deferred(self) -> None:
        waiting: Deferred[int] = Deferred()
        ended = self.call(lambda event: waiting, an_event())
        assert ended is not None
        self.assertEqual(self.counts(), (0, 0, 1))
        waiting.callback(5)
        self.assertIs(self.successResultOf(ended), None)
        self.assertEqual(self.counts(), (1, 0, 0))

    def test_a_deferred_that_has_fired(self) -> None:
        self.assertIs(self.call(lambda event: succeed(1), an_event()), None)
        self.assertEqual(self.counts(), (1, 0, 0))

    def test_a_coroutine(self) -> None:
        waiting: Deferred[None] = Deferred()

        async def route(event: Event) -> None:
            await waiting

        ended = self.call(route, an_event())
        assert ended is not None
        self.assertNoResult(ended)
        waiting.callback(None)
        self.successResultOf(ended)
        self.assertEqual(self.counts(), (1, 0, 0))

    def test_a_coroutine_that_waits_for_nothing(self) -> None:
        async def route(event: Event) -> None:
            pass

        self.assertIs(self.call(route, an_event()), None)

    def test_errors(self) -> None:
        """Logged with route, subject and traceback, however they come; the caller never sees them."""

        def raising(event: Event) -> None:
            raise ZeroDivisionError("here")

        async def raising_later(event: Event) -> None:
            raise ZeroDivisionError("here")

        routes: list[Any] = [raising, raising_later, lambda event: fail(ZeroDivisionError("here"))]
        for route in routes:
            self.assertIs(self.call(route, an_event()), None)
        self.assertEqual(self.counts(), (0, 3, 0))
        failures = self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(len(failures), 3)
        self.assertIn("raising", failures[0].getTraceback())
        self.assertEqual(self.log.lines("critical"), ["Event route nats:a.* failed on a message to 'a.b'"] * 3)

    def test_sys_exit(self) -> None:
        """It ends the route, not the service."""
        self.assertIs(self.call(lambda event: sys.exit(1), an_event()), None)
        self.assertEqual((self.tally.failed, len(self.flushLoggedErrors(SystemExit))), (1, 1))

    def test_a_payload_that_is_not_json(self) -> None:
        """One clear line without a traceback, for the code is not at fault."""
        self.call(lambda event: event.json(), an_event(b"{"))
        self.assertEqual(self.flushLoggedErrors(DecodeError), [])
        [line] = self.log.lines("error")
        self.assertIn("Event route nats:a.* failed on a message to 'a.b': the payload on a.b is not JSON", line)

    def test_a_call_that_never_ends(self) -> None:
        """One line, once, however long it takes; calls that came later have their own time."""
        for start in (0, 20):
            self.clock.advance(start)
            self.call(lambda event: Deferred(), an_event(subject=f"s{start}"))
        self.clock.advance(9)
        self.assertEqual(self.log.matching("has not ended"), [])
        self.clock.advance(1)
        self.assertEqual(
            self.log.matching("has not ended"), ["Event route nats:a.* has not ended for 30 s on a message to 's0'"]
        )
        self.clock.pump([10.0] * 100)
        self.assertEqual(len(self.log.matching("has not ended")), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_call_that_ends_in_time(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.call(lambda event: waiting, an_event())
        self.clock.advance(29)
        waiting.callback(None)
        self.clock.advance(100)
        self.assertEqual(self.log.matching("has not ended"), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        self.call(lambda event: Deferred(), an_event())
        self.progress.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
