"""natsroute.client.transport.plain_tcp, and its use in natsroute.client.protocol"""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections.abc import Sequence
from time import monotonic
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.tcp import Connection
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.options import Timing
from natsroute.client.protocol import NatsProtocol
from natsroute.client.transport import plain_tcp
from natsroute.client.transport.plain_tcp import BUSY_READ_SIZE, READ_SIZE, direct_writer, read_more
from natsroute.errors import ConnectionLostError
from tests.support.memory_network import info
from tests.support.memory_reactor import Reactor
from tests.support.waiting import TIMEOUT

_MESSAGE = b"PUB a 2\r\nhi\r\n"
_PING = b"PING\r\n"


class Producer:
    """Keeps what the transport tells it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


class Socket:
    """
    A socket that takes some of the bytes only.

    :ivar limit: how many it takes at once, or the error that it raises.
    :ivar calls: how often it was asked.
    """

    def __init__(self, real: socket.socket) -> None:
        self.limit: int | OSError = 1_000_000
        self.calls = 0
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def sendmsg(self, pieces: Sequence[bytes]) -> int:
        """Take some bytes."""
        return self.send(b"".join(pieces))

    def send(self, data: bytes | memoryview) -> int:
        """Take some bytes."""
        self.calls += 1
        if isinstance(self.limit, OSError):
            raise self.limit
        return self._real.send(data[: self.limit])


class ClientConnection(Connection):
    """A connection that may start TLS."""

    _tlsClientDefault = True


class TcpTestCase(SynchronousTestCase):
    """A TCP connection of Twisted to the test, without a running reactor."""

    def setUp(self) -> None:
        self.reactor = Reactor()

    def connect(self, protocol: Protocol | None = None, *, buffer: int = 0) -> Any:
        """Connect; the test has ``self.peer``."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.socket()
            self.addCleanup(ours.close)
            if buffer:
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            ours.connect(listener.getsockname())
            self.peer, _ = listener.accept()
        self.addCleanup(self.peer.close)
        self.peer.settimeout(TIMEOUT)
        transport = ClientConnection(ours, protocol or Protocol(), self.reactor)
        transport.connected = 1
        transport.protocol.makeConnection(transport)
        transport.startReading()
        return transport

    def received(self, size: int) -> bytes:
        """The next bytes that arrive at the peer."""
        data = b""
        while len(data) < size:
            more = self.peer.recv(size - len(data))
            self.assertTrue(more, "the connection ended")
            data += more
        return data

    def assertNothingReceived(self) -> None:
        """Nothing has arrived at the peer."""
        self.peer.setblocking(False)
        self.assertRaises(BlockingIOError, self.peer.recv, 1)
        self.peer.settimeout(TIMEOUT)

    def flush(self, transport: Any, end: bytes = b"") -> bytes:
        """
        Do what the reactor does until everything is sent.

        :param end: the end of what the peer receives, if it is waited for.
        :return: what the peer received.
        """
        data = b""
        self.peer.setblocking(False)
        while transport in self.reactor.getWriters():
            self.assertIsNone(transport.doWrite())
            try:
                while more := self.peer.recv(1 << 20):
                    data += more
            except BlockingIOError:
                pass
        self.peer.settimeout(TIMEOUT)
        while not data.endswith(end):
            data += self.received(1)
        return data

    def wait_for_data(self, transport: Any, size: int) -> None:
        """Wait until that much has arrived at the transport's socket."""
        poll = select.poll()
        poll.register(transport, select.POLLIN)
        self.assertTrue(poll.poll(TIMEOUT * 1000))
        give_up = monotonic() + TIMEOUT
        while len(transport.socket.recv(size, socket.MSG_PEEK)) < size:
            self.assertLess(monotonic(), give_up)

    def reset(self, transport: Any) -> None:
        """The peer resets the connection."""
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.peer.close()
        self.wait_for_reset(transport)

    def wait_for_reset(self, transport: Any) -> None:
        """Wait until the system knows that the connection is reset."""
        poll = select.poll()
        poll.register(transport, 0)
        self.assertTrue(poll.poll(TIMEOUT * 1000))


class DirectWriterTests(TcpTestCase):
    """direct_writer()"""

    def test_at_once(self) -> None:
        """No turn of the reactor is needed."""
        transport = self.connect()
        direct_writer(transport)([_MESSAGE, _PING])
        self.assertEqual(self.received(len(_MESSAGE + _PING)), _MESSAGE + _PING)
        self.assertEqual(self.reactor.getWriters(), [])

    def test_behind_what_waits(self) -> None:
        """What was written before is sent before."""
        transport = self.connect()
        write = direct_writer(transport)
        transport.write(b"one ")
        write([b"two ", b"three "])
        transport.write(b"four")
        self.assertNothingReceived()
        self.flush(transport)
        write([b"five"])
        self.assertEqual(self.received(4), b"five")

    def test_the_order(self) -> None:
        """All that is written in both ways arrives in its order, whatever the socket takes at once."""
        transport = self.connect(buffer=4096)
        transport.socket = Socket(transport.socket)
        write = direct_writer(transport)
        expected = received = b""
        for number in range(300):
            transport.socket.limit = number * 7 % 50
            pieces = [b"%d " % number, b"x" * (number % 20), b"\n"]
            expected += b"".join(pieces)
            if number % 3:
                write(pieces)
            else:
                transport.writeSequence(pieces)
            if not number % 5:
                transport.doWrite()
        transport.socket.limit = 1_000_000
        received = self.flush(transport)
        self.assertEqual(received + self.received(len(expected) - len(received)), expected)

    def test_the_socket_takes_a_part(self) -> None:
        """The rest waits in the transport, wherever it begins."""
        for limit in range(12):
            transport = self.connect()
            transport.socket = Socket(transport.socket)
            write = direct_writer(transport)
            transport.socket.limit = limit
            write([b"12345", b"", b"678901"])
            self.assertEqual(self.received(limit), b"12345678901"[:limit])
            self.assertEqual(b"".join(transport._tempDataBuffer), b"12345678901"[limit:])
            self.assertEqual(self.reactor.getWriters(), [transport] if limit < 11 else [])
            self.reactor.removeWriter(transport)

    def test_a_full_socket(self) -> None:
        """It is asked once. Then data waits, and the reactor says when it takes more."""
        transport = self.connect()
        transport.socket = full = Socket(transport.socket)
        write = direct_writer(transport)
        full.limit = BlockingIOError(errno.EAGAIN, "")
        for _ in range(100):
            write([_MESSAGE, _PING])
        self.assertEqual(full.calls, 1)
        self.assertIsNone(transport.doWrite())
        write([b"end"])
        self.assertEqual(full.calls, 2)
        full.limit = 1_000_000
        expected = (_MESSAGE + _PING) * 100 + b"end"
        self.assertIsNone(transport.doWrite())
        self.assertEqual(self.received(len(expected)), expected)

    def test_a_real_full_socket(self) -> None:
        """Nothing is lost or sent twice."""
        transport = self.connect(buffer=16_384)
        write = direct_writer(transport)
        data = b"".join(b"%08d" % number for number in range(500_000))
        write([data, _PING])
        self.assertIn(transport, self.reactor.getWriters())
        write([b"end"])
        received = self.flush(transport)
        self.assertEqual(received + self.received(len(data) + 9 - len(received)), data + _PING + b"end")

    def test_very_many_pieces(self) -> None:
        """The system does not take that many at once."""
        transport = self.connect()
        direct_writer(transport)([b"%04d" % number for number in range(5_000)])
        received = self.flush(transport, b"4999")
        self.assertEqual(received, b"".join(b"%04d" % number for number in range(5_000)))

    def test_reset(self) -> None:
        """The transport reports it, in its usual way."""
        transport = self.connect()
        write = direct_writer(transport)
        self.reset(transport)
        write([_MESSAGE, _PING])
        self.assertIn(transport, self.reactor.getWriters())
        self.assertIsInstance(transport.doWrite(), ConnectionLost)

    def test_closed_by_the_peer(self) -> None:
        """The first write succeeds, and makes the peer's system answer with a reset."""
        transport = self.connect()
        write = direct_writer(transport)
        self.peer.close()
        write([_MESSAGE])
        self.assertEqual(self.reactor.getWriters(), [])
        self.wait_for_reset(transport)
        write([_MESSAGE])
        self.assertIsInstance(transport.doWrite(), ConnectionLost)

    def test_lost(self) -> None:
        """Nothing happens, and nothing is kept."""
        transport = self.connect()
        write = direct_writer(transport)
        transport.connectionLost(Failure(ConnectionLost()))
        write([_MESSAGE, _PING])
        self.assertEqual(transport._tempDataBuffer, [])
        self.assertEqual(self.peer.recv(100), b"")

    def test_lose_connection(self) -> None:
        """What the socket did not take is sent before the end."""
        transport = self.connect()
        transport.socket = Socket(transport.socket)
        transport.socket.limit = 5
        direct_writer(transport)([b"12345", b"67890"])
        transport.loseConnection()
        self.assertIsNotNone(transport.doWrite())
        transport.connectionLost(connectionDone)
        self.assertEqual(self.received(10), b"1234567890")
        self.assertEqual(self.peer.recv(100), b"")

    def test_half_closed(self) -> None:
        """Nothing is sent after the end of this direction."""
        transport = self.connect()
        write = direct_writer(transport)
        write([b"last"])
        transport.loseWriteConnection()
        transport.doWrite()
        write([_MESSAGE])
        self.assertEqual(self.peer.recv(100), b"last")
        self.assertEqual(self.peer.recv(100), b"")
        self.assertEqual(transport._tempDataBuffer, [])

    def test_a_producer(self) -> None:
        """It is paused while much data waits, and resumed when everything is sent."""
        transport = self.connect(buffer=16_384)
        producer = Producer()
        transport.registerProducer(producer, True)
        write = direct_writer(transport)
        write([_MESSAGE])
        self.assertEqual(producer.calls, [])
        write([b"x" * 4_000_000])
        self.assertEqual(producer.calls, ["pause"])
        self.flush(transport)
        self.assertEqual(producer.calls, ["pause", "resume"])
        transport.unregisterProducer()


class OtherTransportTests(TcpTestCase):
    """What is not TCP without TLS."""

    def test_in_memory(self) -> None:
        transport = StringTransport()
        read_more(transport, True)
        self.assertEqual(direct_writer(transport), transport.writeSequence)

    def test_tls(self) -> None:
        """What is written is encrypted."""
        transport = self.connect()
        transport.startTLS(optionsForClientTLS("a.example"))
        read_more(transport, True)
        self.assertEqual(transport.bufferSize, READ_SIZE)
        direct_writer(transport)([_MESSAGE])
        self.assertNotIn(_MESSAGE, self.flush(transport))

    def test_sends_something_else(self) -> None:
        """Twisted's UNIX sockets send file descriptors too."""

        class Other(ClientConnection):
            def writeSomeData(self, data: bytes) -> Any:
                return super().writeSomeData(data)

        transport = self.connect()
        transport.__class__ = Other
        self.assertEqual(direct_writer(transport), transport.writeSequence)

    def test_a_twisted_with_other_buffers(self) -> None:
        transport = self.connect()
        del transport._tempDataBuffer
        self.assertEqual(direct_writer(transport), transport.writeSequence)

    def test_without_sendmsg(self) -> None:
        """Windows has none."""
        self.patch(plain_tcp, "socket", object)
        transport = self.connect()
        self.assertEqual(direct_writer(transport), transport.writeSequence)

    def test_buffers_of_twisted(self) -> None:
        """This Twisted has the two buffers, and unsent data is in one of them."""
        transport = self.connect()
        transport.socket = Socket(transport.socket)
        self.assertEqual((transport.dataBuffer, transport._tempDataBuffer), (b"", []))
        transport.write(b"12345")
        self.assertEqual((transport.dataBuffer, transport._tempDataBuffer), (b"", [b"12345"]))
        transport.socket.limit = 2
        transport.doWrite()
        self.assertEqual((transport.dataBuffer[transport.offset :], transport._tempDataBuffer), (b"345", []))
        transport.socket.limit = 3
        transport.doWrite()
        self.assertEqual((transport.dataBuffer, transport._tempDataBuffer), (b"", []))


class ReadSizeTests(TcpTestCase):
    """read_more()"""

    def test_reads(self) -> None:
        """One read takes more, or what Twisted takes."""
        chunks: list[int] = []

        class Reader(Protocol):
            def dataReceived(self, data: bytes) -> None:
                chunks.append(len(data))

        transport = self.connect(Reader(), buffer=1_000_000)
        self.assertEqual(transport.bufferSize, READ_SIZE)
        for more, size in ((True, BUSY_READ_SIZE), (False, READ_SIZE)):
            read_more(transport, more)
            self.peer.sendall(b"x" * (size + 1))
            self.wait_for_data(transport, size + 1)
            transport.doRead()
            transport.doRead()
            self.assertEqual(chunks, [size, 1])
            chunks.clear()


class ProtocolTests(TcpTestCase):
    """A NatsProtocol on TCP."""

    def connected(self, *, buffer: int = 0) -> NatsProtocol:
        timing = Timing(connect_timeout=2.0, ping_interval=1_000.0, write_timeout=10.0)
        self.protocol = NatsProtocol(self.reactor, name="test", version="1.0", timing=timing)
        self.tcp = self.connect(self.protocol, buffer=buffer)
        self.protocol.dataReceived(info())
        said = self.flush(self.tcp, _PING)
        self.assertTrue(said.startswith(b"CONNECT ") and said.endswith(_PING), said)
        self.protocol.dataReceived(b"PONG\r\n")
        self.successResultOf(self.protocol.ready)
        return self.protocol

    def test_the_handshake_is_one_packet(self) -> None:
        """The login, the subscriptions and the PING are sent together."""
        protocol = NatsProtocol(
            self.reactor, name="test", version="1.0", on_login=lambda protocol: protocol.sub("a", 1, print)
        )
        transport = self.connect(protocol)
        protocol.dataReceived(info())
        self.assertNothingReceived()
        self.assertTrue(self.flush(transport, _PING).endswith(b"SUB a 1\r\n" + _PING))
        protocol.abort()
        protocol.ready.addErrback(lambda lost: None)

    def test_write_and_ping(self) -> None:
        protocol = self.connected()
        pong = protocol.write_and_ping(_MESSAGE, 1)
        self.assertEqual(self.received(len(_MESSAGE + _PING)), _MESSAGE + _PING)
        protocol.dataReceived(b"PONG\r\n")
        self.successResultOf(pong)

    def test_write(self) -> None:
        """It is sent at once, and counted."""
        protocol = self.connected()
        before = protocol.bytes_out
        protocol.write(_MESSAGE * 2, 2, now=True)
        self.assertEqual(self.received(2 * len(_MESSAGE)), _MESSAGE * 2)
        self.assertEqual((protocol.messages_out, protocol.bytes_out - before), (2, 2 * len(_MESSAGE)))

    def test_behind_other_commands(self) -> None:
        """Commands that wait for the reactor's next iteration are sent first."""
        protocol = self.connected()
        protocol.sub("a", 1, print)
        protocol.write(_MESSAGE, now=True)
        protocol.unsub(1)
        protocol.ping()
        self.assertNothingReceived()
        self.assertEqual(self.flush(self.tcp, _PING), b"SUB a 1\r\n" + _MESSAGE + b"UNSUB 1\r\n" + _PING)

    def test_closed(self) -> None:
        """Nothing is written to a connection that is closed, closes or is lost."""
        for end in ("close", "abort", "lose"):
            protocol = self.connected()
            if end == "lose":
                self.tcp.connectionLost(Failure(ConnectionLost()))
            else:
                getattr(protocol, end)()
            protocol.write(_MESSAGE, 1, now=True)
            self.failureResultOf(protocol.write_and_ping(_MESSAGE, 1), ConnectionLostError)
            if end == "lose":
                self.assertEqual(self.peer.recv(100), b"")
            else:
                self.assertNothingReceived()
            self.assertEqual(protocol.messages_out, 0)

    def test_write_timeout(self) -> None:
        """A server that does not read ends the connection."""
        protocol = self.connected(buffer=16_384)
        pong = protocol.write_and_ping(b"x" * 4_000_000)
        self.assertTrue(protocol._write_timeout.full)
        protocol.dataReceived(b"PING\r\n" * 100)
        self.assertEqual(self.tcp._tempDataBuffer[-2:].count(b"PONG\r\n"), 1)
        self.reactor.advance(9.9)
        self.assertTrue(protocol.state.is_open)
        self.reactor.advance(0.2)
        self.assertFalse(protocol.state.is_open)
        self.reactor.advance(0)
        self.assertIn("no written data was sent within 10.0 s", str(self.successResultOf(protocol.closed)))
        self.failureResultOf(pong, ConnectionLostError)

    def test_write_timeout_after_a_busy_read(self) -> None:
        """Also if the last thing that the server did before it was silent was to send much."""
        protocol = self.connected(buffer=16_384)
        protocol.dataReceived(b"MSG a 9 %d\r\n" % READ_SIZE + b" " * READ_SIZE + b"\r\n")
        self.assertTrue(protocol.state.is_open)
        protocol.write_and_ping(b"x" * 4_000_000).addErrback(lambda lost: None)
        unsent = b"x" * (150_000 - 6)
        self.tcp._tempDataBuffer[:] = []  # the socket takes no more, and so much is left
        self.tcp._tempDataLen = 0
        protocol._write_timeout.resumeProducing()
        protocol.write_and_ping(unsent).addErrback(lambda lost: None)
        self.tcp.doWrite()
        self.reactor.advance(10.1)
        self.assertFalse(protocol.state.is_open)

    def test_reset(self) -> None:
        """Both Deferreds get the reason."""
        protocol = self.connected()
        self.reset(self.tcp)
        pong: Deferred[None] = protocol.write_and_ping(_MESSAGE)
        error = self.tcp.doWrite()
        self.tcp.connectionLost(Failure(error))
        self.failureResultOf(pong, ConnectionLostError)
        self.assertIn("lost in a non-clean fashion", str(self.successResultOf(protocol.closed)))

    def test_reads(self) -> None:
        """Reads become larger while they are full."""
        self.connected()
        for size, then in ((100, READ_SIZE), (READ_SIZE - 1, READ_SIZE), (READ_SIZE, BUSY_READ_SIZE)):
            self.protocol.dataReceived(b"+OK\r\n" + b" " * (size - 5))
            self.assertEqual(self.tcp.bufferSize, then)
        for size, then in ((BUSY_READ_SIZE, BUSY_READ_SIZE), (READ_SIZE, BUSY_READ_SIZE), (10, READ_SIZE)):
            self.protocol.dataReceived(b"+OK\r\n" + b" " * (size - 5))
            self.assertEqual(self.tcp.bufferSize, then)
