"""natsroute.daemon.memory.publisher; tests.test_testing publishes with it too"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.daemon.memory.publisher import MemoryPublisher, MemoryService, Published
from natsroute.errors import HeaderError, MisuseError, PayloadError, SettingError, SubjectError
from natsroute.jetstream.publishing.pub_ack import PubAck
from natsroute.routes.outgoing import NoRequests
from natsroute.wire.subjects import matcher


class MemoryPublisherTests(SynchronousTestCase):
    """Messages that nobody gets."""

    def setUp(self) -> None:
        self.published: list[Published] = []
        self.publisher = MemoryPublisher(self.published.append)

    def test_publish(self) -> None:
        """Payloads become bytes, and a message ID a header."""
        self.successResultOf(self.publisher.publish("a", {"n": 1}, "r", {"X": "y"}, policy="drop", msg_id="7"))
        self.successResultOf(self.publisher.publish("b", lambda: "text"))
        self.assertEqual(
            self.published,
            [Published("a", b'{"n":1}', "r", {"X": "y", "Nats-Msg-Id": "7"}), Published("b", b"text")],
        )

    def test_stream(self) -> None:
        """What goes to a stream is acknowledged with a made-up sequence, and shows its options."""
        first = self.successResultOf(self.publisher.publish("a", b"1", stream=True, ttl=5, msg_id="m"))
        second = self.successResultOf(self.publisher.publish("a", b"2", stream=True, expected_stream="CALLS"))
        self.assertEqual((first, second), (PubAck("MEMORY", 1), PubAck("CALLS", 2)))
        self.assertEqual(
            self.published,
            [
                Published("a", b"1", None, {"Nats-Msg-Id": "m"}, True, {"ttl": 5}),
                Published("a", b"2", None, None, True, {"expected_stream": "CALLS"}),
            ],
        )
        self.failureResultOf(self.publisher.publish("a", b"1", ttl=5), MisuseError)
        self.failureResultOf(self.publisher.publish("a", b"1", "r", stream=True), MisuseError)
        self.failureResultOf(self.publisher.publish("a", b"1", stream=True, ttl=0), MisuseError)

    def test_subjects_of_streams(self) -> None:
        """As the settings name them."""
        publisher = MemoryPublisher(self.published.append, matcher(["a.>"]))
        self.assertEqual(self.successResultOf(publisher.publish("a.b", b"")), PubAck("MEMORY", 1))
        self.assertIs(self.successResultOf(publisher.publish("b", b"")), None)
        self.assertIs(self.successResultOf(publisher.publish("a.b", b"", stream=False)), None)
        self.assertEqual([one.stream for one in self.published], [True, False, False])

    def test_batch(self) -> None:
        """All or none."""
        batch: list[Any] = [("a", b"1"), ("b", b"2", {"headers": {"A": "b"}, "msg_id": "m", "ttl": 5})]
        ack = self.successResultOf(self.publisher.publish_all(batch))
        self.assertEqual((ack.sequence, ack.count), (2, 2))
        self.assertEqual(
            self.published,
            [
                Published("a", b"1", None, None, True, {"batch": "batch-1"}),
                Published("b", b"2", None, {"A": "b", "Nats-Msg-Id": "m"}, True, {"ttl": 5, "batch": "batch-1"}),
            ],
        )
        self.failureResultOf(self.publisher.publish_all([("a", b"1"), ("two words", b"")]), SubjectError)
        self.failureResultOf(self.publisher.publish_all([]), MisuseError)
        self.assertEqual(len(self.published), 2)

    def test_errors(self) -> None:
        """What the publisher of a service refuses is refused."""
        cases: list[tuple[type[Exception], tuple[Any, ...], dict[str, str]]] = [
            (SubjectError, ("a b", b""), {}),
            (SubjectError, ("a", b"", "r r"), {}),
            (PayloadError, ("a", object()), {}),
            (HeaderError, ("a", b"", None, {"a b": "c"}), {}),
            (SettingError, ("a", b""), {"policy": "hope"}),
        ]
        for kind, arguments, options in cases:
            self.failureResultOf(self.publisher.publish(*arguments, **options), kind)
        self.assertEqual(self.published, [])

    def test_service(self) -> None:
        """What hooks use of a service."""
        service = MemoryService(
            self.publisher,
            NoRequests(),
            Settings(client_name="x"),
            lambda: len(self.published),
        )
        service.publish("a", b"")
        self.successResultOf(service.flush())
        self.assertEqual(service.ledger().publisher.confirmed, 1)
        self.assertEqual(service.settings.client_name, "x")
