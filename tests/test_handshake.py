"""natsroute.client.handshake; tests.test_protocol has the handshake as a whole"""

from __future__ import annotations

import json
from itertools import product
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.auth import Credentials
from natsroute.client.handshake import Handshake
from natsroute.client.options import Security
from natsroute.client.transport.tls import Tls, TlsSession
from natsroute.errors import HandshakeError, TlsError
from natsroute.wire.frames import Info


def handshake(credentials: Credentials = Credentials(), **security: Any) -> Handshake:
    return Handshake("test", "1.0", credentials, Security(**security))


class TlsTests(SynchronousTestCase):
    """Whether TLS starts."""

    def test_needs_tls(self) -> None:
        """By what we require, and what the server requires or offers."""
        for required, server_requires, server_offers in product((False, True), repeat=3):
            info = Info(tls_required=server_requires, tls_available=server_offers)
            this = handshake(required=required)
            if required and not (server_requires or server_offers):
                error = self.assertRaises(TlsError, this.needs_tls, info)
                self.assertIn("the server does not offer it", str(error))
            else:
                self.assertIs(this.needs_tls(info), server_requires or required)

    def test_by_transport(self) -> None:
        """The transport has TLS already, or has none whatever INFO says."""
        this = handshake(Credentials(), required=True, by_transport=True, tls=Tls(first=True))
        self.assertFalse(this.begins_with_tls)
        for tls_required in (False, True):
            self.assertFalse(this.needs_tls(Info(tls_required=tls_required)))

    def test_tls_first(self) -> None:
        """TLS starts before INFO, and not again behind it. It is an option of TLS, and does not require TLS."""
        this = handshake(required=True, tls=Tls(first=True))
        self.assertTrue(this.begins_with_tls)
        self.assertFalse(this.needs_tls(Info(tls_required=True)))
        self.assertFalse(handshake(tls=Tls(first=True)).begins_with_tls)
        self.assertFalse(handshake(required=True).begins_with_tls)

    def test_session(self) -> None:
        self.assertIsInstance(handshake(name="a").start_tls(), TlsSession)

    def test_a_file_that_cannot_be_read(self) -> None:
        error = self.assertRaises(TlsError, handshake(tls=Tls(ca_file="/no/such/file"), name="a").start_tls)
        self.assertTrue(str(error).startswith("no TLS: tls_ca_file = '/no/such/file'"), str(error))


class ConnectTests(SynchronousTestCase):
    """CONNECT"""

    def fields(self, command: bytes) -> dict[str, Any]:
        self.assertTrue(command.startswith(b"CONNECT {"))
        self.assertTrue(command.endswith(b"}\r\n"))
        fields: dict[str, Any] = json.loads(command.removeprefix(b"CONNECT "))
        return fields

    def test_fields(self) -> None:
        this = handshake(Credentials(user="u", password="p"))
        fields = self.fields(this.connect(Info(headers=True)))
        expected = {"name": "test", "version": "1.0", "user": "u", "pass": "p", "headers": True, "no_responders": True}
        self.assertLessEqual(expected.items(), fields.items())
        self.assertNotIn("tls_required", fields)

    def test_by_info(self) -> None:
        """Headers where the server has them; TLS if it is required."""
        fields = self.fields(handshake(required=True).connect(Info(headers=False)))
        self.assertEqual((fields["headers"], fields["tls_required"]), (False, True))

    def test_credentials_that_cannot_be_used(self) -> None:
        """The error does not contain them."""
        error = self.assertRaises(HandshakeError, handshake(Credentials(seed="hunter2")).connect, Info())
        self.assertNotIn("hunter2", str(error))
        self.assertIsNone(error.__cause__)

    def test_repr(self) -> None:
        self.assertNotIn("hunter2", repr(handshake(Credentials(user="u", password="hunter2"))))
