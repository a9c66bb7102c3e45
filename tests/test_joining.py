"""natsroute.daemon.sending.joining: what a publish worker is notified of."""

from __future__ import annotations

from typing import Any

from natsroute.daemon.sending.joining import join
from natsroute.errors import ServerError
from tests.support.connection_case import ConnectionTestCase
from tests.support.memory_network import info


class RecordingWorker:
    """Records what it is notified of."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def connected(self) -> None:
        self.seen.append(("connected",))

    def disconnected(self, reason: Exception | None = None, *, cleanly: bool = False) -> None:
        self.seen.append(("disconnected", cleanly))

    def limits_changed(self) -> None:
        self.seen.append(("limits changed",))

    def refused(self, error: ServerError) -> None:
        self.seen.append(("refused", error.text))


class JoinTests(ConnectionTestCase):
    """A worker and its connection."""

    def setUp(self) -> None:
        super().setUp()
        self.worker = RecordingWorker()
        self.joined = self.connection()
        join(self.joined, self.worker)

    def test_connected_and_lost(self) -> None:
        """A lost connection did not end cleanly."""
        self.connected(self.joined)
        self.assertIn(("connected",), self.worker.seen)
        self.network.link.lose()
        self.assertEqual(self.worker.seen[-1], ("disconnected", False))

    def test_limits(self) -> None:
        """An INFO that comes later."""
        self.connected(self.joined)
        self.worker.seen.clear()
        self.network.link.receive(info(max_payload=10))
        self.assertEqual(self.worker.seen, [("limits changed",)])

    def test_refused(self) -> None:
        """A server error."""
        self.connected(self.joined)
        self.network.link.receive(b"-ERR 'Permissions Violation for Publish to \"a\"'\r\n")
        self.assertEqual(self.worker.seen[-1], ("refused", 'Permissions Violation for Publish to "a"'))

    def test_closed(self) -> None:
        """A connection that we end."""
        self.connected(self.joined)
        self.joined.stopService()
        self.network.link.lose()
        self.assertEqual(self.worker.seen[-1], ("disconnected", True))
