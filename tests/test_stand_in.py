"""natsroute.monitoring.http.stand_in: over real sockets, without its thread; tests.integration.test_readyz has that"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.monitoring.http import stand_in
from natsroute.monitoring.http.plain import MAX_HEAD
from natsroute.monitoring.http.security import Access, Login
from natsroute.monitoring.http.stand_in import CONNECTION_TIMEOUT, DEAD_AFTER, MAX_CONNECTIONS, StandIn
from tests.support.certificates import Certificates
from tests.support.http_requests import Response, responses
from tests.support.log_recorder import LogRecorder
from tests.support.waiting import TIMEOUT

PROBE = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class StandInTestCase(SynchronousTestCase):
    """A stand-in that does what it does when the test says so."""

    def setUp(self) -> None:
        self.now = 100.0
        self.silent = 3.0
        self.code = ("nats:a", "routes.py:7")
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listening.close)

    def start(self, access: Access = Access(None, local=True), context: ssl.SSLContext | None = None) -> None:
        """The reactor is blocked."""
        pulse: Any = self
        self.stand_in = StandIn(pulse, self.listening, access, lambda: self.code, seconds=lambda: self.now)
        self.addCleanup(self.stand_in.stop)
        self.stand_in.begin(context)
        self.addCleanup(self.stand_in.leave)

    def look(self) -> float:
        """How long the reactor is silent: this is also the pulse."""
        return self.silent

    def connect(self) -> socket.socket:
        """A client."""
        client = socket.create_connection(self.listening.getsockname(), timeout=TIMEOUT)
        self.addCleanup(client.close)
        return client

    def accept(self, client: socket.socket) -> socket.socket:
        """Let the stand-in accept a client."""
        before = len(self.stand_in._connections)
        while len(self.stand_in._connections) == before:
            self.stand_in.turn(1)
        return client

    def received(self, client: socket.socket) -> bytes:
        """All that a client receives."""
        data = b""
        client.setblocking(False)
        while True:
            self.stand_in.turn(0.001)
            try:
                new = client.recv(65_536)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                return data
            if not new:
                return data
            data += new

    def answer(self, data: bytes) -> Response:
        """The response to bytes."""
        client = self.accept(self.connect())
        client.sendall(data)
        (response,) = responses(self.received(client), head=data.startswith(b"HEAD"))
        return response


class AnswerTests(StandInTestCase):
    """What it says."""

    def test_readyz(self) -> None:
        """What blocks the reactor, since when, and where it is."""
        self.start()
        response = self.answer(PROBE)
        text = "the reactor has been blocked for 3.0 s by event route nats:a, which is at routes.py:7"
        reason = {"code": "blocked_reactor", "about": "nats:a", "text": text, "process": 0}
        self.assertEqual((response.status, response.json), (503, {"ready": False, "reasons": [reason]}))
        self.assertEqual((response.headers["connection"], response.headers["cache-control"]), ("close", "no-store"))

    def test_no_event_route(self) -> None:
        self.start()
        self.code = ("", "hooks.py:3")
        (reason,) = self.answer(PROBE).json["reasons"]
        self.assertEqual(reason["about"], "")
        self.assertIn("by something that is no event route, which is at hooks.py:3", reason["text"])
        self.code = ("", "")
        (reason,) = self.answer(PROBE).json["reasons"]
        self.assertEqual(reason["text"], "the reactor has been blocked for 3.0 s")

    def test_livez(self) -> None:
        """A restart is worse than waiting, for a time."""
        self.start()
        probe = PROBE.replace(b"readyz", b"livez?x")
        self.assertEqual(self.answer(probe).json, {"alive": True, "reasons": []})
        self.silent = DEAD_AFTER
        response = self.answer(probe)
        self.assertEqual((response.status, response.json["reasons"][0]["code"]), (503, "blocked_reactor"))

    def test_other_paths(self) -> None:
        """They cannot be served, and it says why."""
        self.start()
        for path in (b"", b"ledger", b"metrics", b"x"):
            response = self.answer(PROBE.replace(b"readyz", path))
            self.assertEqual((response.status, response.json["reasons"][0]["code"]), (503, "blocked_reactor"))

    def test_head(self) -> None:
        self.start()
        response = self.answer(PROBE.replace(b"GET", b"HEAD"))
        self.assertEqual((response.status, response.body), (503, b""))
        self.assertGreater(int(response.headers["content-length"]), 100)

    def test_login(self) -> None:
        """It protects the same as on the site."""
        self.start(Access(Login("u", "p"), local=True))
        self.assertEqual(self.answer(PROBE).json["reasons"], [{"code": "blocked_reactor"}])
        self.assertEqual(self.answer(PROBE.replace(b"readyz", b"ledger")).status, 401)
        with_login = PROBE.replace(b"Host", b"Authorization: Basic dTpw\r\nHost")
        self.assertEqual(self.answer(with_login).json["reasons"][0]["about"], "nats:a")

    def test_refusals(self) -> None:
        """The same as on the site; and what is no request."""
        self.start()
        for data, status in [
            (PROBE.replace(b"GET", b"POST"), 405),
            (PROBE.replace(b"127.0.0.1", b"evil.example"), 421),
            (PROBE.replace(b"/readyz", b"readyz"), 400),
            (b"GET / HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/1.0\r\n\r\n", 503),
            (b"GET /\r\n\r\n", 400),
            (b"\r\n\r\n", 400),
            (b"\x16\x03\x01\r\n\r\n", 400),
            (PROBE.replace(b"Host", b"Ho st"), 400),
            (b"GET / HTTP/1.1\r\nA: " + b"a" * MAX_HEAD, 400),
            (PROBE + b"x" * 1000, 503),
        ]:
            self.assertEqual(self.answer(data).status, status, data[:40])

    def test_the_reactor_is_back(self) -> None:
        """Whoever is connected is still answered. Others are left to the reactor."""
        self.start()
        client = self.accept(self.connect())
        self.silent = 0.0
        late = self.connect()
        client.sendall(PROBE)
        (response,) = responses(self.received(client))
        self.assertIn("was blocked until a moment ago", response.json["reasons"][0]["text"])
        client.close()
        while self.stand_in.turn(1):
            pass
        accepted, _ = self.listening.accept()
        self.assertEqual(accepted.getpeername(), late.getsockname())
        accepted.close()


class LimitTests(StandInTestCase):
    """Hostile clients."""

    def test_time(self) -> None:
        """A byte now and then gives no more time."""
        self.start()
        client = self.accept(self.connect())
        for byte in PROBE[:9]:
            client.sendall(bytes([byte]))
            self.stand_in.turn(0.01)
            self.now += CONNECTION_TIMEOUT / 10
        self.assertEqual(len(self.stand_in._connections), 1)
        self.now += CONNECTION_TIMEOUT
        self.assertEqual(self.received(client), b"")
        self.assertEqual(self.stand_in._connections, [])

    def test_a_client_that_does_not_close(self) -> None:
        """The time ends also after the response."""
        self.start()
        client = self.accept(self.connect())
        client.sendall(PROBE)
        self.assertTrue(self.received(client))
        self.assertTrue(self.stand_in.turn(0))
        self.now += CONNECTION_TIMEOUT
        self.stand_in.turn(0)
        self.assertEqual(self.stand_in._connections, [])

    def test_many(self) -> None:
        """However many say nothing, a probe is answered."""
        self.start()
        for _ in range(MAX_CONNECTIONS):
            self.accept(self.connect())
        client = self.connect()
        client.sendall(PROBE)
        (response,) = responses(self.received(client))
        self.assertEqual(response.status, 503)
        self.assertLessEqual(len(self.stand_in._connections), MAX_CONNECTIONS)

    def test_one_that_speaks_too_late(self) -> None:
        """It makes room in the same turn in which it could be read."""
        self.start()
        clients = [self.accept(self.connect()) for _ in range(MAX_CONNECTIONS)]
        late = self.connect()
        for client in clients:
            client.sendall(PROBE[:5])
        self.stand_in._selector.select(1)
        while late.getsockname() not in [one.socket.getpeername() for one in self.stand_in._connections]:
            self.stand_in.turn(1)
        self.assertEqual(self.received(clients[0]), b"")
        late.sendall(PROBE)
        (response,) = responses(self.received(late))
        self.assertEqual(response.status, 503)

    def test_no_descriptors(self) -> None:
        """It waits instead of asking again at once."""
        self.start()
        self.connect()

        class Listening:
            def accept(self) -> None:
                raise OSError(24, "Too many open files")

        self.patch(stand_in, "LOOK_EVERY", 0.001)
        listening: Any = Listening()
        real, self.stand_in._listening = self.stand_in._listening, listening
        self.stand_in._accept()
        self.stand_in._listening = real
        self.assertEqual(self.stand_in._connections, [])

    def test_a_client_that_resets(self) -> None:
        self.start()
        client = self.accept(self.connect())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        while self.stand_in._connections:
            self.stand_in.turn(1)


class TlsTests(StandInTestCase):
    """With TLS."""

    def contexts(self) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        """Those of the server and of a client."""
        certificates = Certificates(Path(self.mktemp()))
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(*certificates.server())
        return server, ssl.create_default_context(cafile=certificates.ca)

    def test_tls(self) -> None:
        server, client_side = self.contexts()
        self.start(context=server)
        client = self.accept(self.connect())
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_side.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        data, has_sent = b"", False
        client.settimeout(0.01)
        for _ in range(int(TIMEOUT / 0.01)):
            try:
                if not has_sent:
                    tls.do_handshake()
                    tls.write(PROBE)
                    has_sent = True
                new = tls.read(65_536)
                if not new:
                    break
                data += new
            except ssl.SSLWantReadError:
                pass
            if outgoing.pending:
                client.sendall(outgoing.read())
            self.stand_in.turn(0)
            try:
                received = client.recv(65_536)
            except TimeoutError:
                continue
            incoming.write(received) if received else incoming.write_eof()
        (response,) = responses(data)
        self.assertEqual((response.status, response.json["ready"]), (503, False))

    def test_gone_before_the_handshake(self) -> None:
        """A client that sends something and is gone at once ends nothing but its own connection."""
        server, _ = self.contexts()
        self.start(context=server)
        client = self.connect()
        client.sendall(PROBE)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        accepted: list[None] = []
        accept = self.stand_in._accept
        self.patch(self.stand_in, "_accept", lambda: accepted.append(accept()))
        while not accepted or self.stand_in._connections:
            self.stand_in.turn(1)

        class Context:
            def wrap_socket(self, accepted: socket.socket, **options: bool) -> ssl.SSLSocket:
                raise ssl.SSLError("Closed before TLS handshake")

        context: Any = Context()
        self.stand_in._context = context
        client = self.connect()
        self.assertEqual(self.received(client), b"")

    def test_no_tls(self) -> None:
        """A client that does not speak it is closed."""
        server, _ = self.contexts()
        self.start(context=server)
        client = self.accept(self.connect())
        client.sendall(PROBE)
        self.assertNotIn(b"HTTP/1.1 5", self.received(client))


class FailureTests(StandInTestCase):
    """A stand-in that cannot take over."""

    def test_logged_once(self) -> None:
        log = LogRecorder(self)

        def tls() -> ssl.SSLContext:
            raise ValueError

        pulse: Any = self
        one = StandIn(pulse, self.listening, Access(None, local=True), lambda: self.code, tls)
        for _ in range(3):
            one._take_over()
        self.assertEqual(len(log.lines("critical")), 1)
        one.stop()
        self.flushLoggedErrors(ValueError)
