"""natsroute.kamailio.kemi.ksr.nats"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from natsroute.daemon.memory.requests import MemoryRequests
from natsroute.message import Message
from natsroute.testing import Published
from natsroute.wire.frames import Address
from tests.support.kemi_scripts import ScriptCase, new_event


class RequestTests(ScriptCase):
    """Asking, with the answers of a test."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.requested: list[Published] = []
        self.requests = MemoryRequests(self.clock, self.requested.append)
        self.call = self.new_caller(new_event(requests=self.requests))

    def test_answer(self) -> None:
        """Its payload, which may be empty."""
        self.requests.answer("\u00e9", b"\0\xff")
        self.requests.answer("empty", b"")
        self.assertEqual(self.call("nats.request", "\u00e9".encode(), b"?"), b"\0\xff")
        self.assertEqual(self.call("nats.request", b"empty", b"", 100), b"")
        self.assertEqual([(one.subject, one.data) for one in self.requested], [("\u00e9", b"?"), ("empty", b"")])

    def test_no_answer(self) -> None:
        """The result is null, and the log says why, once for each subject."""
        self.requests.answer("failing", b"", headers={"Nats-Service-Error": "no such call"})
        for subject in (b"nobody", b"failing", b"a b"):
            self.assertIs(self.call("nats.request", subject, b""), None)
        self.assertIs(self.call("nats.request", b"failing", b"", 0), None)
        texts = [text for text, _ in self.failures]
        self.assertEqual(texts, [f"KSR.nats.request('{name}')" for name in ("nobody", "failing", "a b", "failing")])
        for (_, reason), words in zip(
            self.failures, ("nobody is subscribed", "no such call", "white space", "above 0")
        ):
            self.assertIn(words, reason)

    def test_time(self) -> None:
        """It is in milliseconds; 5 s without it."""
        seconds: list[float] = []

        def request(subject: str, payload: object, timeout: float, *others: object) -> Any:
            seconds.append(timeout)
            return succeed(Message(Address("", 1), b""))

        self.patch(self.requests, "request", request)
        self.call("nats.request", b"a", b"")
        self.call("nats.request", b"a", b"", 250)
        self.assertEqual(seconds, [5.0, 0.25])

    def test_while_the_script_is_loaded(self) -> None:
        """There is no event then, and nothing that asks."""
        call = self.new_caller(new_event(subject=""))
        self.assertIs(call("nats.request", b"a", b""), None)
        self.assertIn("there is nothing that sends requests", self.failures[0][1])


class NatsTests(ScriptCase):
    """Publishing."""

    def test_publish(self) -> None:
        """The result is 1 at once. An empty reply subject is none."""
        self.check_calls(
            new_event(),
            [
                (1, "nats.publish", b"a", b"1"),
                (1, "nats.publish_request", b"b", b"2", b"r"),
                (1, "nats.publish_request", b"c", b"3", b""),
                (1, "nats.publish", "\u00e9".encode(), b"\xff"),
            ],
        )
        self.assertEqual(
            self.published, [("a", b"1", None), ("b", b"2", "r"), ("c", b"3", None), ("\u00e9", b"\xff", None)]
        )
