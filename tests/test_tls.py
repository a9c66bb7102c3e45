"""natsroute.client.transport.tls without a server; tests.integration.test_tls has the rest"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from OpenSSL import SSL
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.transport import tls
from natsroute.client.transport.tls import Tls, read_key
from natsroute.client.transport.tls_connection import TlsConnection
from natsroute.errors import SettingError, TlsError
from tests.support.certificates import CertificateFiles, Certificates
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

    def test_a_key_of_another_certificate(self) -> None:
        made = Certificates(Path(self.mktemp()))
        alice = made.with_wrong_key(made.client("alice"))
        error = self.assertRaises(SettingError, Tls(str(made.ca), str(alice.certificate), str(alice.key)).check)
        self.assertEqual(error.setting, "tls_key_file")

    def test_a_certificate_that_cannot_be_used(self) -> None:
        """Its key is too short. The error names the certificate, because the key fits."""
        made = Certificates(Path(self.mktemp()))
        alice = made.weak_client("alice")
        error = self.assertRaises(SettingError, Tls(str(made.ca), str(alice.certificate), str(alice.key)).check)
        self.assertEqual(error.setting, "tls_cert_file")
        self.assertIn("cannot be used: ee key too small", str(error))

    def test_a_file_that_goes_meanwhile(self) -> None:
        made = Certificates(Path(self.mktemp()))
        alice = made.client("alice")
        self.patch(tls, "read_key", lambda setting, path: alice.certificate.unlink())
        error = self.assertRaises(SettingError, Tls(str(made.ca), str(alice.certificate), str(alice.key)).check)
        self.assertIn("No such file", str(error))

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


class ReadKeyTests(SynchronousTestCase):
    """read_key()"""

    def read(self, pem: bytes) -> Any:
        path = Path(self.mktemp())
        path.write_bytes(pem)
        return read_key("tls_key_file", str(path))

    def test_kinds(self) -> None:
        """Other blocks of the file make no difference."""
        certificate = Certificates(Path(self.mktemp())).ca.read_bytes()
        keys = [ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)]
        for key in keys:
            for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
                pem = key.private_bytes(Encoding.PEM, form, NoEncryption())
                for text in (pem, certificate + pem, pem + certificate, b"Bag Attributes\n" + pem):
                    found = self.read(text).to_cryptography_key()
                    self.assertEqual(found.private_numbers(), key.private_numbers())
        ed = ed25519.Ed25519PrivateKey.generate()
        self.read(ed.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def test_a_passphrase(self) -> None:
        """It is not asked for at the terminal."""
        key = rsa.generate_private_key(65537, 2048)
        for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
            pem = key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"open sesame"))
            self.assertIn("it has a passphrase", str(self.assertRaises(SettingError, self.read, pem)))

    def test_no_key(self) -> None:
        """Neither is one with which nothing can be signed."""
        made = Certificates(Path(self.mktemp()))
        exchange = x25519.X25519PrivateKey.generate()
        pem = exchange.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for text in (b"", b"key", made.ca.read_bytes(), made.client("a").key.read_bytes()[:-50], pem):
            self.assertIn("no readable private key", str(self.assertRaises(SettingError, self.read, text)))


class VerificationTests(SynchronousTestCase):
    """The server's certificate, by a real handshake in memory. Nothing is sent to a server that is refused."""

    version = ssl.TLSVersion.TLSv1_3

    def setUp(self) -> None:
        self.made = Certificates(Path(self.mktemp()))

    def connect(self, files: CertificateFiles, name: str = "a.example", tls: Tls | None = None) -> TlsLink:
        """A connection to a server with these files; the handshake is done, or has failed."""
        self.session: Any = (tls or Tls(str(self.made.ca))).session(name)
        self.server = TlsServer(files, maximum_version=self.version)
        recorder = Recorder()
        link = TlsLink(self.session, self.server, recorder)
        recorder.transport.write(b"CONNECT")
        link.exchange()
        return link

    def assert_accepted(self, files: CertificateFiles, name: str = "a.example", tls: Tls | None = None) -> None:
        self.connect(files, name, tls)
        self.assertEqual(self.server.received, b"CONNECT")

    def assert_refused(
        self, problem: str, files: CertificateFiles, name: str = "a.example", tls: Tls | None = None
    ) -> str:
        """Returns the whole error."""
        link = self.connect(files, name, tls)
        self.assertEqual(self.server.received, b"")
        self.assertTrue(link.transport.disconnecting)
        link.lose()
        found = str(self.session.error(link.protocol.lost))
        self.assertIn(problem, found)
        return found

    def test_names(self) -> None:
        made = self.made
        self.assert_accepted(made.server("a.example"))
        self.assertEqual(self.server.asked_for, "a.example")
        self.assert_accepted(made.server("a.example", "b.example"), "B.example")
        self.assert_accepted(made.server("*.example.org"), "a.example.org")
        self.assert_accepted(made.server("xn--bcher-kva.example"), "b\u00fccher.example")
        self.assertEqual(self.server.asked_for, "xn--bcher-kva.example")

    def test_addresses(self) -> None:
        """An address is not sent as a name."""
        for address in ("127.0.0.1", "::1"):
            self.assert_accepted(self.made.server(address), address)
            self.assertIsNone(self.server.asked_for)

    def test_other_names(self) -> None:
        """The error says whom the certificate is for."""
        for names, name in (
            (["b.example"], "a.example"),
            (["b.example", "c.example"], "127.0.0.1"),
            (["127.0.0.1"], "127.0.0.2"),
            (["127.0.0.1"], "a.example"),
            (["*.example.org"], "example.org"),
            (["*.example.org"], "a.b.example.org"),
        ):
            error = self.assert_refused(f"is for {', '.join(names)}, not for {name}. ", self.made.server(*names), name)
            self.assertIn("set tls_expected_hostname", error)

    def test_the_common_name(self) -> None:
        """It does not count."""
        self.assert_refused("is for nobody, not for a.example", self.made.client("a.example"))

    def test_an_expected_name(self) -> None:
        tls = Tls(str(self.made.ca), expected_hostname="b.example")
        self.assert_accepted(self.made.server("b.example"), "a.example", tls)
        self.assert_refused("is for a.example, not for b.example", self.made.server("a.example"), "a.example", tls)

    def test_a_certificate_that_cannot_be_shown(self) -> None:
        """Python does not give it, or its names are malformed. The name of the connection is in the error."""
        self.patch(TlsConnection, "_refused_certificate", lambda connection: None)
        self.assert_refused("is not for a.example. If it", self.made.server("b.example"))
        self.patch(TlsConnection, "_refused_certificate", lambda connection: object())
        self.assert_refused("is not for a.example. If it", self.made.server("b.example"))

    def test_refused(self) -> None:
        made = self.made
        for problem, files in (
            ("it has expired", made.expired_server("a.example")),
            ("it is not valid yet", made.future_server("a.example")),
            ("it is self-signed", made.self_signed_server("a.example")),
            ("it comes from a CA that is not trusted", made.server_of_other_ca("a.example")),
        ):
            self.assert_refused(f"the server's certificate is refused: {problem}", files)

    def environment(self, **variables: str) -> None:
        """Where OpenSSL looks for the system's CAs; set for OpenSSL too, unlike a patched ``os.environ``."""
        for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            if name in os.environ:
                self.addCleanup(os.environ.__setitem__, name, os.environ.pop(name))
        os.environ.update(variables)
        for name in variables:
            self.addCleanup(os.environ.pop, name, None)

    def test_the_system(self) -> None:
        """Its CAs are trusted if no other is named."""
        files = self.made.server("a.example")
        self.environment(SSL_CERT_FILE=str(self.made.ca))
        self.assert_accepted(files, tls=Tls())
        self.environment(SSL_CERT_FILE=str(self.made.other_ca))
        self.assert_refused("not trusted", files, tls=Tls())

    def test_the_system_changes(self) -> None:
        """Its CAs are read once, and again after a change: reading them takes long."""
        cas = Path(self.mktemp())
        cas.write_bytes(self.made.other_ca.read_bytes())
        self.environment(SSL_CERT_FILE=str(cas))
        files = self.made.server("a.example")
        read: list[str] = []
        trust = tls._trust_the_system
        self.patch(tls, "_trust_the_system", lambda context: (read.append("CAs"), trust(context)))
        for _ in range(2):
            self.assert_refused("not trusted", files, tls=Tls())
        self.assertEqual(read, ["CAs"])
        cas.write_bytes(self.made.ca.read_bytes() + b"\n")
        self.assert_accepted(files, tls=Tls())
        self.assertEqual(read, ["CAs"] * 2)

    def test_files_are_read_once(self) -> None:
        """They are read again when one has changed: CAs take long, and many connections may be made at once."""
        files = self.made.server("a.example")
        cas, cert, key = (Path(self.mktemp()) for _ in range(3))
        self.environment(SSL_CERT_FILE=str(self.made.ca))
        read: list[str] = []
        load = Tls._read_context
        self.patch(Tls, "_read_context", lambda tls: (read.append("files"), load(tls))[1])
        for given in ({}, {"ca_file": str(cas)}):
            mine = {"cert_file": str(cert), "key_file": str(key)}
            cas.write_bytes(self.made.ca.read_bytes())
            self.own_certificate("alice", cert, key)
            read.clear()
            for _ in range(3):
                self.assert_known_as("alice", files, Tls(**given, **mine))
            self.assertEqual(read, ["files"])
            self.own_certificate("her successor", cert, key)
            for _ in range(3):
                self.assert_known_as("her successor", files, Tls(**given, **mine))
            self.assertEqual(read, ["files"] * 2)
            if given:
                cas.write_bytes(self.made.other_ca.read_bytes())
            else:
                self.environment(SSL_CERT_FILE=str(self.made.other_ca))
            self.assert_refused("not trusted", files, tls=Tls(**given, **mine))

    def test_files_that_cannot_be_used_any_more(self) -> None:
        """What was read before is not used."""
        alice = self.made.client("alice")
        tls = Tls(str(self.made.ca), str(alice.certificate), str(alice.key))
        tls.check()
        for path in (alice.key, alice.certificate, self.made.ca):
            content = path.read_bytes()
            path.write_bytes(b"")
            self.assertRaises(SettingError, tls.check)
            self.assertRaises(SettingError, tls.session, "a.example")
            path.unlink()
            self.assertRaises(SettingError, tls.check)
            path.write_bytes(content)
            tls.check()

    def test_files_that_change_while_they_are_read(self) -> None:
        """The next connection has the new ones."""
        alice, successor = self.made.client("alice"), self.made.client("her successor")
        files = self.made.server("a.example")
        tls = Tls(str(self.made.ca), str(alice.certificate), str(alice.key))
        load = Tls._load_own_certificate

        def renewed(tls: Tls, context: ssl.SSLContext) -> None:
            load(tls, context)
            alice.certificate.write_bytes(successor.certificate.read_bytes())
            alice.key.write_bytes(successor.key.read_bytes())

        patched = self.patch(Tls, "_load_own_certificate", renewed)
        self.assert_known_as("alice", files, tls)
        patched.restore()
        self.assert_known_as("her successor", files, tls)

    def test_contexts_are_bounded(self) -> None:
        """The ones that were not used for longest are forgotten."""
        for number in range(tls._MAX_CONTEXTS):
            Tls(str(self.made.ca), expected_hostname=f"a{number}.example").session("a")
        first = Tls(str(self.made.ca), expected_hostname="a0.example")
        first.session("a")
        Tls(str(self.made.ca), expected_hostname="b.example").session("a")
        self.assertEqual(len(tls._contexts), tls._MAX_CONTEXTS)
        self.assertIn(first, tls._contexts)
        self.assertNotIn(Tls(str(self.made.ca), expected_hostname="a1.example"), tls._contexts)

    def own_certificate(self, name: str, cert: Path, key: Path) -> None:
        """Put a client certificate with this name into the files."""
        made = self.made.client(name)
        cert.write_bytes(made.certificate.read_bytes())
        key.write_bytes(made.key.read_bytes())

    def assert_known_as(self, name: str, files: CertificateFiles, tls: Tls) -> None:
        """The server sees our certificate, with this name."""
        self.session = tls.session("a.example")
        self.server = TlsServer(files, client_ca=str(self.made.ca), maximum_version=self.version)
        TlsLink(self.session, self.server, Recorder()).exchange()
        assert self.server.peer is not None
        self.assertIn(name, str(self.server.peer["subject"]))

    def test_a_python_that_does_not_find_the_system(self) -> None:
        """The CAs are in another file. A variable that says where they are counts more."""
        nowhere = self.mktemp()
        paths: Any = (None, None, "SSL_CERT_FILE", nowhere, "SSL_CERT_DIR", nowhere)
        self.patch(ssl, "get_default_verify_paths", lambda: ssl.DefaultVerifyPaths(*paths))
        self.patch(tls, "_CA_FILES", (nowhere, str(self.made.ca)))
        files = self.made.server("a.example")
        self.environment()
        self.assert_accepted(files, tls=Tls())
        self.environment(SSL_CERT_FILE=str(self.made.other_ca))
        self.assert_refused("not trusted", files, tls=Tls())

    def test_our_certificate(self) -> None:
        """It is sent with its chain to a server that asks for one."""
        alice = self.made.client("alice")
        for mine in ({}, {"cert_file": str(alice.certificate), "key_file": str(alice.key)}):
            self.session = Tls(str(self.made.ca), **mine).session("a.example")
            self.server = TlsServer(
                self.made.server("a.example"), client_ca=str(self.made.ca), maximum_version=self.version
            )
            link = TlsLink(self.session, self.server, Recorder())
            link.exchange()
            if mine:
                assert self.server.peer is not None
                self.assertIn("alice", str(self.server.peer["subject"]))
            else:
                link.lose()
                self.assertIn("tls_cert_file", str(self.session.error(link.protocol.lost)))

    def test_old_versions(self) -> None:
        self.session = Tls(str(self.made.ca)).session("a.example")
        server = TlsServer(
            self.made.server("a.example"),
            ciphers="ALL:@SECLEVEL=0",
            minimum_version=ssl.TLSVersion.TLSv1,
            maximum_version=ssl.TLSVersion.TLSv1_1,
        )
        link = TlsLink(self.session, server, Recorder())
        link.exchange()
        link.lose()
        self.assertIn("natsroute requires TLS 1.2", str(self.session.error(link.protocol.lost)))

    def test_offered_versions(self) -> None:
        """TLS 1.3 and 1.2, whatever OpenSSL's default is."""
        link = TlsLink(Tls().session("a.example"), TlsServer(self.made.server()), Recorder())
        self.assertIn(b"\x00\x2b\x00\x05\x04\x03\x04\x03\x03", link.transport.sent(), "supported_versions")

    def test_no_tls(self) -> None:
        link = TlsLink(Tls().session("a.example"), TlsServer(self.made.server()), recorder := Recorder())
        link.receive(b"INFO {}\r\n")
        link.lose()
        assert recorder.lost is not None
        self.assertIn("the answer is not TLS", str(Tls().session("a").error(recorder.lost)))


class OlderVerificationTests(VerificationTests):
    """The same with TLS 1.2."""

    version = ssl.TLSVersion.TLSv1_2
