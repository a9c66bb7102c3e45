"""natsroute.client.requests"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from natsroute.client.requests import Requests
from natsroute.errors import (
    ConnectionLostError,
    NoRespondersError,
    PayloadTooLargeError,
    RequestTimeoutError,
    SubjectError,
)
from tests.support.connection_case import ConnectionTestCase


class RequestsTests(ConnectionTestCase):
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

    def answer(self, reply: str, data: bytes = b"!", block: bytes = b"") -> None:
        """The server delivers an answer."""
        sizes = b"%d %d" % (len(block), len(block) + len(data)) if block else b"%d" % len(data)
        command = b"HMSG" if block else b"MSG"
        self.network.link.receive(b"%b %b 1 %b\r\n%b%b\r\n" % (command, reply.encode(), sizes, block, data))

    def test_answers(self) -> None:
        """Each request gets its own answer, whatever their order."""
        self.connected(self.client)
        asked = [self.ask(payload=b"1"), self.ask(payload=b"2")]
        first, second = self.replies()
        self.answer(second, b"two")
        self.answer(first, b"one")
        self.assertEqual([self.successResultOf(answer).data for answer in asked], [b"one", b"two"])
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
        self.assertEqual((self.requests.pending, len(self.requests.inbox)), (0, 0))
