"""natsroute.client.request_many, and Requests.request_many()"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from natsroute.client.request_many import Until
from natsroute.errors import ConnectionLostError, MisuseError, NoRespondersError, PermissionsError, SubjectError
from tests.test_requests import RequestsTestCase


class RequestManyTests(RequestsTestCase):
    """Several answers to one request, until the first condition."""

    def setUp(self) -> None:
        super().setUp()
        self.connected(self.client)
        self.before = len(self.clock.getDelayedCalls())  # of the connection

    def timers(self) -> int:
        """Timers of requests."""
        return len(self.clock.getDelayedCalls()) - self.before

    def ask_all(self, timeout: float = 5.0, on_answer: Any = None, **until: Any) -> Deferred[Any]:
        """Send a request, and set :attr:`reply`."""
        asked = self.requests.request_many("billing", b"?", Until(timeout, **until), b"", on_answer)
        replies = self.replies()
        self.reply = replies[0] if replies else ""
        return asked

    def result(self, asked: Deferred[Any]) -> list[bytes]:
        """The payloads of the answers; nothing is left behind."""
        answers = [msg.data for msg in self.successResultOf(asked)]
        self.assertEqual((self.requests.pending, len(self.requests.inbox)), (0, 0))
        return answers

    def test_timeout(self) -> None:
        """It counts from the request, whatever comes meanwhile. There may be no answer at all."""
        asked, none = self.ask_all(), self.ask_all()
        self.clock.advance(4.9)
        self.assertNoResult(asked)
        self.clock.advance(0.1)
        self.assertEqual((self.result(asked), self.result(none)), ([], []))
        asked = self.ask_all()
        self.answer(self.reply, b"1")
        self.clock.advance(4.0)
        self.answer(self.reply, b"")
        self.clock.advance(1.0)
        self.assertEqual(self.result(asked), [b"1", b""])
        self.answer(self.reply, b"late")
        self.assertEqual(self.requests.inbox.late, 1)

    def test_number(self) -> None:
        asked = self.ask_all(max_messages=2)
        for _ in range(3):
            self.answer(self.reply)
        self.assertEqual(self.result(asked), [b"!", b"!"])
        self.assertEqual((self.requests.inbox.late, self.timers()), (1, 0))

    def test_stall(self) -> None:
        """It begins with the first answer, and again with each."""
        asked = self.ask_all(stall=0.5)
        self.clock.advance(2.0)
        for _ in range(3):
            self.answer(self.reply)
            self.clock.advance(0.4)
            self.assertNoResult(asked)
        self.clock.advance(0.1)
        self.assertEqual(len(self.result(asked)), 3)

    def test_an_empty_answer_is_the_end(self) -> None:
        asked = self.ask_all(sentinel=True)
        self.answer(self.reply, b"1")
        self.answer(self.reply, b"")
        self.assertEqual(self.result(asked), [b"1"])

    def test_a_function_knows_the_end(self) -> None:
        asked = self.ask_all(sentinel=lambda msg: msg.data == b"end")
        for data in (b"", b"1", b"end"):
            self.answer(self.reply, data)
        self.assertEqual(self.result(asked), [b"", b"1"])

    def test_each_as_it_arrives(self) -> None:
        asked = self.ask_all(on_answer=self.messages.append, max_messages=2)
        self.answer(self.reply, b"1")
        self.assertEqual([msg.data for msg in self.messages], [b"1"])
        self.answer(self.reply, b"2")
        self.assertEqual((self.result(asked), len(self.messages)), ([], 2))

    def test_what_the_program_raises(self) -> None:
        """It ends the wait."""

        def fail(msg: Any) -> None:
            raise LookupError

        for options in ({"on_answer": fail}, {"sentinel": fail}):
            asked = self.ask_all(**options)  # type: ignore[arg-type]
            self.answer(self.reply)
            self.failureResultOf(asked, LookupError)
            self.assertEqual((self.requests.pending, self.timers()), (0, 0))

    def test_no_responders(self) -> None:
        asked = self.ask_all()
        self.answer(self.reply, b"", b"NATS/1.0 503\r\n\r\n")
        self.failureResultOf(asked, NoRespondersError)
        self.assertEqual(self.timers(), 0)

    def test_refused(self) -> None:
        asked = self.ask_all()
        self.network.link.receive(b"-ERR 'Permissions Violation for Publish to \"billing\"'\r\n")
        self.failureResultOf(asked, PermissionsError)

    def test_lost(self) -> None:
        asked = self.ask_all()
        self.network.link.lose()
        self.failureResultOf(asked, ConnectionLostError)

    def test_cancelled(self) -> None:
        asked = self.ask_all()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual((self.requests.pending, self.timers()), (0, 0))

    def test_waits_for_a_connection(self) -> None:
        """The time without one counts."""
        self.clock.advance(60.0)
        self.network.link.lose()
        asked = self.ask_all()
        self.assertEqual(self.reply, "")
        self.accept()
        self.answer(self.replies()[0])
        self.clock.advance(5.0)
        self.assertEqual(self.result(asked), [b"!"])

    def test_invalid(self) -> None:
        for timeout, until in (
            (0, {}),
            (5.0, {"max_messages": 0}),
            (5.0, {"max_messages": True}),
            (5.0, {"stall": 0}),
            (5.0, {"stall": float("nan")}),
            (5.0, {"sentinel": b""}),
        ):
            self.failureResultOf(self.ask_all(timeout, **until), MisuseError)
        asked = self.requests.request_many("a b", b"", Until(1.0))
        self.failureResultOf(asked, SubjectError)
        self.assertEqual((self.requests.pending, len(self.requests.inbox)), (0, 0))
