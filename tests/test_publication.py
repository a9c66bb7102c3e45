"""natsroute.recording.publication"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ConnectionLostError, NatsrouteError
from natsroute.recording.format import Recorded
from natsroute.recording.publication import MAX_UNCONFIRMED, Publication
from natsroute.wire.frames import Info
from tests.support.memory_publisher import MemoryLink

BLOCK = b"NATS/1.0 503\r\nA:b\r\n\r\n"


class PublicationTests(SynchronousTestCase):
    """A connection in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.link = MemoryLink()
        self.link.info = Info(max_payload=1000_000, headers=True)
        self.refused: list[tuple[int, str]] = []
        self.publication = Publication(
            self.clock, self.link, lambda number, reason: self.refused.append((number, str(reason)))
        )

    def play(self, payload: bytes = b"xyz", block: bytes = b"", number: int = 2) -> Deferred[None] | None:
        return self.publication.play(number, Recorded(0.0, "a", payload, "r", block))

    def test_bytes(self) -> None:
        """What is played in a turn is written together, and as it was."""
        self.assertIsNone(self.play())
        self.assertIsNone(self.play(b"\x00", BLOCK))
        self.assertEqual(self.link.written, [])
        self.clock.advance(0)
        self.assertEqual(self.link.written, [b"PUB a r 3\r\nxyz\r\nHPUB a r 21 22\r\n" + BLOCK + b"\x00\r\n"])
        self.assertEqual(self.publication.confirmed, 0)
        self.link.pings.pop().callback(None)
        self.assertEqual(self.publication.confirmed, 2)

    def test_end(self) -> None:
        self.successResultOf(self.publication.end())
        self.play()
        ended = self.publication.end()
        self.assertEqual((len(self.link.written), self.clock.getDelayedCalls()), (1, []))
        self.assertNoResult(ended)
        self.link.pings.pop().callback(None)
        self.successResultOf(ended)

    def test_flow_control(self) -> None:
        """Large batches are written at once; with too much unconfirmed, the next message waits."""
        payload = b"x" * 100_000
        for _ in range(100):
            waiting = self.play(payload)
            if waiting is not None:
                break
        count = len(self.link.written)
        self.assertTrue(MAX_UNCONFIRMED // 100_100 <= count <= MAX_UNCONFIRMED // 100_000 + 1, count)
        assert waiting is not None
        self.assertNoResult(waiting)
        self.link.pings.pop(0).callback(None)
        self.successResultOf(waiting)

    def test_refused(self) -> None:
        """What the server would close the connection for is not sent."""
        self.link.info = Info(max_payload=10, headers=False)
        self.play(b"x" * 11, number=7)
        self.play(b"", BLOCK[:10], number=8)
        self.play(b"x" * 10, number=9)
        self.clock.advance(0)
        self.assertEqual(self.link.written, [b"PUB a r 10\r\nxxxxxxxxxx\r\n"])
        self.assertEqual([number for number, _ in self.refused], [7, 8])
        self.assertEqual(self.refused[1][1], "the server does not support headers")
        self.assertEqual(self.publication.refused, 2)

    def test_lost_connection(self) -> None:
        """Nothing is sent again; the error says that nobody knows."""
        self.play()
        ended = self.publication.end()
        self.link.pings.pop().errback(ConnectionLostError("cut"))
        failure = self.failureResultOf(ended, NatsrouteError)
        self.assertIn("the connection was lost: cut. What was not confirmed may be", failure.getErrorMessage())
        self.assertRaises(NatsrouteError, self.play)
        self.failureResultOf(self.publication.end(), NatsrouteError)

    def test_lost_connection_while_a_message_waits(self) -> None:
        waiting = None
        while waiting is None:
            waiting = self.play(b"x" * 900_000)
        self.link.pings.pop(0).errback(ConnectionLostError("cut"))
        self.failureResultOf(waiting, NatsrouteError)
