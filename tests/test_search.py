"""natsroute.client.search"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.attempt import Attempt
from natsroute.client.protocol import NatsProtocol
from natsroute.client.search import Search
from natsroute.client.server_pool import Backoff, ServerPool
from natsroute.client.servers import Server
from natsroute.errors import AuthorizationError
from tests.support.connection_case import A, B


class FakeAttempt:
    """An attempt whose end the test decides."""

    def __init__(self) -> None:
        self.result: Deferred[NatsProtocol] = Deferred()
        self.gives_up = 0

    def start(self) -> Deferred[NatsProtocol]:
        return self.result

    def give_up(self) -> None:
        self.gives_up += 1


class SearchTests(SynchronousTestCase):
    """A search among A and B, with waits of 2, 4, 8 and 10 seconds, and of 100 after a refused login."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.events: list[object] = []
        self.attempts: list[FakeAttempt] = []
        self.search = Search(
            self.clock,
            ServerPool((A, B), Backoff(2.0, 10.0, 0.0, 100.0), keep_order=True),
            self.attempt,
            on_attempt=partial(self.events.append, "attempt"),
            on_failed=self.failed,
        )
        self.on_failed: Any = lambda: None

    def attempt(self, server: Server) -> Attempt:
        self.events.append(server)
        self.attempts.append(FakeAttempt())
        return cast(Attempt, self.attempts[-1])

    def failed(self, server: Server, error: Exception) -> None:
        self.events.append((server, type(error)))
        self.on_failed()

    def find(self) -> Deferred[tuple[Server, NatsProtocol]]:
        found = Deferred.fromCoroutine(self.search.find())
        self.clock.advance(0)
        return found

    def taken(self) -> list[object]:
        """The events since the last call."""
        events, self.events[:] = list(self.events), []
        return events

    def test_found(self) -> None:
        found = self.find()
        self.assertTrue(self.search.is_attempting)
        self.assertEqual(self.taken(), ["attempt", A])
        protocol = cast(NatsProtocol, object())
        self.attempts[0].result.callback(protocol)
        self.assertEqual(self.successResultOf(found), (A, protocol))
        self.assertFalse(self.search.is_attempting)

    def test_the_next_server(self) -> None:
        """After any failure, with the waits of the pool."""
        found = self.find()
        for error, server, wait, following in [
            (ValueError(), A, 0.0, B),
            (AuthorizationError("Authorization Violation"), B, 2.0, A),
            (OSError(), A, 4.0, A),  # B refused the login, and has a longer wait
        ]:
            self.taken()
            self.attempts[-1].result.errback(error)
            self.assertEqual(self.taken(), [(server, type(error))])
            self.assertFalse(self.search.is_attempting)
            self.clock.advance(wait / 2)
            if wait:
                self.assertEqual(self.taken(), [])
            self.clock.advance(wait / 2)
            self.assertEqual(self.taken(), ["attempt", following])
        self.assertNoResult(found)

    def test_an_attempt_that_cannot_be_made(self) -> None:
        """It counts as failed."""
        self.search._new_attempt = lambda server: 1 // 0  # type: ignore[assignment, return-value]
        found = self.find()
        self.assertEqual(self.taken()[:2], ["attempt", (A, ZeroDivisionError)])
        self.assertNoResult(found)

    def test_given_up_in_an_attempt(self) -> None:
        """It ends when the attempt has ended. The failure is not reported."""
        found = self.find()
        self.taken()
        self.search.give_up()
        self.assertEqual(self.attempts[0].gives_up, 1)
        self.assertNoResult(found)
        self.attempts[0].result.errback(CancelledError())
        self.failureResultOf(found, CancelledError)
        self.assertEqual(self.taken(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_given_up_while_it_waits(self) -> None:
        found = Deferred.fromCoroutine(self.search.find())
        self.search.give_up()
        self.failureResultOf(found, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.taken(), [])

    def test_given_up_at_a_failure(self) -> None:
        self.on_failed = self.search.give_up
        found = self.find()
        self.attempts[0].result.errback(ValueError())
        self.failureResultOf(found, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """A search that was given up does not end the next one; without a search, nothing is given up."""
        self.search.give_up()
        found = self.find()
        self.search.give_up()
        self.attempts[0].result.errback(CancelledError())
        self.failureResultOf(found, CancelledError)
        found = self.find()
        self.attempts[1].result.callback(cast(NatsProtocol, None))
        self.assertEqual(self.successResultOf(found), (B, None))
