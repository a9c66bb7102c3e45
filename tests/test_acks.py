"""natsroute.jetstream.consuming.acks"""

from __future__ import annotations

import re
from unittest.mock import patch

from natsroute.client.requests import Requests
from natsroute.errors import ConnectionLostError, NoRespondersError, RequestTimeoutError
from natsroute.jetstream.consuming import acks
from natsroute.jetstream.consuming.acks import Acks
from tests.support.connection_case import ConnectionTestCase

ONE, TWO = b"$JS.ACK.S.D.1.1.1.1700000000000000000.0", b"$JS.ACK.hub.abc.S.D.1.2.2.1700000000000000000.0.more"


class AcksTests(ConnectionTestCase):
    """Acknowledgements to a server in memory."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.connection()
        self.acks = Acks(self.client, Requests(self.client, self.clock), self.clock)

    def said(self) -> bytes:
        """What is written at the end of this turn of the reactor."""
        self.clock.advance(0)
        return self.network.link.transport.sent()

    def test_one_write_for_each_turn(self) -> None:
        """Both forms of the ack subject are written back as they came, and not before the turn ends."""
        self.connected(self.client)
        self.acks.ack(ONE)
        self.acks.ack(TWO)
        self.assertEqual((self.network.link.transport.sent(), self.acks.waiting), (b"", 2))
        self.assertEqual(self.said(), b"PUB %b 4\r\n+ACK\r\nPUB %b 4\r\n+ACK\r\n" % (ONE, TWO))
        self.assertEqual((self.said(), self.acks.waiting), (b"", 0))
        self.assertEqual(self.client.status().messages_out, 2)

    def test_kinds(self) -> None:
        self.connected(self.client)
        self.acks.nak(ONE)
        self.acks.nak(ONE, 1.5)
        self.acks.nak(ONE, -1.0)
        self.acks.in_progress(ONE)
        self.acks.term(ONE)
        self.acks.term(ONE, " bad\r\nPUB x 0 ")
        naks = [b"-NAK", b'-NAK {"delay":1500000000}', b'-NAK {"delay":-1000000000}']
        payloads = [*naks, b"+WPI", b"+TERM", b"+TERM bad PUB x 0"]
        expected = b"".join(b"PUB %b %d\r\n%b\r\n" % (ONE, len(payload), payload) for payload in payloads)
        self.assertEqual(self.said(), expected)

    def test_long_reason(self) -> None:
        """It is shortened, so that the message stays small."""
        self.connected(self.client)
        self.acks.term(ONE, "\u00e4" * 5000)
        self.assertEqual(self.said(), b"PUB %b %d\r\n+TERM %b\r\n" % (ONE, 6 + 1024, "\u00e4".encode() * 512))

    def test_in_progress_comes_first(self) -> None:
        """Behind the acknowledgement of the same message it would be of no use."""
        self.connected(self.client)
        self.acks.ack(ONE)
        self.acks.in_progress(ONE)
        said = self.said()
        self.assertLess(said.index(b"+WPI"), said.index(b"+ACK"))

    def test_without_a_connection(self) -> None:
        """They wait: the acknowledgement of a message from an earlier connection is still valid."""
        self.acks.ack(ONE)
        self.acks.nak(TWO)
        self.clock.advance(0)
        self.assertEqual(self.acks.waiting, 2)
        self.connected(self.client)
        self.assertIn(b"PUB %b 4\r\n-NAK\r\nPUB %b 4\r\n+ACK\r\n" % (TWO, ONE), self.network.link.transport.sent())
        self.assertEqual((self.acks.waiting, self.acks.dropped), (0, 0))

    def test_too_many_wait(self) -> None:
        """The oldest are dropped: the server delivers those messages again."""
        with patch.object(acks, "MAX_WAITING", 2):
            for _ in range(3):
                self.acks.nak(ONE)
            for reply_to in (b"a", b"b", b"c", b"d"):
                self.acks.ack(reply_to)
            self.clock.advance(0)
        self.assertEqual((self.acks.dropped, self.acks.waiting), (3, 4))
        self.connected(self.client)
        self.assertEqual(re.findall(rb"PUB (\w) ", self.network.link.transport.sent()), [b"c", b"d"])

    def test_flush(self) -> None:
        self.connected(self.client)
        self.acks.ack(ONE)
        flushed = self.acks.flush()
        self.assertNoResult(flushed)
        self.assertEqual(self.network.link.answer_pings(), b"PUB %b 4\r\n+ACK\r\nPING\r\n" % ONE)
        self.successResultOf(flushed)

    def test_flush_without_a_connection(self) -> None:
        self.acks.ack(ONE)
        self.failureResultOf(self.acks.flush(), ConnectionLostError)
        self.assertEqual(self.acks.waiting, 1)

    def test_stop(self) -> None:
        """Nothing is left in the reactor."""
        self.connected(self.client)
        self.acks.ack(ONE)
        self.client.stopService()
        self.network.link.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_confirmed(self) -> None:
        self.connected(self.client)
        confirmed = self.acks.ack_confirmed(TWO, 2.0)
        said = self.said()
        asked = re.search(rb"PUB %b (\S+) 4\r\n\+ACK\r\n" % re.escape(TWO), said)
        assert asked is not None, said
        self.assertNoResult(confirmed)
        self.network.link.receive(b"MSG %b 1 0\r\n\r\n" % asked[1])
        self.assertIsNone(self.successResultOf(confirmed))

    def test_not_confirmed(self) -> None:
        self.connected(self.client)
        late, gone = self.acks.ack_confirmed(ONE, 2.0), self.acks.ack_confirmed(TWO, 2.0)
        replies = re.findall(rb"PUB \$JS\S+ (\S+) 4\r\n", self.said())
        self.network.link.receive(b"HMSG %b 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n" % replies[1])
        self.failureResultOf(gone, NoRespondersError)
        self.clock.advance(2.0)
        self.failureResultOf(late, RequestTimeoutError)
