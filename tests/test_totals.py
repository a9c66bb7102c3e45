"""natsroute.client.totals"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.protocol import NatsProtocol
from natsroute.client.totals import Totals
from tests.support.memory_network import Link


class TotalsTests(SynchronousTestCase):
    """Totals"""

    def setUp(self) -> None:
        self.totals = Totals()

    def open(self) -> Link:
        """A protocol that is ready, and counted."""
        link = Link(NatsProtocol(Clock(), name="test", version="1.0"))
        self.totals.opened(link.protocol)
        link.shake_hands()
        return link

    def counts(self) -> tuple[int, int, int]:
        return self.totals.bytes_in, self.totals.bytes_out, self.totals.messages_out

    def counts_of(self, *links: Link) -> tuple[Any, ...]:
        protocols = [link.protocol for link in links]
        return tuple(
            sum(getattr(protocol, name) for protocol in protocols) for name in ("bytes_in", "bytes_out", "messages_out")
        )

    def test_nothing(self) -> None:
        self.assertEqual((self.counts(), self.totals.connects), ((0, 0, 0), 0))

    def test_a_protocol(self) -> None:
        """What it counts is in the totals at once."""
        link = self.open()
        before = self.counts()
        link.protocol.write_and_ping(b"PUB a 0\r\n\r\n" * 2, 2).addErrback(lambda lost: None)
        link.receive(b"PONG\r\n")
        self.assertEqual(self.counts(), self.counts_of(link))
        self.assertEqual(
            tuple(now - then for now, then in zip(self.counts(), before)), (6, 2 * len(b"PUB a 0\r\n\r\n") + 6, 2)
        )

    def test_several_protocols(self) -> None:
        """Those that have ended stay in the totals, and count no more."""
        first, second = self.open(), self.open()
        first.protocol.write_and_ping(b"PUB a 0\r\n\r\n", 1)
        self.totals.closed(first.protocol)
        counted = self.counts_of(first, second)
        self.assertEqual(self.counts(), counted)
        first.protocol.bytes_in += 1_000
        self.assertEqual(self.counts(), counted)
        second.protocol.write_and_ping(b"PUB a 0\r\n\r\n", 1)
        self.assertEqual(self.counts()[2], 2)

    def test_closed_twice(self) -> None:
        """It is counted once, and one that was never opened is not counted."""
        link = self.open()
        counted = self.counts()
        for _ in range(2):
            self.totals.closed(link.protocol)
            self.assertEqual(self.counts(), counted)
        other = Link(NatsProtocol(Clock(), name="test", version="1.0"))
        other.shake_hands()
        self.totals.closed(other.protocol)
        self.assertEqual(self.counts(), counted)

    def test_unclaimed(self) -> None:
        """Messages for a sid that is unknown."""
        first, second = self.open(), self.open()
        first.receive(b"MSG a 1 0\r\n\r\n" * 2)
        second.receive(b"MSG a 1 0\r\n\r\n")
        self.totals.closed(first.protocol)
        self.assertEqual(self.totals.unclaimed, 3)

    def test_connects(self) -> None:
        self.totals.connected()
        self.totals.connected()
        self.assertEqual(self.totals.connects, 2)
