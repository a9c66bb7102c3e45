"""natsroute.daemon.memory_publisher; tests.test_testing publishes with it too"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.daemon.memory_publisher import MemoryPublisher, MemoryService, Published
from natsroute.errors import HeaderError, PayloadError, SettingError, SubjectError
from natsroute.routes.outgoing import NoRequests


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
