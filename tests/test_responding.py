"""natsroute.routes.responding"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock

from natsroute import Event
from natsroute.errors import PayloadError, PayloadTooLargeError, Reject
from natsroute.routes.event import EventContext
from natsroute.routes.responding import CODE_HEADER, ERROR_HEADER
from natsroute.routes.route import Route
from natsroute.testing import Published
from natsroute.wire.frames import Address
from natsroute.wire.headers import HeaderValues
from tests.support.route_cases import CallsTestCase, MiddlewareTestCase


def failed(text: str) -> dict[str, str]:
    """The headers of an answer that says what failed."""
    return {ERROR_HEADER: text, CODE_HEADER: "500"}


class RespondingTests(MiddlewareTestCase):
    """responds=True, in the tester that users have."""

    def answer(self, *results: Any, **options: Any) -> Any:
        """The answer to a message, and the outcome of its call."""
        self.results = list(results)
        tester = self.make(responds=True, **options)
        ended = tester.deliver("a", reply="inbox")
        while self.results:
            tester.clock.advance(1.0)
        return tester.published, ended

    def test_what_is_returned(self) -> None:
        """Bytes, text, JSON, or nothing; at once or later."""
        for result, data in ((b"\0\xff", b"\0\xff"), ("é", "é".encode()), ({"a": [1]}, b'{"a":[1]}'), (None, b"")):
            for returned in (result, succeed(result)):
                published, ended = self.answer(returned)
                self.assertEqual(published, [Published("inbox", data)])
                self.assertEqual(self.successResultOf(ended), result)

    def test_no_reply_subject(self) -> None:
        """The call has succeeded, and what it returns is ignored."""
        self.results = [{1: object()}]
        tester = self.make(responds=True)
        self.successResultOf(tester.deliver("a"))
        self.assertEqual(tester.published, [])

    def test_a_coroutine(self) -> None:
        """The answer goes out when it ends."""
        waits: Deferred[int] = Deferred()

        async def doubled() -> int:
            return 2 * await waits

        published, ended = self.answer(doubled())
        self.assertEqual(published, [])
        waits.callback(21)
        self.assertEqual((published, self.successResultOf(ended)), ([Published("inbox", b"42")], 42))

    def test_a_thread(self) -> None:
        published, _ = self.answer("from a thread", thread=True)
        self.assertEqual(published, [Published("inbox", b"from a thread")])

    def test_a_failure(self) -> None:
        """The type is in the answer, and the text is not: it may have anything in it."""
        published, ended = self.answer(ValueError("password=secret"))
        self.failureResultOf(ended, ValueError)
        self.assertEqual(published, [Published("inbox", b"", headers=failed("the event route failed: ValueError"))])

    def test_rejected(self) -> None:
        """Whoever asked gets the reason."""
        published, ended = self.answer(Reject("no such call"), retries=3)
        self.failureResultOf(ended, Reject)
        headers = {ERROR_HEADER: "no such call", CODE_HEADER: "400"}
        self.assertEqual(published, [Published("inbox", b"", headers=headers)])

    def test_after_the_last_retry(self) -> None:
        """Only the last call is answered."""
        published, ended = self.answer(ValueError(), "well", retries=1)
        self.assertEqual((published, self.successResultOf(ended)), ([Published("inbox", b"well")], "well"))
        published, ended = self.answer(ValueError(), KeyError(), retries=1, dead_letter="dead")
        self.failureResultOf(ended, KeyError)
        dead, answer = published
        self.assertEqual((dead.subject, answer.subject, len(self.events)), ("dead", "inbox", 4))
        self.assertEqual(answer.headers, failed("the event route failed: KeyError"))

    def test_a_timeout(self) -> None:
        """What took too long may be in the answer."""
        self.results = [Deferred()]
        tester = self.make(responds=True, timeout=2.0)
        ended = tester.deliver("a", reply="inbox")
        tester.clock.advance(2.0)
        self.failureResultOf(ended)
        [answer] = tester.published
        self.assertEqual(answer.headers, failed("the route took longer than its timeout of 2 s"))

    def test_cancelled(self) -> None:
        """As when the service stops: whoever asked need not wait."""
        published, ended = self.answer(Deferred())
        ended.cancel()
        self.failureResultOf(ended, CancelledError)
        self.assertEqual([answer.headers for answer in published], [failed("the event route failed: CancelledError")])

    def test_exit(self) -> None:
        """sys.exit() ends a call without failing it."""
        self.results = [SystemExit()]
        tester = self.make(responds=True)
        self.failureResultOf(tester.deliver("a", reply="inbox"), SystemExit)
        self.assertEqual(tester.published, [Published("inbox", b"")])

    def test_what_cannot_be_an_answer(self) -> None:
        """The call has failed, and that is answered."""
        for returned in (object(), succeed(object())):
            published, ended = self.answer(returned)
            self.failureResultOf(ended, PayloadError)
            self.assertEqual([answer.headers for answer in published], [failed("the event route failed: PayloadError")])

    def test_middleware_that_returns_a_coroutine(self) -> None:
        """That is waited for, as everywhere."""

        def around(function: Any) -> Any:
            async def later(event: Event) -> object:
                return [function(event)]

            return lambda event: later(event)

        self.results = [1]
        tester = self.make(around, responds=True)
        self.successResultOf(tester.deliver("a", reply="inbox"))
        self.assertEqual(tester.published, [Published("inbox", b"[1]")])


class CallsThatRespondTests(CallsTestCase):
    """How the calls of a route that responds count."""

    def setUp(self) -> None:
        super().setUp()
        self.answers: list[tuple[object, HeaderValues | None]] = []
        self.refuses: list[Exception] = []

    def write(self, reply: str, payload: object, headers: HeaderValues | None = None) -> None:
        """Write an answer, or raise the next error."""
        if self.refuses:
            raise self.refuses.pop(0)
        self.answers.append((payload, headers))

    def respond(self, function: Any, key: Any = None) -> Deferred[None] | None:
        """Call a route that responds."""
        route = Route("nats:a.*", function, key=key, responds=True)
        route.check()
        context = EventContext(lambda *message, **options: succeed(None), Clock(), self.counters, answer=self.write)
        event = Event.of_message(context, Address("a.b", 1), b"", reply_to=b"inbox")
        around = route.wrapped if key is None else route.wrapped_with_key
        return self.call(around(lambda function, event: succeed(function(event))), event)

    def test_written_at_once(self) -> None:
        """Then nothing waits for it."""
        self.assertIs(self.respond(lambda event: 5), None)
        self.assertEqual((self.answers, self.counts()), ([(5, None)], (1, 0, 0)))

    def test_too_large(self) -> None:
        """The call has failed; the answer says so, and the log says why."""
        self.refuses = [PayloadTooLargeError(10, 5)]
        self.respond(lambda event: "0123456789")
        self.assertEqual(self.answers, [(b"", failed("the event route failed: PayloadTooLargeError"))])
        self.assertEqual(self.counts(), (0, 1, 0))
        self.assertEqual(len(self.flushLoggedErrors(PayloadTooLargeError)), 1)

    def test_no_answer_at_all(self) -> None:
        """The failure of the call is still the one that is logged."""
        self.refuses = [PayloadTooLargeError(10, 5)]
        self.respond(lambda event: 1 // 0)
        self.assertEqual((self.answers, self.counts()), ([], (0, 1, 0)))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_key_that_cannot_be_had(self) -> None:
        """An error of the route like any other."""

        def key(event: Event) -> str:
            raise LookupError

        self.respond(lambda event: 1, key)
        self.assertEqual(self.answers, [(b"", failed("the event route failed: LookupError"))])
        self.flushLoggedErrors(LookupError)

    def test_exit(self) -> None:
        self.respond(lambda event: sys.exit())
        self.assertEqual((self.answers, self.counts()), ([(b"", None)], (1, 0, 0)))
