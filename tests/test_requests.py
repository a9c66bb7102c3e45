"""natsroute.client.requests"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from natsroute.client import requests
from natsroute.client.connection import Connection
from natsroute.client.request_many import Until
from natsroute.client.requests import Requests
from natsroute.errors import (
    ConnectionLostError,
    HeaderError,
    MisuseError,
    NoRespondersError,
    PayloadTooLargeError,
    PermissionsError,
    RequestLimitError,
    RequestTimeoutError,
    SubjectError,
    SubscriptionLimitError,
)
from natsroute.turns import MAX_TURN
from tests.support.connection_case import A, B, ConnectionTestCase
from tests.support.memory_network import info
from tests.support.waiting import run_one_call


class RequestsTestCase(ConnectionTestCase):
    """Requests to a server in memory."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.connection()
        self.requests = Requests(self.client, self.clock)

    def ask(self, subject: str = "billing", payload: bytes = b"?", timeout: float = 2.0, **more: Any) -> Deferred[Any]:
        """Send a request."""
        return self.requests.request(subject, payload, timeout, **more)

    def replies(self, subject: str = "billing") -> list[str]:
        """The reply subjects of the requests that were written since the last call."""
        said = self.network.link.transport.sent().decode()
        return re.findall(rf"^H?PUB {subject} (\S+) ", said, re.MULTILINE)

    def tearDown(self) -> None:
        """Whatever happened, the counters add up."""
        mine = self.requests
        self.assertEqual(mine.requested, mine.answered + mine.failed + mine.pending)

    def answer(self, reply: str, data: bytes = b"!", block: bytes = b"") -> None:
        """The server delivers an answer."""
        sizes = b"%d %d" % (len(block), len(block) + len(data)) if block else b"%d" % len(data)
        command = b"HMSG" if block else b"MSG"
        self.network.link.receive(b"%b %b 1 %b\r\n%b%b\r\n" % (command, reply.encode(), sizes, block, data))


class RequestsTests(RequestsTestCase):
    """Requests, answers, and what comes instead of an answer."""

    def test_answers(self) -> None:
        """Each request gets its own answer, whatever their order."""
        self.connected(self.client)
        asked = [self.ask(payload=b"1"), self.ask(payload=b"2")]
        first, second = self.replies()
        self.answer(second, b"two")
        self.answer(first, b"one")
        self.assertEqual([self.successResultOf(answer).data for answer in asked], [b"one", b"two"])
        self.assertEqual((self.requests.requested, self.requests.answered, self.requests.failed), (2, 2, 0))
        self.assertEqual((self.requests.pending, len(self.requests.inbox)), (0, 0))

    def test_headers(self) -> None:
        self.connected(self.client)
        self.ask(header_block=b"NATS/1.0\r\nA: 1\r\n\r\n")
        self.assertIn(b" 18 19\r\nNATS/1.0\r\nA: 1\r\n\r\n?\r\n", self.network.link.transport.sent())

    def test_no_responders(self) -> None:
        """The server says so at once."""
        self.connected(self.client)
        asked = self.ask()
        self.answer(self.replies()[0], b"", b"NATS/1.0 503\r\n\r\n")
        error = self.failureResultOf(asked, NoRespondersError).value
        self.assertEqual(error.subject, "billing")

    def test_another_status(self) -> None:
        """An answer with 503 and a payload is an answer of somebody."""
        self.connected(self.client)
        asked = self.ask()
        self.answer(self.replies()[0], b"busy", b"NATS/1.0 503\r\n\r\n")
        self.assertEqual(self.successResultOf(asked).data, b"busy")

    def test_timeout(self) -> None:
        """A late answer is dropped and counted."""
        self.connected(self.client)
        asked, longer = self.ask(timeout=2.0), self.ask(timeout=3.0)
        reply, _ = self.replies()
        self.clock.advance(1.9)
        self.assertNoResult(asked)
        self.clock.advance(0.1)
        error = self.failureResultOf(asked, RequestTimeoutError).value
        self.assertEqual((error.subject, error.seconds), ("billing", 2.0))
        self.answer(reply)
        self.assertEqual(self.requests.inbox.late, 1)
        self.clock.advance(1.0)
        self.failureResultOf(longer, RequestTimeoutError)

    def test_timeouts_in_turn(self) -> None:
        """Each request has its own time, although they share a timer."""
        self.connected(self.client)
        first = self.ask(timeout=2.0)
        self.clock.advance(1.0)
        second = self.ask(timeout=2.0)
        self.clock.advance(1.0)
        self.failureResultOf(first, RequestTimeoutError)
        self.assertNoResult(second)
        self.clock.advance(1.0)
        self.failureResultOf(second, RequestTimeoutError)

    def test_a_second_answer(self) -> None:
        """Only the first one counts."""
        self.connected(self.client)
        asked = self.ask()
        reply = self.replies()[0]
        self.answer(reply, b"1")
        self.answer(reply, b"2")
        self.assertEqual(self.successResultOf(asked).data, b"1")
        self.assertEqual(self.requests.inbox.late, 1)

    def test_cancelled(self) -> None:
        self.connected(self.client)
        asked = self.ask()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.answer(self.replies()[0])
        self.assertEqual((self.requests.pending, self.requests.inbox.late), (0, 1))

    def test_cancelled_without_a_connection(self) -> None:
        """No timer is left behind."""
        asked = self.ask()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waits_for_a_connection(self) -> None:
        self.client.startService()
        asked = self.ask()
        self.accept()
        self.answer(self.replies()[0])
        self.assertEqual(self.successResultOf(asked).data, b"!")

    def test_no_connection_in_time(self) -> None:
        asked = self.ask()
        self.clock.advance(2.0)
        self.assertIn("no connection for 2 s", str(self.failureResultOf(asked, RequestTimeoutError).value))

    def test_lost(self) -> None:
        """It may have been handled, so it is not sent again."""
        self.connected(self.client)
        self.clock.advance(60.0)  # a connection that lasted: the next attempt is immediate
        asked = self.ask()
        self.replies()
        self.network.link.lose()
        self.failureResultOf(asked, ConnectionLostError)
        self.assertEqual(self.accept().count(b"PUB"), 0)
        self.assertEqual(self.replies(), [])
        self.assertEqual(len(self.network.links), 2)

    def test_closed(self) -> None:
        """Those that wait for a connection fail, too."""
        self.client.startService()
        asked = self.ask()
        self.client.stopService()
        self.failureResultOf(asked, ConnectionLostError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_invalid(self) -> None:
        self.connected(self.client)
        self.failureResultOf(self.ask("a b"), SubjectError)
        self.failureResultOf(self.ask(payload=b"x" * 1025), PayloadTooLargeError)
        for timeout in (0, -1.0, float("inf"), float("nan"), "2", None):
            error = self.failureResultOf(self.ask(timeout=timeout), MisuseError).value  # type: ignore[arg-type]
            self.assertIn("it must be a number above 0", str(error))
        self.failureResultOf(self.ask(timeout=[]), MisuseError)  # type: ignore[arg-type]
        self.assertEqual((self.requests.pending, len(self.requests.inbox)), (0, 0))

    def test_limits(self) -> None:
        """Memory is bounded, whether there is a connection or not. Each answer makes space."""
        self.patch(requests, "MAX_PENDING", 2)
        waiting = [self.ask(), self.ask()]
        self.failureResultOf(self.ask(), RequestLimitError)
        self.connected(self.client)
        error = self.failureResultOf(self.ask("other"), RequestLimitError).value
        self.assertIn("the request to 'other' has no answer: 2 requests with ", str(error))
        self.failureResultOf(self.requests.request_many("other", b"", Until(1.0)), RequestLimitError)
        self.answer(self.replies()[0])
        self.successResultOf(waiting[0])
        waiting.append(self.ask())
        self.assertNoResult(waiting[2])
        waiting[1].cancel()
        self.failureResultOf(waiting[1], CancelledError)
        self.patch(requests, "MAX_PENDING_BYTES", 200)
        self.ask(payload=b"x" * 200)
        self.patch(requests, "MAX_PENDING", 20)
        self.failureResultOf(self.ask(), RequestLimitError)
        self.clock.advance(2.0)
        self.assertEqual((self.requests.pending, self.requests._bytes), (0, 0))
        self.assertEqual(len(self.flushLoggedErrors(RequestTimeoutError)), 1)
        self.failureResultOf(waiting[2], RequestTimeoutError)

    def test_no_headers(self) -> None:
        """A server that supports none would take them for a protocol error."""
        self.client.startService()
        self.clock.advance(0)
        self.network.link.shake_hands(headers=False)
        self.failureResultOf(self.ask(header_block=b"NATS/1.0\r\nA: 1\r\n\r\n"), HeaderError)

    def test_percent_signs(self) -> None:
        """They are a part of the subject, and of nothing else."""
        self.connected(self.client)
        self.ask("100%d")
        self.assertIn(b"PUB 100%d _INBOX", self.network.link.transport.sent())

    def test_timeouts_are_forgotten(self) -> None:
        """Each request may have a timeout of its own."""
        self.connected(self.client)
        for number in range(1, 100):
            self.ask(timeout=number / 10)
        self.clock.pump([0.1] * 100)
        self.assertEqual(self.requests._deadlines, {})
        self.assertEqual(len(self.flushLoggedErrors(RequestTimeoutError)), 99)

    def test_asked_again_at_a_timeout(self) -> None:
        """A request may follow another one that has ended, whatever ended it."""
        self.connected(self.client)
        again: list[Deferred[Any]] = []
        self.ask().addErrback(lambda failure: again.append(self.ask()))
        self.clock.advance(2.0)
        self.clock.advance(1.0)
        self.assertNoResult(again[0])
        again[0].addErrback(lambda failure: again.append(self.ask()))
        self.client.stopService()
        self.network.link.lose()
        self.assertNoResult(again[1])
        self.connected(self.client)
        self.answer(self.replies()[0])
        self.assertEqual(self.successResultOf(again[1]).data, b"!")

    def test_cancelled_at_a_timeout(self) -> None:
        """The request that follows is watched, too, and nothing is left at the end."""
        self.connected(self.client)
        again: list[Deferred[Any]] = []
        first, second = self.ask(), self.ask()

        def ask_again(failure: object) -> None:
            second.cancel()
            again.append(self.ask())

        first.addErrback(ask_again)
        self.clock.advance(2.0)
        self.failureResultOf(second, CancelledError)
        again.append(self.ask())
        self.client.stopService()
        self.network.link.lose()
        for asked in again:
            self.failureResultOf(asked, ConnectionLostError)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class RefusedTests(RequestsTestCase):
    """What a server refuses fails at once."""

    def refuse(self, text: str) -> None:
        """The server sends a permissions violation."""
        self.network.link.receive(f"-ERR 'Permissions Violation for {text}'\r\n".encode())

    def test_subject(self) -> None:
        """All requests to it, and no others."""
        self.connected(self.client)
        refused, other = [self.ask(), self.ask()], self.ask("b")
        self.refuse('Publish to "billing"')
        for asked in refused:
            error = self.failureResultOf(asked, PermissionsError).value
            self.assertEqual((error.operation, error.subject), ("publish", "billing"))
        self.assertNoResult(other)

    def test_reply_subject(self) -> None:
        self.connected(self.client)
        first, second = self.ask(), self.ask()
        reply, _ = self.replies()
        self.refuse(f'Publish with Reply of "{reply}"')
        self.failureResultOf(first, PermissionsError)
        self.assertNoResult(second)

    def test_other_errors(self) -> None:
        """They are about something else."""
        self.connected(self.client)
        asked = self.ask()
        self.refuse('Subscription to "billing"')
        self.network.link.receive(b"-ERR 'Something Else'\r\n")
        self.assertNoResult(asked)

    def inbox(self) -> str:
        """The subject of the subscription for answers."""
        return f"{self.requests.inbox._base}*"

    def test_inbox(self) -> None:
        """No answer can come, so requests fail at once, with what to do, until the server grants the subscription."""
        self.connected(self.client)
        asked = self.ask()
        self.refuse(f'Subscription to "{self.inbox()}"')
        error = self.failureResultOf(asked, PermissionsError).value
        self.assertEqual((error.operation, error.subject), ("subscription", self.inbox()))
        self.assertIn("Allow the user to subscribe to _INBOX.>, or set inbox_prefix", str(error))
        self.replies()
        self.failureResultOf(self.ask(), PermissionsError)
        self.assertEqual((self.replies(), self.requests.pending), ([], 0))
        self.clock.advance(60.0)
        self.assertIn(b"SUB ", self.network.link.answer_pings())
        asked = self.ask()
        self.answer(self.replies()[0])
        self.successResultOf(asked)

    def test_inbox_at_the_next_server(self) -> None:
        """Those that wait for a connection fail, too."""
        self.connected(self.client)
        self.ask().addErrback(lambda failure: None)
        self.clock.advance(60.0)
        self.network.link.lose()
        asked = self.ask()
        self.clock.advance(0)
        self.network.link.receive(
            info() + f"-ERR 'Permissions Violation for Subscription to \"{self.inbox()}\"'\r\n".encode()
        )
        self.network.link.answer_pings()
        self.failureResultOf(asked, PermissionsError)

    def test_limit_of_subscriptions(self) -> None:
        """The server does not name the subscription. It is the last one."""
        self.connected(self.client)
        asked = self.ask()
        self.network.link.receive(b"-ERR 'maximum subscriptions exceeded'\r\n")
        self.failureResultOf(asked, SubscriptionLimitError)


class LameDuckTests(RequestsTestCase):
    """A server that shuts down soon is left when another one has the inbox: no answer is missed."""

    def test_answers_from_both(self) -> None:
        self.client = self.connection(A, B)
        self.requests = Requests(self.client, self.clock)
        self.connected(self.client)
        old = self.network.link
        first, second = self.ask(), self.ask()
        replies = self.replies()
        old.receive(info(ldm=True))
        third = self.ask()
        self.answer(replies[0])
        self.successResultOf(first)
        self.accept()
        self.assertIsNot(self.network.link, old)
        self.answer(replies[1])
        self.successResultOf(second)
        old.receive(b"MSG %b 1 1\r\n2\r\n" % replies[1].encode())
        self.assertEqual(self.requests.inbox.late, 1)
        old.answer_pings()
        old.lose()
        self.assertNoResult(third)
        self.answer(self.replies()[0])
        self.successResultOf(third)


class TurnTests(RequestsTestCase):
    """Many requests: whatever happens to all of them does not hold the reactor, and the order is kept."""

    COUNT = 100
    #: A turn, one callback, and what rounding adds.
    LONGEST = MAX_TURN + 0.001 + 0.0001

    def setUp(self) -> None:
        super().setUp()
        self.seen: list[int] = []
        self.results: list[type[BaseException] | None] = []

    def ask_all(self) -> None:
        """Requests whose callbacks take a millisecond each."""
        for number in range(self.COUNT):
            self.ask(payload=b"%d" % number, timeout=20.0).addBoth(self.ended, number)

    def ended(self, result: Any, number: int) -> None:
        self.tearDown()
        self.clock.rightNow += 0.001
        self.seen.append(number)
        self.results.append(getattr(result, "type", None))

    def assert_all_fail(self, error: type[BaseException], turns: int = 10) -> None:
        """They do, in order and in several turns, the first of which is over."""
        while len(self.seen) < self.COUNT:
            before = self.clock.seconds()
            run_one_call(self.clock)
            self.assertLessEqual(self.clock.seconds() - before, self.LONGEST)
            turns -= 1
        self.assertLessEqual(turns, 0)
        self.assertEqual((self.seen, self.results), ([*range(self.COUNT)], [error] * self.COUNT))
        self.assertEqual((self.requests.failed, self.requests.pending), (self.COUNT, 0))

    def assert_begun(self, before: float) -> None:
        self.assertLessEqual(self.clock.seconds() - before, self.LONGEST)
        self.assertTrue(0 < len(self.seen) < 10)

    def test_lost(self) -> None:
        self.connected(self.client)
        self.ask_all()
        before = self.clock.seconds()
        self.network.link.lose()
        self.assert_begun(before)
        self.assert_all_fail(ConnectionLostError)

    def test_refused(self) -> None:
        self.connected(self.client)
        self.ask_all()
        before = self.clock.seconds()
        self.network.link.receive(b"-ERR 'Permissions Violation for Publish to \"billing\"'\r\n")
        self.assert_begun(before)
        self.assert_all_fail(PermissionsError)

    def test_timeout(self) -> None:
        self.connected(self.client)
        self.ask_all()
        self.clock.rightNow += 20.0
        self.assert_all_fail(RequestTimeoutError)
        self.assertEqual(self.requests._deadlines, {})

    def test_answered_between_two_turns(self) -> None:
        """A request that has not failed yet has its answer."""
        self.connected(self.client)
        self.ask_all()
        last = self.replies()[-1]
        self.network.link.receive(b"-ERR 'Permissions Violation for Publish to \"billing\"'\r\n")
        self.answer(last)
        self.assertEqual((self.seen[-1], self.results[-1]), (self.COUNT - 1, None))
        while len(self.seen) < self.COUNT:
            run_one_call(self.clock)
        self.assertEqual((self.requests.answered, self.requests.failed), (1, self.COUNT - 1))

    def test_closed_between_two_turns(self) -> None:
        """All of them fail at once, and nothing is left in the reactor."""
        self.connected(self.client)
        self.ask_all()
        self.network.link.lose()
        self.assertLess(len(self.seen), 10)
        self.client.stopService()
        self.assertEqual((self.seen, self.requests.failed), ([*range(self.COUNT)], self.COUNT))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def write_slowly(self) -> None:
        """Let each write take a millisecond."""
        write = Connection.write

        def slow_write(connection: Connection, data: bytes, messages: int = 0) -> None:
            self.clock.rightNow += 0.001
            write(connection, data, messages)

        self.patch(Connection, "write", slow_write)

    def written(self) -> list[int]:
        """The numbers of the requests that were written since the last call."""
        return [int(number) for number in re.findall(rb"^PUB .*\r\n(\d+)\r", self.network.link.transport.sent(), re.M)]

    def test_written(self) -> None:
        """Those that waited for a connection; one that is made meanwhile follows them."""
        self.ask_all()
        self.write_slowly()
        before = self.clock.seconds()
        self.connected(self.client)
        self.assertLessEqual(self.clock.seconds() - before, self.LONGEST + 0.001)
        written = self.written()
        self.assertTrue(0 < len(written) < 10)
        self.ask(payload=b"%d" % self.COUNT)
        while len(written) <= self.COUNT:
            before = self.clock.seconds()
            run_one_call(self.clock)
            self.assertLessEqual(self.clock.seconds() - before, self.LONGEST)
            written += self.written()
        self.assertEqual(written, [*range(self.COUNT + 1)])

    def test_lost_between_two_writes(self) -> None:
        """Those that were written fail, and the others are written to the next server, once."""
        self.ask_all()
        self.write_slowly()
        self.connected(self.client)
        written = self.written()
        self.assertLess(len(written), 10)
        self.network.link.lose()
        self.assertEqual((self.seen, self.results), (written, [ConnectionLostError] * len(written)))
        while len(self.network.links) == 1:
            run_one_call(self.clock)
        self.accept()
        while len(written) < self.COUNT:
            run_one_call(self.clock)
            written += self.written()
        self.assertEqual(written, [*range(self.COUNT)])
