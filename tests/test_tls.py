"""natsroute.client.transport.tls without a server; tests.integration.test_tls has the rest"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.options import Security
from natsroute.client.protocol import NatsProtocol
from natsroute.client.transport import tls
from natsroute.client.transport.tls import Tls
from natsroute.errors import SettingError, TlsError
from natsroute.wire.frames import Msg
from tests.support.certificates import Certificates
from tests.support.memory_network import info
from tests.support.memory_tls import Recorder, TlsLink, TlsServer


class TlsTests(SynchronousTestCase):
    """Tls"""

    def test_without_openssl(self) -> None:
        """The error names the extra."""
        self.patch(tls, "HAS_TLS", False)
        self.assertIn("natsroute[tls]", str(self.assertRaises(SettingError, Tls().check)))

    def test_a_chain(self) -> None:
        """Further certificates in the file of ours are its chain."""
        made = Certificates(Path(self.mktemp()))
        alice = made.client("alice")
        alice.certificate.write_bytes(alice.certificate.read_bytes() + made.ca.read_bytes())
        Tls(str(made.ca), str(alice.certificate), str(alice.key)).check()

    def test_several_cas(self) -> None:
        made = Certificates(Path(self.mktemp()))
        made.ca.write_bytes(made.ca.read_bytes() + b"and another\n" + made.other_ca.read_bytes())
        Tls(str(made.ca)).check()

    def test_malformed_names(self) -> None:
        for name in ("", "*", "a b", "\u0378.example"):
            self.assertRaises(SettingError, Tls().session, name)

    def test_names(self) -> None:
        for name in ("nats", "nats.example", "bücher.example", "127.0.0.1", "::1"):
            Tls().session(name)

    def test_errors_of_openssl(self) -> None:
        """The text says what to do."""
        for words, meaning in (
            ("tlsv13 alert certificate required", "Set tls_cert_file and tls_key_file"),
            ("wrong version number", "the answer is not TLS"),
            ("something new", "something new"),
        ):
            error = Tls().session("a").error(Failure(SSL.Error([("SSL routines", "", words)])))
            self.assertIsInstance(error, TlsError)
            self.assertIn(meaning, str(error))

    def test_other_errors(self) -> None:
        self.assertIsNone(Tls().session("a").error(Failure(ConnectionRefusedError())))

    def test_an_error_without_text(self) -> None:
        self.assertIsInstance(Tls().session("a").error(Failure(SSL.Error())), TlsError)


class ReceivingTests(SynchronousTestCase):
    """What arrives over TLS."""

    def setUp(self) -> None:
        made = Certificates(Path(self.mktemp()))
        self.server = TlsServer(made.server("a.example"))
        self.session = Tls(str(made.ca)).session("a.example")

    def connect(self, protocol: Any) -> TlsLink:
        """A connection; the handshake is done."""
        link = TlsLink(self.session, self.server, protocol)
        link.exchange()
        self.assertEqual((self.server.version, self.server.asked_for), ("TLSv1.3", "a.example"))
        return link

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
        assert recorder.lost is not None
        self.assertIsInstance(recorder.lost.value, error.ConnectionDone)

    def test_before_a_broken_record(self) -> None:
        """Data before it is delivered. It ends the connection."""
        link = self.connect(recorder := Recorder())
        good, broken = self.server.record(b"good"), self.server.record(b"broken")
        link.receive(good, broken[:-1] + bytes([broken[-1] ^ 1]), self.server.record(b"more"))
        self.assertEqual(recorder.pieces, [b"good"])
        self.assertTrue(link.transport.disconnecting)

    def test_cut_off(self) -> None:
        """The connection is lost without the end of TLS."""
        link = self.connect(recorder := Recorder())
        link.receive(self.server.record(b"first"), self.server.record(b"cut")[:-1])
        link.lose(error.ConnectionLost())
        self.assertEqual(recorder.pieces, [b"first"])
        assert recorder.lost is not None
        self.assertIsInstance(recorder.lost.value, error.ConnectionLost)

    def test_a_protocol_that_aborts(self) -> None:
        """It gets nothing more."""
        link = self.connect(recorder := Recorder())
        recorder.on_data = lambda: recorder.transport.abortConnection()
        link.receive(self.server.record(b"first"))
        link.receive(self.server.record(b"second"), self.server.end())
        self.assertEqual(recorder.pieces, [b"first"])
        self.assertTrue(link.transport.aborted)

    def test_a_protocol_that_raises(self) -> None:
        """The reactor then ends the connection."""
        link = self.connect(recorder := Recorder())
        recorder.on_data = lambda: 1 // 0
        self.assertRaises(ZeroDivisionError, link.receive, self.server.record(b"first"))
        link.lose(error.ConnectionLost())
        assert recorder.lost is not None
        self.assertIsInstance(recorder.lost.value, error.ConnectionLost)

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
