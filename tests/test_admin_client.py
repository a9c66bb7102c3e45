"""natsroute.admin.client"""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.admin import client as client_module
from natsroute.admin.client import AdminClient
from natsroute.admin.errors import (
    AdminError,
    AnswerTimeoutError,
    MethodError,
    NoAccessError,
    NoAnswerError,
    NoServiceError,
)
from natsroute.admin.rpc import Request, read_request


class AdminClientTests(SynchronousTestCase):
    """Calls of methods."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.client = AdminClient(self.reactor, "/run/a.sock")

    def connect(self) -> tuple[Any, StringTransport]:
        """The protocol and the transport of the call, now that it is connected."""
        path, factory, *_ = self.reactor.unixClients[-1]
        self.assertEqual(path, "/run/a.sock")
        protocol = factory.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        return protocol, transport

    def test_call(self) -> None:
        called = self.client.call("overview", {"a": 1})
        protocol, transport = self.connect()
        self.assertEqual(read_request(transport.value()), Request("overview", {"a": 1}, 1))
        protocol.dataReceived(b'{"jsonrpc":"2.0","id":1,')
        self.assertNoResult(called)
        protocol.dataReceived(b'"result":{"b":2}}\n')
        self.assertEqual(self.successResultOf(called), {"b": 2})
        self.assertTrue(transport.disconnecting)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_error(self) -> None:
        called = self.client.call("overview")
        self.connect()[0].dataReceived(b'{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no\x1b"}}\n')
        self.assertIsInstance(self.failureResultOf(called).value, AdminError)
        called = self.client.call("overview")
        self.connect()[0].dataReceived(b'{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no\\u001b"}}\n')
        self.assertEqual(str(self.failureResultOf(called, MethodError).value), r"no\x1b")

    def test_not_connected(self) -> None:
        for reason, kind in [
            (ConnectError(errno.ENOENT), NoServiceError),
            (error.ConnectionRefusedError(errno.ECONNREFUSED), NoServiceError),
            (ConnectError(errno.EACCES), NoAccessError),
        ]:
            called = self.client.call("overview")
            self.reactor.unixClients[-1][1].clientConnectionFailed(None, Failure(reason))
            self.assertIn("/run/a.sock", str(self.failureResultOf(called, kind).value))

    def test_long_path(self) -> None:
        called = AdminClient(self.reactor, "/" + "x" * 200).call("overview")
        self.failureResultOf(called, NoServiceError)

    def test_connection_lost(self) -> None:
        called = self.client.call("overview")
        protocol, _ = self.connect()
        protocol.dataReceived(b'{"jsonrpc":')
        protocol.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(called, NoAnswerError)

    def test_answer_without_end(self) -> None:
        """The memory for an answer is bounded."""
        self.patch(client_module, "MAX_ANSWER", 10)
        called = self.client.call("overview")
        self.connect()[0].dataReceived(b"x" * 11)
        self.failureResultOf(called, NoAnswerError)

    def test_timeout(self) -> None:
        """While it connects, and while it waits for the answer."""
        for connect in (False, True):
            called = self.client.call("overview", timeout=3)
            transport = self.connect()[1] if connect else None
            self.reactor.advance(2.9)
            self.assertNoResult(called)
            self.reactor.advance(0.2)
            self.assertIn("within 3 s", str(self.failureResultOf(called, AnswerTimeoutError).value))
            self.assertTrue(transport is None or transport.disconnecting)

    def test_cancelled(self) -> None:
        """The connection is closed."""
        called: Deferred[Any] = self.client.call("overview")
        _, transport = self.connect()
        called.cancel()
        self.failureResultOf(called, CancelledError)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
