"""natsroute.routes.calls"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from natsroute import Event
from natsroute.errors import DecodeError, NoReplySubjectError
from natsroute.routes.calls import Calls
from tests.support.route_cases import CallsTestCase, an_event


class CallsTests(CallsTestCase):
    """Functions, coroutines and Deferreds, and their errors."""

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

    def test_a_coroutine_that_returns_a_deferred(self) -> None:
        """The call ends when that fires."""
        waiting: Deferred[None] = Deferred()

        async def route(event: Event) -> Deferred[None]:
            return waiting

        ended = self.call(route, an_event())
        self.assertEqual(self.counts(), (0, 0, 1))
        waiting.callback(None)
        assert ended is not None
        self.successResultOf(ended)
        self.assertEqual(self.counts(), (1, 0, 0))

    def test_a_coroutine_that_ends_at_once(self) -> None:
        async def route(event: Event) -> None:
            pass

        self.assertIs(self.call(route, an_event()), None)

    def test_errors(self) -> None:
        """Each is logged with route, subject and traceback. The caller never sees it."""

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
        """It ends the call, not the service."""
        self.assertIs(self.call(lambda event: sys.exit(1), an_event()), None)
        self.assertEqual((self.counters.failed, len(self.flushLoggedErrors(SystemExit))), (1, 1))

    def test_sys_exit_without_an_error(self) -> None:
        """It ends the call well, as in KEMI."""

        async def leaving(event: Event) -> None:
            sys.exit()

        routes: list[Any] = [lambda event: sys.exit(), lambda event: sys.exit(0), leaving]
        for route in routes:
            self.assertIs(self.call(route, an_event()), None)
        self.assertEqual((self.counts(), self.log.events), ((3, 0, 0), []))

    def test_errors_that_are_not_exceptions(self) -> None:
        """They are about the call, like any other. Only signals end the process, and those raise nothing here."""
        for error in (GeneratorExit, KeyboardInterrupt, BaseException):

            def raising(event: Event, error: type[BaseException] = error) -> None:
                raise error

            async def raising_later(event: Event, error: type[BaseException] = error) -> None:
                raise error

            routes: list[Any] = [raising, raising_later, lambda event, error=error: fail(error())]
            for route in routes:
                self.assertIs(self.call(route, an_event()), None)
            self.assertEqual(len(self.flushLoggedErrors(error)), 3)
        self.assertEqual(self.counts(), (0, 9, 0))

    def test_a_result_that_has_not_run(self) -> None:
        """The call fails: counting it as succeeded would hide that the route does nothing."""
        self.assertIs(self.call(lambda event: (number for number in [1]), an_event()), None)
        self.assertEqual(self.counts(), (0, 1, 0))
        [line] = self.log.lines("error")
        self.assertIn("failed on a message to 'a.b': it returned an object of type generator, which has not run", line)

    def test_cancelled_errors(self) -> None:
        """If nobody cancelled the call, they are errors like any other. asyncio's is not an Exception."""
        for error in (CancelledError, asyncio.CancelledError):

            def raising(event: Event, error: type[BaseException] = error) -> None:
                raise error

            async def raising_later(event: Event, error: type[BaseException] = error) -> None:
                raise error

            routes: list[Any] = [raising, raising_later, lambda event, error=error: fail(error())]
            for route in routes:
                self.assertIs(self.call(route, an_event()), None)
            self.assertEqual(len(self.flushLoggedErrors(error)), 3)
        self.assertEqual(self.counts(), (0, 6, 0))

    def test_a_payload_that_is_not_json(self) -> None:
        """One line without a traceback, because the code is not at fault."""
        self.call(lambda event: event.json(), an_event(b"{"))
        self.assertEqual(self.flushLoggedErrors(DecodeError), [])
        [line] = self.log.lines("error")
        self.assertIn("Event route nats:a.* failed on a message to 'a.b': the payload on a.b is not JSON", line)

    def test_an_answer_without_a_reply_subject(self) -> None:
        """One line without a traceback, because the message asked for no answer."""
        self.call(lambda event: event.respond(b""), an_event())
        self.assertEqual(self.flushLoggedErrors(NoReplySubjectError), [])
        [line] = self.log.lines("error")
        self.assertIn("failed on a message to 'a.b': the message to a.b has no reply subject", line)

    def test_queued(self) -> None:
        """An event that waits for its turn counts as waiting, then as in progress."""
        waiting: Deferred[None] = Deferred()
        calls = Calls(lambda event: waiting, self.counters, self.in_flight)
        calls.enqueue()
        self.assertEqual((self.counters.routed, self.counters.waiting, self.counts()), (1, 1, (0, 0, 0)))
        self.assertIsNot(calls.call_queued(an_event()), None)
        self.assertEqual((self.counters.routed, self.counters.waiting, self.counts()), (1, 0, (0, 0, 1)))
