"""natsroute.client.transport.tls_connection: what arrives over TLS, and what ends it"""

from __future__ import annotations

import gc
import ssl
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.options import Security
from natsroute.client.protocol import NatsProtocol
from natsroute.client.transport.tls import Tls
from natsroute.wire.frames import Msg
from tests.support.certificates import Certificates
from tests.support.garbage import collect_all
from tests.support.memory_network import info
from tests.support.memory_tls import Recorder, RenegotiatingServer, TlsLink, TlsServer


class TlsConnectionTestCase(SynchronousTestCase):
    """Tests with a server, TLS 1.3 unless the class has another version."""

    version = ssl.TLSVersion.TLSv1_3

    def setUp(self) -> None:
        made = Certificates(Path(self.mktemp()))
        self.server = TlsServer(made.server("a.example"), maximum_version=self.version)
        self.session = Tls(str(made.ca)).session("a.example")

    def connect(self, protocol: Any) -> TlsLink:
        """A connection; the handshake is done."""
        link = TlsLink(self.session, self.server, protocol)
        link.exchange()
        self.assertEqual(
            (self.server.version, self.server.asked_for), (self.version.name.replace("_", "."), "a.example")
        )
        return link

    def assert_lost(self, recorder: Recorder, reason: type[Exception]) -> None:
        """The protocol has been told so."""
        assert recorder.lost is not None
        self.assertIsInstance(recorder.lost.value, reason)


class ReceivingTests(TlsConnectionTestCase):
    """What arrives over TLS."""

    def test_the_records_of_one_read(self) -> None:
        """They arrive as one piece. nats-server's have 512 bytes each."""
        link = self.connect(recorder := Recorder())
        sent = [bytes([65 + number]) * 512 for number in range(8)]
        link.receive(*map(self.server.record, sent))
        link.receive(self.server.record(b"x"))
        self.assertEqual(recorder.pieces, [b"".join(sent), b"x"])

    def test_large_records(self) -> None:
        link = self.connect(recorder := Recorder())
        sent = [bytes([65 + number]) * 16_384 for number in range(4)]
        link.receive(*map(self.server.record, sent))
        self.assertEqual(recorder.pieces, [b"".join(sent)])

    def test_a_record_in_pieces(self) -> None:
        """Complete records do not wait for it."""
        link = self.connect(recorder := Recorder())
        first, second = self.server.record(b"first "), self.server.record(b"second ")
        link.receive(first, second[:10])
        self.assertEqual(recorder.pieces, [b"first "])
        link.receive(second[10:-1])
        self.assertEqual(recorder.pieces, [b"first "])
        link.receive(second[-1:], self.server.record(b"third"))
        self.assertEqual(recorder.pieces, [b"first ", b"second third"])

    def test_before_the_end(self) -> None:
        """Data that comes with the end of TLS is delivered, and the end is seen at once."""
        link = self.connect(recorder := Recorder())
        link.receive(self.server.record(b"the "), self.server.record(b"last"), self.server.end())
        self.assertEqual(recorder.pieces, [b"the last"])
        self.assertTrue(link.transport.disconnecting)
        link.lose()
        self.assert_lost(recorder, error.ConnectionDone)

    def test_before_a_broken_record(self) -> None:
        """Data before it is delivered. It ends the connection."""
        link = self.connect(recorder := Recorder())
        good, broken = self.server.record(b"good"), self.server.record(b"broken")
        link.receive(good, broken[:-1] + bytes([broken[-1] ^ 1]), self.server.record(b"more"))
        self.assertEqual(recorder.pieces, [b"good"])
        self.assertTrue(link.transport.disconnecting)

    def test_reads_of_all_sizes(self) -> None:
        """Nothing that is complete waits for more, wherever a read ends."""
        link = self.connect(recorder := Recorder())
        sent = [bytes([65 + number]) * number for number in range(1, 20)]
        for size in (1, 2, 7, 64, 500):
            records = [self.server.record(data) for data in sent]
            raw, ends = b"".join(records), [sum(map(len, records[: n + 1])) for n in range(len(records))]
            recorder.pieces.clear()
            for begin in range(0, len(raw), size):
                link.receive(raw[begin : begin + size])
                complete = sum(end <= begin + size for end in ends)
                self.assertEqual(b"".join(recorder.pieces), b"".join(sent[:complete]))

    def test_with_the_end_of_the_handshake(self) -> None:
        """A server that speaks first may do so in the same read."""
        recorder = Recorder()
        link = TlsLink(self.session, self.server, recorder)
        link.clock.advance(0)
        answer = self.server.take(link.transport.sent())
        link.receive(answer[:-1])
        link.receive(answer[-1:])
        last = self.server.take(link.transport.sent())
        link.receive(last, self.server.record(b"INFO"), self.server.record(b" {}"))
        self.assertEqual(recorder.pieces, [b"INFO {}"])

    def test_cut_off(self) -> None:
        """A connection that is closed without the end of TLS is not closed, it is lost."""
        link = self.connect(recorder := Recorder())
        link.receive(self.server.record(b"first"), self.server.record(b"cut")[:-1])
        link.lose(error.ConnectionDone())
        self.assertEqual(recorder.pieces, [b"first"])
        self.assert_lost(recorder, error.ConnectionLost)

    def test_cut_off_behind_a_record(self) -> None:
        """The same if the last record was complete."""
        link = self.connect(recorder := Recorder())
        link.receive(self.server.record(b"first"))
        link.lose(error.ConnectionDone())
        self.assertEqual(recorder.pieces, [b"first"])
        self.assert_lost(recorder, error.ConnectionLost)

    def test_cut_off_in_the_handshake(self) -> None:
        recorder = Recorder()
        link = TlsLink(self.session, self.server, recorder)
        link.receive(self.server.take(link.transport.sent())[:-1])
        link.lose(error.ConnectionDone())
        self.assert_lost(recorder, error.ConnectionLost)

    def test_a_protocol_that_aborts(self) -> None:
        """It gets nothing more."""
        link = self.connect(recorder := Recorder())
        recorder.on_data = lambda: recorder.transport.abortConnection()
        link.receive(self.server.record(b"first"))
        link.receive(self.server.record(b"second"), self.server.end())
        self.assertEqual(recorder.pieces, [b"first"])
        self.assertTrue(link.transport.aborted)

    def test_a_protocol_that_raises(self) -> None:
        """The reactor then ends the connection, and TLS has not ended."""
        link = self.connect(recorder := Recorder())
        recorder.on_data = lambda: 1 // 0
        self.assertRaises(ZeroDivisionError, link.receive, self.server.record(b"first"))
        link.lose(error.ConnectionDone())
        self.assert_lost(recorder, error.ConnectionLost)

    def test_a_close_in_the_middle_of_a_read(self) -> None:
        """Messages behind it are not delivered, in whatever record they came."""
        messages: list[bytes] = []

        def received(msg: Msg) -> None:
            messages.append(msg.data)
            if msg.data == b"2":
                protocol.close()

        protocol = NatsProtocol(Clock(), name="x", version="1", security=Security(by_transport=True))
        link = self.connect(protocol)
        protocol.sub("a", 1, received)
        link.receive(self.server.record(info()))
        link.receive(self.server.record(b"PONG\r\nMSG a 1 1\r\n0\r\n"))
        link.receive(*(self.server.record(b"MSG a 1 1\r\n%d\r\n" % number) for number in (1, 2, 3, 4)))
        link.receive(self.server.record(b"MSG a 1 1\r\n5\r\n"))
        self.assertEqual(messages, [b"0", b"1", b"2"])

    def test_a_paused_transport(self) -> None:
        """Pauses reach TCP; what has been read already is delivered."""
        link = self.connect(recorder := Recorder())
        recorder.on_data = lambda: link.below.pauseProducing()
        link.receive(self.server.record(b"1"), self.server.record(b"2"))
        self.assertEqual((recorder.pieces, link.transport.producerState), ([b"12"], "paused"))
        link.below.resumeProducing()
        self.assertEqual(link.transport.producerState, "producing")

    def test_memory(self) -> None:
        """What has been received is released at once; nothing waits for the garbage collector."""
        link = self.connect(Recorder())
        records = [self.server.record(b"x" * 512) for _ in range(8)]
        collect_all()
        gc.disable()
        self.addCleanup(gc.enable)
        link.receive(records[0])
        link.receive(*records[1:4], records[4][:10])
        link.receive(records[4][10:-1])
        link.receive(records[4][-1:], *records[5:])
        self.assertEqual(gc.collect(), 0)


class OlderReceivingTests(ReceivingTests):
    """The same with TLS 1.2."""

    version = ssl.TLSVersion.TLSv1_2


class RenegotiationTests(SynchronousTestCase):
    """A server with TLS 1.2 asks for another handshake (TLS 1.3 has no renegotiation)."""

    def setUp(self) -> None:
        made = Certificates(Path(self.mktemp()))
        self.server = RenegotiatingServer(made.server("a.example"))
        self.recorder = Recorder()
        self.link = TlsLink(Tls(str(made.ca)).session("a.example"), self.server, self.recorder)
        self.link.exchange()

    def test_refused(self) -> None:
        """The server gets an alert at once, and no second handshake. OpenSSL's then ends the connection."""
        self.link.receive(self.server.record(b"before"), self.server.ask())
        refused = self.assertRaises(SSL.Error, self.server.take, self.link.transport.sent())
        self.assertIn("no renegotiation", str(refused))
        self.assertEqual(self.recorder.pieces, [b"before"])

    def test_the_connection_stays(self) -> None:
        """What the server has sent until then is delivered, in the same read and in later ones."""
        asked = self.server.ask()
        self.link.receive(asked, self.server.record(b"1"))
        self.link.receive(self.server.record(b"2"))
        self.assertEqual(self.recorder.pieces, [b"1", b"2"])
        self.assertFalse(self.link.transport.disconnecting)


class SendingTests(TlsConnectionTestCase):
    """What this side sends."""

    def test_before_the_handshake(self) -> None:
        """It waits for the handshake."""
        recorder = Recorder()
        link = TlsLink(self.session, self.server, recorder)
        recorder.transport.write(b"first")
        link.exchange()
        self.assertEqual(self.server.received, b"first")

    def test_more_than_a_record(self) -> None:
        link = self.connect(recorder := Recorder())
        sent = b"0123456789" * 10_000
        recorder.transport.write(sent)
        link.exchange()
        self.assertEqual(self.server.received, sent)

    def test_close(self) -> None:
        """TLS ends on both sides, then TCP. What arrives meanwhile is delivered."""
        link = self.connect(recorder := Recorder())
        late = self.server.record(b"late")
        recorder.transport.write(b"last")
        recorder.transport.loseConnection()
        self.assertFalse(link.transport.disconnecting)
        link.receive(late[:9])
        link.receive(late[9:])
        link.exchange()
        self.assertEqual((self.server.received, recorder.pieces), (b"last", [b"late"]))
        link.receive(self.server.end())
        self.assertTrue(link.transport.disconnecting)
        link.lose()
        self.assert_lost(recorder, error.ConnectionDone)

    def test_close_while_data_arrives(self) -> None:
        link = self.connect(recorder := Recorder())
        recorder.on_data = lambda: recorder.transport.loseConnection()
        records = [self.server.record(data) for data in (b"1", b"2", b"3")]
        last = records.pop()
        link.receive(*records, last[:10])
        link.receive(last[10:], self.server.end())
        self.assertEqual(recorder.pieces, [b"12", b"3"])

    def test_close_in_the_handshake(self) -> None:
        recorder = Recorder()
        link = TlsLink(self.session, self.server, recorder)
        recorder.transport.loseConnection()
        self.assertTrue(link.transport.aborted)


class OlderSendingTests(SendingTests):
    """The same with TLS 1.2."""

    version = ssl.TLSVersion.TLSv1_2


class CertificateTests(TlsConnectionTestCase):
    """What Twisted's transport knows of the server."""

    def test_certificate(self) -> None:
        recorder = Recorder()
        link = TlsLink(self.session, self.server, recorder)
        self.assertIsNone(link.below.getPeerCertificate())
        link.exchange()
        self.assertIn(b"trustme", bytes(str(link.below.getPeerCertificate().get_issuer()), "ascii"))

    def test_what_nats_does_not_need(self) -> None:
        """There is no answer, and no error."""
        link = self.connect(Recorder())
        self.assertIsNone(link.below.negotiatedProtocol)
        self.assertIsNone(link.below.getHandle().get_finished())
