"""natsroute.admin.server"""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.admin.methods import Methods
from natsroute.admin.rpc import Code, Request
from natsroute.admin.server import CLIENT_TIMEOUT, MAX_CONNECTIONS, MAX_REQUEST, AdminFactory, AdminProtocol
from tests.support.waiting import run_one_call


class Transport(StringTransportWithDisconnection):
    """A transport that closes when it is told to, and remembers whether that was an abort."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()
        self.protocol.connectionLost(Failure(ConnectionDone()))


class AdminServerTests(SynchronousTestCase):
    """Connections of clients."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.methods = Methods()
        self.calls: list[str] = []
        self.methods.add("echo", self.echo, required={"text": str})
        self.factory = AdminFactory(self.clock, self.methods, lambda transport: os.geteuid())

    def echo(self, params: Any) -> str:
        """A method that returns its text."""
        text: str = params["text"]
        self.calls.append(text)
        return text

    def connect(self) -> tuple[AdminProtocol, Transport]:
        """A new connection."""
        protocol = self.factory.buildProtocol(None)
        transport = Transport()
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return protocol, transport

    def answers(self, transport: Transport) -> list[Any]:
        """The answers so far: results, or codes of errors."""
        lines = [json.loads(line) for line in transport.value().splitlines()]
        return [line["result"] if "result" in line else line["error"]["code"] for line in lines]

    def request(self, text: str, *, wants_answer: bool = True) -> bytes:
        """A request of ``echo``."""
        return Request("echo", {"text": text}, 1, wants_answer).line()

    def test_pieces(self) -> None:
        """However the bytes come."""
        data = self.request("a") + b"\n  \r\n" + self.request("b")
        for cut in range(len(data)):
            protocol, transport = self.connect()
            protocol.dataReceived(data[:cut])
            protocol.dataReceived(data[cut:])
            self.clock.pump([0] * 3)
            self.assertEqual(self.answers(transport), ["a", "b"], cut)
            transport.loseConnection()

    def test_one_request_a_turn(self) -> None:
        """Many requests in one piece do not keep the reactor."""
        protocol, _ = self.connect()
        protocol.dataReceived(self.request("a", wants_answer=False) * 5)
        for done in range(1, 6):
            self.assertEqual(len(self.calls), done)
            run_one_call(self.clock)

    def test_one_after_the_other(self) -> None:
        """Nothing is read while a method runs."""
        later: Deferred[int] = Deferred()
        self.methods.add("later", lambda params: later)
        protocol, transport = self.connect()
        protocol.dataReceived(Request("later", {}, 1).line() + self.request("a"))
        self.clock.advance(10 * CLIENT_TIMEOUT)
        self.assertEqual((transport.producerState, self.calls), ("paused", []))
        later.callback(0)
        self.clock.pump([0, 0])
        self.assertEqual((transport.producerState, self.answers(transport)), ("producing", [0, "a"]))

    def test_errors(self) -> None:
        """The connection goes on after them."""
        protocol, transport = self.connect()
        protocol.dataReceived(b"{\n" + Request("none", {}, 1).line() + self.request("a"))
        self.clock.pump([0] * 3)
        self.assertEqual(self.answers(transport), [Code.PARSE_ERROR, Code.UNKNOWN_METHOD, "a"])

    def test_long_line(self) -> None:
        """It is refused before it is complete, and so is everything behind it."""
        for data in (b"x" * (MAX_REQUEST + 1), b"x" * (MAX_REQUEST + 1) + b"\n" + self.request("a")):
            protocol, transport = self.connect()
            protocol.dataReceived(data)
            self.clock.advance(0)
            self.assertEqual(self.answers(transport), [Code.INVALID_REQUEST])
            self.assertFalse(transport.connected)
            self.assertEqual(self.calls, [])

    def test_longest_line(self) -> None:
        protocol, transport = self.connect()
        text = "x" * (MAX_REQUEST - len(self.request("")) + 1)
        protocol.dataReceived(self.request(text))
        self.assertEqual(self.answers(transport), [text])

    def test_slow_client(self) -> None:
        """A request may take so long and not longer, however its bytes come."""
        protocol, transport = self.connect()
        for byte in self.request("a")[:30]:
            protocol.dataReceived(bytes([byte]))
            self.clock.advance(CLIENT_TIMEOUT / 31)
        self.assertFalse(transport.aborted)
        self.clock.advance(CLIENT_TIMEOUT)
        self.assertTrue(transport.aborted)
        self.assertEqual(self.factory.connections, {})

    def test_idle_client(self) -> None:
        """The time begins again with each answer."""
        protocol, transport = self.connect()
        for _ in range(5):
            self.clock.advance(CLIENT_TIMEOUT - 1)
            protocol.dataReceived(self.request("a"))
        self.assertFalse(transport.aborted)
        self.clock.advance(CLIENT_TIMEOUT)
        self.assertTrue(transport.aborted)

    def test_client_that_does_not_read(self) -> None:
        """No more is answered, and in the end the connection is closed."""
        protocol, transport = self.connect()
        protocol.dataReceived(self.request("a"))
        protocol.pauseProducing()
        protocol.dataReceived(self.request("b"))
        self.clock.advance(1)
        self.assertEqual(self.calls, ["a"])
        self.clock.advance(CLIENT_TIMEOUT)
        self.assertTrue(transport.aborted)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_client_that_reads_again(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(self.request("a"))
        protocol.pauseProducing()
        protocol.dataReceived(self.request("b"))
        self.clock.advance(1)
        protocol.resumeProducing()
        self.assertEqual(self.answers(transport), ["a", "b"])

    def test_half_closed(self) -> None:
        """A client that has sent everything gets its answers: ``socat`` and ``nc`` close their side at once."""
        later: Deferred[int] = Deferred()
        self.methods.add("later", lambda params: later)
        protocol, transport = self.connect()
        protocol.dataReceived(Request("later", {}, 1).line() + self.request("a"))
        protocol.readConnectionLost()
        self.assertTrue(transport.connected)
        later.callback(0)
        self.clock.pump([0, 0])
        self.assertEqual(self.answers(transport), [0, "a"])
        self.assertFalse(transport.connected)

    def test_client_that_has_gone(self) -> None:
        """The method ends by itself."""
        later: Deferred[int] = Deferred()
        self.methods.add("later", lambda params: later)
        protocol, transport = self.connect()
        protocol.dataReceived(Request("later", {}, 1).line() + self.request("a"))
        transport.loseConnection()
        later.callback(0)
        self.clock.advance(1)
        self.assertEqual((transport.value(), self.calls, self.factory.connections), (b"", [], {}))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_many_connections(self) -> None:
        """A new one takes the place of the oldest one that has no request. If all have one, it is refused."""
        later: Deferred[int] = Deferred()
        self.methods.add("later", lambda params: later)
        connections = [self.connect() for _ in range(MAX_CONNECTIONS)]
        connections[0][0].dataReceived(Request("later", {}, 1).line())
        self.assertTrue(self.connect()[1].connected)
        self.assertEqual([transport.aborted for _, transport in connections[:3]], [False, True, False])
        self.assertEqual(len(self.factory.connections), MAX_CONNECTIONS)
        for one in self.factory.connections:
            if one is not connections[0][0]:
                one.dataReceived(Request("later", {}, 1).line())
        _, refused = self.connect()
        self.assertEqual(self.answers(refused), [Code.FAILED])
        self.assertFalse(refused.connected)
        later.callback(0)
        self.clock.pump([0, 0])
        self.assertTrue(self.connect()[1].connected)

    def test_other_users(self) -> None:
        """Only the own user and root are served, and whoever the system does not name."""
        me = os.geteuid()
        for uid, served in ((me, True), (0, True), (None, True), (me + 1, False)):
            self.factory = AdminFactory(self.clock, self.methods, lambda transport, uid=uid: uid)
            protocol, transport = self.connect()
            protocol.dataReceived(self.request("a"))
            self.assertEqual(self.answers(transport)[-1], "a" if served else Code.FAILED)
            self.assertEqual(transport.connected, served)

    def test_close(self) -> None:
        transports = [self.connect()[1] for _ in range(3)]
        self.factory.close()
        self.assertEqual([transport.aborted for transport in transports], [True] * 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])
