"""natsroute.client.transport.endpoints; tests.integration uses it with real servers"""

from __future__ import annotations

from typing import Any

import attrs
from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from natsroute.client.servers import parse_url
from natsroute.client.transport.endpoints import attempt_error, endpoint_for_server
from natsroute.client.transport.tls import Tls
from natsroute.client.transport.websocket import WebSocketEndpoint
from natsroute.errors import HandshakeError, SettingError, TlsError


class AttemptErrorTests(SynchronousTestCase):
    """The same cause has the same text, so it is logged once."""

    def test_reset(self) -> None:
        """The text is the same before and after the connection is made."""
        before = attempt_error(error.getConnectError(ConnectionResetError(104, "Connection reset by peer")))
        self.assertEqual(str(before), Failure(error.ConnectionLost()).getErrorMessage())

    def test_others(self) -> None:
        for other in (error.ConnectionRefusedError(), error.DNSLookupError("x"), ValueError()):
            self.assertIs(attempt_error(other), other)


class EndpointTests(SynchronousTestCase):
    """endpoint_for_server()"""

    def endpoint(self, url: str, tls: Tls = Tls()) -> Any:
        return endpoint_for_server(MemoryReactorClock(), tls, parse_url(url), 2.0, "127.0.0.1")

    def test_tcp(self) -> None:
        """Also with ``tls://``: the protocol starts TLS."""
        for url in ("nats://a", "tls://a"):
            self.assertIsInstance(self.endpoint(url), TCP4ClientEndpoint)
        self.assertIsInstance(
            endpoint_for_server(MemoryReactorClock(), Tls(), parse_url("nats://a"), 2.0, "::1"), TCP6ClientEndpoint
        )

    def test_websocket(self) -> None:
        self.assertIsInstance(self.endpoint("ws://a"), WebSocketEndpoint)

    def test_a_file_that_cannot_be_read(self) -> None:
        """It matters only where the endpoint starts TLS."""
        tls = Tls(ca_file="/no/such/file")
        self.endpoint("tls://a", tls)
        self.assertEqual(self.assertRaises(SettingError, self.endpoint, "wss://a", tls).setting, "tls_ca_file")

    def test_a_failure_of_tls(self) -> None:
        """The error says why there is no TLS, whether the failure itself or its cause is of TLS."""
        of_openssl = SSL.Error([("SSL routines", "", "wrong version number")])
        of_the_handshake = HandshakeError("the connection ended")
        of_the_handshake.__cause__ = of_openssl
        for failure in (of_openssl, of_the_handshake):
            endpoint: Any = self.endpoint("wss://a")
            below = FailingEndpoint(failure)
            connecting = attrs.evolve(endpoint, endpoint=below).connect(Factory())
            self.assertIn("the answer is not TLS", str(self.failureResultOf(connecting, TlsError).value))

    def test_another_failure(self) -> None:
        """It stays as it is."""
        endpoint = attrs.evolve(self.endpoint("wss://a"), endpoint=FailingEndpoint(error.ConnectionRefusedError()))
        self.failureResultOf(endpoint.connect(Factory()), error.ConnectionRefusedError)


@implementer(IStreamClientEndpoint)
class FailingEndpoint:
    """An endpoint that does not connect."""

    def __init__(self, problem: Exception) -> None:
        self._problem = problem

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        return fail(self._problem)
