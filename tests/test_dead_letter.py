"""natsroute.routes.middleware.dead_letter"""

from __future__ import annotations

import asyncio
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock

from natsroute import Event
from natsroute.errors import DecodeError, PayloadTooLargeError, PublishBufferFullError, RouteError
from natsroute.ledger import RouteCounters
from natsroute.routes.event import EventContext
from natsroute.routes.middleware.dead_letter import BARE_REPLY, DEAD_LETTER_HEADERS, dead_letter
from natsroute.routes.middleware.deduplicate import deduplicate
from natsroute.testing import Published
from natsroute.wire.frames import Address
from tests.support.log_recorder import LogRecorder
from tests.support.route_cases import MiddlewareTestCase


class DeadLetterTests(MiddlewareTestCase):
    """dead_letter="""

    def test_after_all_retries(self) -> None:
        """The payload and its headers, with what went wrong; the call counts as failed all the same."""
        self.results = [ValueError("bad\r\nnews")] * 2
        tester = self.make(retries=1, dead_letter="dead.letters")
        ended = tester.deliver("a", b"x\0", headers={"Call-ID": ["1", "2"]})
        self.assertEqual(tester.published, [])
        tester.clock.advance(0.1)
        self.failureResultOf(ended, ValueError)
        added = {
            "Natsroute-Route": "nats:a",
            "Natsroute-Subject": "a",
            "Natsroute-Error": r"ValueError: bad\r\nnews",
            "Natsroute-Attempts": "2",
        }
        headers = {"Call-ID": ["1", "2"], **added}
        self.assertEqual(tester.published, [Published("dead.letters", b"x\0", headers=headers)])
        self.assertEqual(self.counters.dead_lettered, 1)

    def test_cancelled_by_the_route(self) -> None:
        """That is an error like any other."""
        for own in (CancelledError("mine"), asyncio.CancelledError("mine")):
            self.results = [own]
            tester = self.make(dead_letter="dead")
            self.failureResultOf(tester.deliver("a"), type(own))
            [letter] = tester.published
            assert letter.headers is not None
            self.assertEqual(letter.headers["Natsroute-Error"], "CancelledError: mine")

    def test_cancelled_from_outside(self) -> None:
        """The route did not fail."""
        self.results = [Deferred()]
        tester = self.make(dead_letter="dead")
        ended = tester.deliver("a")
        ended.cancel()
        self.failureResultOf(ended, CancelledError)
        self.assertEqual(tester.published, [])

    def test_a_message_with_bad_headers(self) -> None:
        """The dead letter is published without them."""
        published: list[Any] = []

        def publish(*message: Any, **how: Any) -> Deferred[None]:
            published.append(message)
            return succeed(None)

        block = b"NATS/1.0\r\nno colon\r\n\r\n"
        context = EventContext(publish, Clock(), RouteCounters("nats:a"))
        event = Event.of_message(context, Address("a", 1), b"x", block)
        call: Any = dead_letter("dead")(lambda event: event.headers["Call-ID"])(event)
        self.failureResultOf(Deferred.fromCoroutine(call), DecodeError)
        [(subject, data, _, headers)] = published
        self.assertEqual((subject, data, sorted(headers)), ("dead", b"x", sorted(DEAD_LETTER_HEADERS)))

    def test_no_failure(self) -> None:
        tester = self.make(dead_letter="dead")
        self.successResultOf(tester.deliver("a"))
        self.assertEqual(tester.published, [])

    def test_the_publish_fails(self) -> None:
        """The dead letter is not counted, the log says why, and the call fails with its own error."""
        log = LogRecorder(self)
        self.results = [ValueError("mine")]
        tester = self.make(dead_letter="dead")
        full = PublishBufferFullError(messages=1, max_messages=1, bytes=1, max_bytes=1)
        self.patch(tester._publisher, "publish", lambda *message, **how: fail(full))
        self.failureResultOf(tester.deliver("a"), ValueError)
        self.assertEqual(self.counters.dead_lettered, 0)
        [line] = log.lines("error")
        self.assertIn("the dead letter of a message to 'a' was not published: the publish worker holds", line)

    def test_what_is_left_out(self) -> None:
        """Headers that a stream would obey are left out. A dead letter that fails is not published again."""
        log = LogRecorder(self)
        self.results = [ValueError(), ValueError()]
        tester = self.make(dead_letter="dead")
        headers = {"Nats-Msg-Id": "1", "Nats-Expected-Stream": "S", "A": "b"}
        self.failureResultOf(tester.deliver("a", headers=headers), ValueError)
        [letter] = tester.published
        assert letter.headers is not None
        self.assertEqual(sorted(letter.headers), sorted([*DEAD_LETTER_HEADERS, "A"]))
        self.failureResultOf(tester.deliver("a", headers=letter.headers), ValueError)
        self.assertEqual(len(tester.published), 1)
        self.assertEqual(len(log.matching("which is not dead-lettered again")), 1)

    def test_too_large(self) -> None:
        """The dead letter is published without the message's own headers."""
        sent: list[Any] = []

        def publish(*message: Any, **how: Any) -> Deferred[None]:
            sent.append(message[3])
            return fail(PayloadTooLargeError(2, 1)) if "A" in message[3] else succeed(None)

        self.results = [ValueError()]
        tester = self.make(dead_letter="dead")
        self.patch(tester._publisher, "publish", publish)
        self.failureResultOf(tester.deliver("a", headers={"A": "b"}), ValueError)
        self.assertEqual([sorted(headers) for headers in sent][1], sorted(DEAD_LETTER_HEADERS))
        self.assertEqual(self.counters.dead_lettered, 1)

    def test_headers_give_way(self) -> None:
        """Step by step, until the dead letter is within the server's max_payload."""
        sent: list[Any] = []

        def publish(subject: str, data: bytes, reply: str | None, headers: Any, **how: Any) -> Deferred[None]:
            sent.append((reply, sorted(headers or ())))
            return fail(PayloadTooLargeError(2, 1)) if headers else succeed(None)

        self.results = [ValueError()]
        tester = self.make(dead_letter="dead")
        self.patch(tester._publisher, "publish", publish)
        self.failureResultOf(tester.deliver("a", headers={"A": "b"}), ValueError)
        self.assertEqual(
            sent,
            [
                (None, sorted(["A", *DEAD_LETTER_HEADERS])),
                (None, sorted(DEAD_LETTER_HEADERS)),
                (None, ["Natsroute-Attempts", "Natsroute-Route", "Natsroute-Subject"]),
                (None, ["Natsroute-Route"]),
                (BARE_REPLY, []),
            ],
        )
        self.assertEqual((self.counters.dead_lettered, self.counters.not_dead_lettered), (1, 0))

    def test_a_dead_letter_without_headers(self) -> None:
        """It is known by its reply subject, and not dead-lettered again."""
        self.results = [ValueError()]
        tester = self.make(dead_letter="dead")
        self.failureResultOf(tester.deliver("a", reply=BARE_REPLY), ValueError)
        self.assertEqual((tester.published, self.counters.not_dead_lettered), ([], 1))

    def test_much_too_large(self) -> None:
        """A message that the server does not take even without headers is counted and logged."""
        log = LogRecorder(self)
        self.results = [ValueError()]
        tester = self.make(dead_letter="dead")
        self.patch(tester._publisher, "publish", lambda *message, **how: fail(PayloadTooLargeError(2, 1)))
        self.failureResultOf(tester.deliver("a"), ValueError)
        self.assertEqual((self.counters.dead_lettered, self.counters.not_dead_lettered), (0, 1))
        [line] = log.lines("error")
        self.assertIn("was not published: the message has 2 bytes; the server's max_payload is 1", line)

    def test_an_error_without_a_text(self) -> None:
        """It is named by its type."""

        class NoTextError(Exception):
            def __str__(self) -> str:
                raise ZeroDivisionError

        self.results = [NoTextError()]
        tester = self.make(dead_letter="dead")
        self.failureResultOf(tester.deliver("a"), NoTextError)
        [letter] = tester.published
        assert letter.headers is not None
        self.assertEqual(letter.headers["Natsroute-Error"], "NoTextError")

    def test_errors_that_are_not_exceptions(self) -> None:
        for error in (GeneratorExit(), KeyboardInterrupt(), SystemExit(1)):
            self.results = [error]
            tester = self.make(dead_letter="dead")
            self.failureResultOf(tester.deliver("a"), type(error))
            self.assertEqual(len(tester.published), 1)

    def test_middleware_that_fails(self) -> None:
        """Whatever fails, the message has its dead letter: here the key of deduplicate()."""
        tester = self.make(deduplicate(key=lambda event: 1 // 0), dead_letter="dead")
        ended = tester.deliver("a")
        self.failureResultOf(ended, ZeroDivisionError)
        self.assertEqual(len(tester.published), 1)

    def test_a_connection_event(self) -> None:
        """There is no message that could be published."""
        self.results = [ValueError()]
        tester = self.make(dead_letter="dead")
        self.failureResultOf(tester.connected(), ValueError)
        self.assertEqual(tester.published, [])

    def test_subject(self) -> None:
        """It must be one that can be published to."""
        for wrong in ("a b", "x.*", ""):
            error = self.assertRaises(RouteError, dead_letter, wrong)
            self.assertIn(f"dead_letter: subject {wrong!r}", str(error))
