"""natsroute.daemon.sending.answering"""

from __future__ import annotations

from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred, succeed

from natsroute.daemon.sending.answering import Answering
from natsroute.daemon.sending.reactor_thread import ReactorThread
from natsroute.errors import HeaderError, PayloadError, PayloadTooLargeError, SubjectError
from tests.support.connection_case import ConnectionTestCase


class AnsweringTests(ConnectionTestCase):
    """Answers over the connection of a consumer."""

    def setUp(self) -> None:
        super().setUp()
        self.published: list[tuple[Any, ...]] = []
        self.calls: list[Any] = []
        self.client = self.connection()
        thread = ReactorThread(lambda function: self.calls.append(function))
        thread.start()
        self.answer = Answering(self.client, self.publish, thread).answer

    def publish(self, *message: Any, **options: Any) -> Deferred[None]:
        """Keep what is published."""
        self.published.append(message)
        return succeed(None)

    def test_written(self) -> None:
        """At once, and without a PING."""
        self.connected(self.client)
        self.assertIs(self.answer("inbox", {"a": 1}), None)
        self.assertIs(self.answer("inbox", b"x", {"A": ["1", "2"]}), None)
        self.assertEqual(
            self.network.link.transport.sent(),
            b'PUB inbox 7\r\n{"a":1}\r\nHPUB inbox 24 25\r\nNATS/1.0\r\nA: 1\r\nA: 2\r\n\r\nx\r\n',
        )
        self.assertEqual((self.client.status().messages_out, self.published), (2, []))

    def test_without_a_connection(self) -> None:
        """It is published: whoever asked may have another server."""
        later = self.answer("inbox", "é", {"A": "1"})
        assert later is not None
        self.successResultOf(later)
        self.assertEqual(self.published, [("inbox", "é".encode(), None, {"A": "1"})])

    def test_what_cannot_be_sent(self) -> None:
        self.connected(self.client)
        self.assertRaises(SubjectError, self.answer, "a b", b"")
        self.assertRaises(HeaderError, self.answer, "a", b"", {"A": "\r\n"})
        self.assertRaises(PayloadError, self.answer, "a", object())
        self.assertRaises(PayloadTooLargeError, self.answer, "a", b"x" * 1025)
        self.assertEqual(self.network.link.transport.sent(), b"")

    def test_from_another_thread(self) -> None:
        """The reactor's thread writes it."""
        self.connected(self.client)
        answers: list[Any] = []
        other = Thread(target=lambda: answers.append(self.answer("inbox", b"x")))
        other.start()
        other.join()
        self.assertNoResult(answers[0])
        self.calls[0]()
        self.successResultOf(answers[0])
        self.assertEqual(self.network.link.transport.sent(), b"PUB inbox 1\r\nx\r\n")
