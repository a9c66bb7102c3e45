"""natsroute.client.transport.tls without a server; tests.integration.test_tls has the rest"""

from __future__ import annotations

from pathlib import Path

from OpenSSL import SSL
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.transport import tls
from natsroute.client.transport.tls import Tls
from natsroute.errors import SettingError, TlsError
from tests.support.certificates import Certificates


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
