"""natsroute.daemon.operations.http_tls"""

from __future__ import annotations

import os
import shutil
import ssl
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import NatsrouteService, Settings
from natsroute.daemon.operations import http_tls
from natsroute.daemon.operations.http_tls import HttpTls
from natsroute.daemon.options import CommandLine
from natsroute.errors import SettingError
from natsroute.monitoring.http.site import Site
from tests.support.certificates import CertificateFiles, Certificates
from tests.support.http_requests import Transport, responses
from tests.support.log_recorder import LogRecorder
from tests.support.memory_reactor import Reactor
from tests.support.overviews import an_overview


class HttpTlsTests(SynchronousTestCase):
    """The certificate of the HTTP server."""

    def setUp(self) -> None:
        self.certificates = Certificates(Path(self.mktemp()))
        self.files = CertificateFiles(Path(self.mktemp()), Path(self.mktemp()))

    def use(self, files: CertificateFiles) -> None:
        """Renew the certificate."""
        for source, target in zip(files, self.files):
            shutil.copy(source, target)

    def tls(self) -> HttpTls:
        """TLS with these files."""
        return HttpTls(str(self.files.certificate), str(self.files.key), nullcontext)

    def talk(self, server: Any, data: bytes, context: ssl.SSLContext | None = None) -> bytes:
        """What a client receives from a factory."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = context or ssl.create_default_context(cafile=self.certificates.ca)
        client = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        transport = Transport()
        protocol = server.buildProtocol(None)
        protocol.makeConnection(transport)
        received, has_sent = b"", False
        for _ in range(9):
            try:
                client.do_handshake()
                if not has_sent:
                    client.write(data)
                    has_sent = True
                received += client.read(65_536)
            except ssl.SSLWantReadError:
                pass
            if outgoing.pending:
                protocol.dataReceived(outgoing.read())
            incoming.write(transport.value())
            transport.clear()
        self.serial = (client.getpeercert() or {}).get("serialNumber")
        return received

    def test_request(self) -> None:
        """The site answers over TLS."""
        self.use(self.certificates.server())
        site = Site(Clock(), an_overview)
        received = self.talk(self.tls().factory(site), b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        self.assertEqual([response.status for response in responses(received)], [200])

    def test_old_versions(self) -> None:
        """They are refused."""
        self.use(self.certificates.server())
        old = ssl.create_default_context(cafile=self.certificates.ca)
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        factory = self.tls().factory(Site(Clock(), an_overview))
        self.assertRaises(ssl.SSLError, self.talk, factory, b"", old)
        self.assertEqual(self.tls().ssl_context().minimum_version, ssl.TLSVersion.TLSv1_2)

    def serials(self, tls: HttpTls) -> str:
        """The serial number of the certificate that a new connection gets."""
        self.talk(tls.factory(Site(Clock(), an_overview)), b"")
        return str(self.serial)

    def test_renewed(self) -> None:
        """The next connection has the new certificate, on the site and in its stand-in."""
        log = LogRecorder(self)
        self.use(self.certificates.server())
        tls = self.tls()
        before, context = self.serials(tls), tls.ssl_context()
        self.assertIs(tls.ssl_context(), context)
        self.use(self.certificates.server())
        self.assertNotEqual(self.serials(tls), before)
        self.assertIsNot(tls.ssl_context(), context)
        self.assertEqual(len(log.matching("HTTP uses the new certificate")), 1)

    def test_renewed_badly(self) -> None:
        """The old certificate is used until the files are good again, and the log says why, once."""
        log = LogRecorder(self)
        self.use(self.certificates.server())
        tls = self.tls()
        before = self.serials(tls)
        os.unlink(self.files.key)
        self.assertEqual([self.serials(tls), self.serials(tls)], [before, before])
        (line,) = log.lines("error")
        self.assertIn("HTTP goes on with its last certificate: http_tls_key_file = ", line)
        self.use(self.certificates.server())
        self.assertNotEqual(self.serials(tls), before)

    def test_mistakes(self) -> None:
        """They are found at the start; the setting is named, and where it comes from."""
        one, other = self.certificates.server(), self.certificates.server()
        for cert, key, setting, problem in [
            ("nowhere", one.key, "http_tls_cert_file", "No such file"),
            (one.certificate, "nowhere", "http_tls_key_file", "No such file"),
            (one.key, one.key, "http_tls_cert_file", "no readable certificate"),
            (one.certificate, one.certificate, "http_tls_key_file", "no readable private key"),
            (one.certificate, other.key, "http_tls_key_file", "not the key of the certificate"),
        ]:
            options = {"http_listen": "0", "http_tls_cert_file": str(cert), "http_tls_key_file": str(key)}
            settings = Settings.load([CommandLine(options)], {})
            error = self.assertRaises(SettingError, NatsrouteService, settings, reactor=Reactor())
            self.assertEqual((error.setting, error.origin), (setting, f"--{setting}"))
            self.assertIn(problem, str(error))

    def test_not_installed(self) -> None:
        self.patch(http_tls, "HAS_TLS", False)
        error = self.assertRaises(SettingError, HttpTls, "a", "b", nullcontext)
        self.assertIn("pip install 'natsroute[tls]'", str(error))
