"""natsroute.client.transport.websocket with a real nats-server"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.resource import NoResource
from twisted.web.server import Site

from natsroute.client.attempt import NatsFactory
from natsroute.client.protocol import NatsProtocol
from natsroute.client.transport.websocket import WebSocketEndpoint
from natsroute.client.transport.websocket_socket import HAS_AUTOBAHN
from natsroute.errors import HandshakeError
from tests.support.certificates import Certificates
from tests.support.log_recorder import LogRecorder
from tests.support.nats_server import NatsServer
from tests.support.waiting import TIMEOUT, until


class Collector(Protocol):
    """Collects the bytes that come."""

    def __init__(self) -> None:
        self.data = b""
        self.lost: Deferred[list[Failure]] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback([reason])


class WebSocketTestCase(TestCase):
    """
    NatsProtocol over a WebSocketEndpoint.

    :cvar websocket: the ``websocket`` block of the server's configuration.
    """

    websocket = "no_tls: true"

    def setUp(self) -> Deferred[None]:
        from twisted.internet import reactor

        if not HAS_AUTOBAHN:
            self.skipTest("autobahn is not installed")
        self.reactor: Any = reactor
        self.log = LogRecorder(self)
        self.server = NatsServer(self.reactor, "max_payload: 2MB", websocket=self.websocket)
        self.addCleanup(self.server.stop)
        return Deferred.fromCoroutine(self.server.start())

    def endpoint(self, port: int | None = None, timeout: float = TIMEOUT) -> WebSocketEndpoint:
        port = port or self.server.websocket_port
        below = HostnameEndpoint(self.reactor, "127.0.0.1", port)
        return WebSocketEndpoint(self.reactor, below, url=f"ws://127.0.0.1:{port}/", timeout=timeout)

    async def connect(self, endpoint: Any = None) -> NatsProtocol:
        """Connect a protocol, and wait until it is ready."""
        factory = NatsFactory(lambda: NatsProtocol(self.reactor, name="x", version="1"))
        protocol: NatsProtocol = await (endpoint or self.endpoint()).connect(factory)
        self.addCleanup(protocol.closed.addErrback, lambda _: None)
        self.addCleanup(protocol.close)
        await protocol.ready
        return protocol

    async def refused(self, port: int, timeout: float = TIMEOUT) -> str:
        """The connection fails; returns the text of the HandshakeError."""
        return str(await self.assertFailure(self.endpoint(port, timeout).connect(Factory()), HandshakeError))

    def listen(self, factory: Any) -> int:
        """Start a server other than nats-server; returns its port."""
        port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number


class RealServerTests(WebSocketTestCase):
    """What goes over the WebSocket."""

    async def test_handshake(self) -> None:
        protocol = await self.connect()
        self.assertEqual(protocol.info.max_payload, 2 * 1024 * 1024)
        await protocol.ping()
        self.assertEqual([event["log_namespace"] for event in self.log.events if "autobahn" in str(event)], [])

    async def test_a_large_payload(self) -> None:
        """1 MiB of any bytes there and back, and then as much as the server takes."""
        arrived: list[Any] = []
        protocol = await self.connect()
        protocol.sub("large", 1, arrived.append)
        for size in (1024 * 1024, 2 * 1024 * 1024):
            payload = os.urandom(size)
            protocol.pub("large", payload)
            await until(lambda: arrived, self.reactor)
            self.assertTrue(arrived.pop().data == payload, "the payload has changed")

    async def test_many_messages(self) -> None:
        """20,000 messages in order, with sizes around those at which WebSocket encodes a length differently."""
        arrived: list[bytes] = []
        protocol = await self.connect()
        protocol.sub("many", 1, lambda msg: arrived.append(msg.data))
        sent = [b"%d " % number + b"x" * (number % 300) for number in range(20_000)]
        for payload in sent:
            protocol.pub("many", payload)
        await protocol.ping()
        await until(lambda: len(arrived) >= len(sent), self.reactor)
        self.assertTrue(arrived == sent, "not in order")

    async def test_pause_and_resume(self) -> None:
        """While reading is paused nothing comes. Then everything comes."""
        arrived: list[int] = []
        reader = await self.connect()
        writer = await self.connect()
        reader.sub("a", 1, lambda msg: arrived.append(len(msg.data)))
        await reader.ping()
        reader.pause()
        for _ in range(200):
            writer.pub("a", b"x" * 10_000)
        await writer.ping()
        await deferLater(self.reactor, 0.2)
        self.assertEqual(arrived, [])
        reader.resume()
        await until(lambda: arrived == [10_000] * 200, self.reactor)

    async def test_close(self) -> None:
        """Everything that was written goes out, also if there is something left to read."""
        arrived: list[Any] = []
        reader = await self.connect()
        reader.sub("a", 1, arrived.append)
        await reader.ping()
        writer = await self.connect()
        writer.sub("a", 1, lambda msg: None)
        for _ in range(1_000):
            writer.pub("a", b"x" * 10_000)
        began = self.reactor.seconds()
        writer.close()
        self.assertIn("this side closed the connection", str(await writer.closed))
        self.assertLess(self.reactor.seconds() - began, TIMEOUT / 2, "the server did not close too")
        await until(lambda: len(arrived) == 1_000, self.reactor)

    async def test_killed(self) -> None:
        protocol = await self.connect()
        self.server.kill()
        self.assertTrue(str(await protocol.closed))

    async def test_stopped(self) -> None:
        """The reason is what the server says, in NATS or in WebSocket."""
        protocol = await self.connect()
        self.server.stop()
        self.assertIn("Server Shutdown".lower(), str(await protocol.closed).lower())

    async def test_ipv6(self) -> None:
        server = NatsServer(self.reactor, host="::1", websocket=self.websocket)
        self.addCleanup(server.stop)
        try:
            await server.start()
        except Exception:
            self.skipTest("there is no IPv6 here")
        below = HostnameEndpoint(self.reactor, "::1", server.websocket_port)
        url = f"ws://[::1]:{server.websocket_port}"
        await self.connect(endpoint=WebSocketEndpoint(self.reactor, below, url=url, timeout=TIMEOUT))


class OtherServerTests(WebSocketTestCase):
    """Servers that do not offer NATS over WebSocket."""

    async def test_the_port_for_plain_clients(self) -> None:
        self.assertIn("the response is not HTTP: b'INFO {", await self.refused(self.server.port))

    async def test_a_web_server(self) -> None:
        port = self.listen(Site(NoResource()))
        self.assertIn("did not accept the WebSocket: HTTP 404 Not Found", await self.refused(port))

    async def test_silence(self) -> None:
        port = self.listen(Factory.forProtocol(Protocol))
        self.assertEqual(await self.refused(port, 0.1), "no response to the WebSocket handshake within 0.1 s")


class SecureServerTests(WebSocketTestCase):
    """wss"""

    def setUp(self) -> Deferred[None]:
        self.certificates = Certificates(Path(self.mktemp()))
        files = self.certificates.server()
        self.websocket = f'tls {{ cert_file: "{files.certificate}", key_file: "{files.key}" }}'
        return super().setUp()

    def secure_endpoint(self, ca: Path) -> WebSocketEndpoint:
        port = self.server.websocket_port
        tls = optionsForClientTLS("localhost", trustRoot=Certificate.loadPEM(ca.read_bytes()))
        below = wrapClientTLS(tls, HostnameEndpoint(self.reactor, "127.0.0.1", port))
        return WebSocketEndpoint(self.reactor, below, url=f"wss://localhost:{port}", timeout=TIMEOUT)

    async def test_there_and_back(self) -> None:
        """Without NatsProtocol, so that its own handling of TLS does not matter."""
        protocol = await self.secure_endpoint(self.certificates.ca).connect(Factory.forProtocol(Collector))
        assert isinstance(protocol, Collector)
        transport: Any = protocol.transport
        transport.write(b'CONNECT {"verbose": false}\r\nSUB a 1\r\nPUB a 1048576\r\n' + b"x" * 1048576 + b"\r\n")
        await until(lambda: protocol.data.endswith(b"x\r\n"), self.reactor)
        self.assertTrue(protocol.data.startswith(b"INFO {"))
        self.assertIn(b"\r\nMSG a 1 1048576\r\n" + b"x" * 1048576 + b"\r\n", protocol.data)
        transport.loseConnection()
        (reason,) = await protocol.lost
        # The server closes TCP after the WebSocket. If that is done before our close_notify arrives, TCP is reset.
        self.assertIsInstance(reason.value, (ConnectionDone, ConnectionLost))

    async def test_without_tls(self) -> None:
        """The error has what the server says."""
        text = await self.refused(self.server.websocket_port)
        self.assertIn("HTTP 400 Bad Request: Client sent an HTTP request to an HTTPS server", text)

    async def test_a_certificate_that_is_not_trusted(self) -> None:
        """The cause of the error is the error of TLS."""
        connecting = self.secure_endpoint(self.certificates.other_ca).connect(Factory())
        error = await self.assertFailure(connecting, HandshakeError)
        self.assertIn("certificate verify failed", repr(error.__cause__))
