"""tests.support.plain_client on a socket in memory"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support import plain_client
from tests.support.plain_client import PlainClient, ServerSaysError

INFO = b'INFO {"server_id":"S","nonce":"n"}\r\n'
STREAM = (
    b"MSG a 1 5\r\nhello\r\n"
    b"PING\r\n"
    b"MSG a.b 1 reply 0\r\n\r\n"
    b"HMSG a 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"
    b"INFO {}\r\n"
    b"HMSG a 1 reply 12 16\r\nNATS/1.0\r\n\r\n\r\n\r\n\r\n"
)
MESSAGES = [(b"a", b"", b"hello"), (b"a.b", b"reply", b""), (b"a", b"", b"hi"), (b"a", b"reply", b"\r\n\r\n")]


class MemorySocket:
    """
    A socket that gives the bytes of the test.

    :ivar sent: the bytes that were sent.
    """

    def __init__(self, *received: bytes) -> None:
        self.sent = b""
        self.closed = False
        self.timeout: float | None = 0.0
        self._received = list(received)

    def getsockname(self) -> str:
        return "here"

    def getpeername(self) -> str:
        return "there"

    def setsockopt(self, *_: object) -> None:
        pass

    def settimeout(self, timeout: float | None) -> None:
        self.timeout = timeout

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def recv(self, size: int) -> bytes:
        return self._received.pop(0) if self._received else b""

    def close(self) -> None:
        self.closed = True


class PlainClientTests(SynchronousTestCase):
    """PlainClient"""

    def connect(self, *received: bytes, **options: Any) -> PlainClient:
        """A client whose server sends INFO, PONG, and then these bytes."""
        self.socket = MemorySocket(INFO, b"PONG\r\n", *received)
        self.patch(plain_client.socket, "create_connection", self.create_connection)
        return PlainClient("nats://127.0.0.1:4223", 5.0, **options)

    def create_connection(self, address: tuple[str, int], timeout: float) -> MemorySocket:
        self.assertEqual((address, timeout), (("127.0.0.1", 4223), 5.0))
        return self.socket

    def test_handshake(self) -> None:
        with self.connect(login=lambda info: {"sig": info["nonce"] * 2}) as client:
            self.assertEqual(client.infos[0]["server_id"], "S")
            connect, ping, rest = self.socket.sent.split(b"\r\n")
            self.assertIn(b'"sig": "nn"', connect)
            self.assertEqual((connect[:9], ping, rest), (b"CONNECT {", b"PING", b""))
            self.assertEqual((self.socket.timeout, self.socket.closed), (5.0, False))
        self.assertTrue(self.socket.closed)

    def test_without_login(self) -> None:
        """Only the greeting is read."""
        client = self.connect(login=None)
        self.assertEqual((len(client.infos), self.socket.sent), (1, b""))

    def test_connected_to_itself(self) -> None:
        self.patch(MemorySocket, "getsockname", MemorySocket.getpeername)
        self.assertRaises(ConnectionRefusedError, self.connect)
        self.assertTrue(self.socket.closed)

    def test_refused(self) -> None:
        """The error has the line of the server."""
        self.socket = MemorySocket(INFO, b"-ERR 'Authorization Violation'\r\n")
        self.patch(plain_client.socket, "create_connection", self.create_connection)
        error = self.assertRaises(ServerSaysError, PlainClient, "nats://127.0.0.1:4223", 5.0)
        self.assertEqual(str(error), "-ERR 'Authorization Violation'")
        self.assertTrue(self.socket.closed)

    def test_messages(self) -> None:
        """Whole, byte by byte and cut at every point, the same messages come, and each PING is answered."""
        cuts = [[STREAM], [STREAM[at : at + 1] for at in range(len(STREAM))]]
        cuts += [[STREAM[:at], STREAM[at:]] for at in range(1, len(STREAM))]
        for pieces in cuts:
            client = self.connect(*pieces)
            self.assertEqual([client.next_message() for _ in MESSAGES], MESSAGES)
            self.assertEqual((self.socket.sent.count(b"PONG\r\n"), len(client.infos)), (1, 2))
            self.assertRaises(ConnectionError, client.next_message)

    def test_messages_within(self) -> None:
        """Nothing, if nothing comes in time; or else all that the first read has."""
        readable: list[bool] = [False, True]
        self.patch(plain_client.select, "select", lambda *_: ([1] * readable.pop(0), [], []))
        client = self.connect(STREAM)
        self.assertEqual(client.messages_within(0.1), [])
        self.assertEqual(client.messages_within(0.1), MESSAGES)

    def test_flush(self) -> None:
        """It waits for the PONG, and keeps the messages before it."""
        client = self.connect(STREAM, b"PON", b"G\r\n" + STREAM)
        client.publish("b", b"data")
        self.assertTrue(self.socket.sent.endswith(b"PUB b 4\r\ndata\r\nPING\r\n" + b"PONG\r\n" * 2), self.socket.sent)
        self.assertEqual([client.next_message() for _ in MESSAGES * 2], MESSAGES * 2)

    def test_errors(self) -> None:
        """They raise, and the client can go on; or they go to on_error."""
        error = b"-ERR 'Permissions Violation for Publish to \"c\"'\r\n"
        client = self.connect(STREAM[:18] + error + STREAM)
        self.assertRaises(ServerSaysError, client.next_message)
        self.assertEqual([client.next_message() for _ in range(2)], MESSAGES[:1] * 2)
        errors: list[str] = []
        client = self.connect(error + STREAM + error, on_error=errors.append)
        client.wait_until_closed()
        self.assertEqual(errors, [error.decode().strip()] * 2)
        self.assertEqual(client.next_message(), MESSAGES[0])

    def test_not_nats(self) -> None:
        client = self.connect(b"HTTP/1.1 400 Bad Request\r\n")
        self.assertRaises(ConnectionError, client.next_message)
