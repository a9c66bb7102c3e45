"""A TLS server in memory, for tests of the client: no sockets, no reactor."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from natsroute.client.transport.tls import TlsSession
from tests.support.certificates import CertificateFiles
from tests.support.memory_network import MemoryTransport


class TlsServer:
    """
    A TLS server that one client talks to.

    :param client_ca: file with the CA of the clients, which then need a certificate.
    :param options: attributes of the ``ssl.SSLContext``.

    :ivar received: what the client has sent.
    :ivar asked_for: the name that the client asks for, or None.
    """

    def __init__(self, files: CertificateFiles, *, client_ca: str = "", ciphers: str = "", **options: Any) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        if client_ca:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        if ciphers:
            context.set_ciphers(ciphers)
        for name, value in options.items():
            setattr(context, name, value)
        self.asked_for: str | None = None
        context.sni_callback = self._sni  # type: ignore[assignment]
        self.received = b""
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)

    def _sni(self, connection: object, name: str | None, context: object) -> None:
        self.asked_for = name

    def take(self, data: bytes) -> bytes:
        """Take bytes of the client. Returns the bytes of the answer."""
        self._in.write(data)
        try:
            self._tls.do_handshake()
            while data := self._tls.read(65_536):
                self.received += data
        except ssl.SSLError:  # it needs more, or TLS has failed: the client gets an alert
            pass
        return self._out.read()

    def record(self, data: bytes) -> bytes:
        """The bytes of one record with this data, at most 16 KiB."""
        self._tls.write(data)
        return self._out.read()

    def end(self) -> bytes:
        """The bytes of the record that ends TLS."""
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        return self._out.read()

    @property
    def peer(self) -> dict[str, Any] | None:
        """The client's certificate."""
        return self._tls.getpeercert()

    @property
    def version(self) -> str | None:
        """The version of TLS."""
        return self._tls.version()


class RenegotiatingServer:
    """A server with TLS 1.2 that can ask for another handshake. Go's never does; another one, or a proxy, may."""

    def __init__(self, files: CertificateFiles) -> None:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.use_certificate_chain_file(str(files.certificate))
        context.use_privatekey_file(str(files.key))
        self._tls = SSL.Connection(context)
        self._tls.set_accept_state()

    def take(self, data: bytes) -> bytes:
        """
        Take bytes of the client. Returns the bytes of the answer.

        :raises OpenSSL.SSL.Error: the client refuses the handshake.
        """
        self._tls.bio_write(data)
        try:
            self._tls.do_handshake()
            self._tls.recv(65_536)
        except SSL.WantReadError:
            pass
        return self._sent()

    def record(self, data: bytes) -> bytes:
        """The bytes of one record with this data, at most 16 KiB."""
        self._tls.send(data)
        return self._sent()

    def ask(self) -> bytes:
        """The bytes that ask for another handshake."""
        self._tls.renegotiate()
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            pass
        return self._sent()

    def _sent(self) -> bytes:
        try:
            return self._tls.bio_read(65_536)
        except SSL.WantReadError:
            return b""


class Recorder(Protocol):
    """
    Records what it gets.

    :ivar pieces: the data of each ``dataReceived``.
    :ivar lost: the reason for which the connection was lost.
    :ivar on_data: called after each piece.
    """

    lost: Failure | None = None

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.on_data: Callable[[], object] = lambda: None

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append(data)
        self.on_data()

    def connectionLost(self, reason: Failure = Failure(error.ConnectionDone())) -> None:
        self.lost = reason


class TlsLink:
    """
    A protocol over TLS, with :class:`TlsServer` at the other end.

    :ivar transport: what is below TLS.
    """

    def __init__(self, session: TlsSession, server: TlsServer | RenegotiatingServer, protocol: Any) -> None:
        self.server = server
        self.protocol = protocol
        self.transport = MemoryTransport()
        self.clock = Clock()
        creator: Any = session
        factory = TLSMemoryBIOFactory(creator, True, Factory.forProtocol(lambda: protocol), self.clock)
        self.below: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
        self.below.makeConnection(self.transport)

    def exchange(self) -> None:
        """Carry everything to the other side until nobody says anything."""
        self.clock.advance(0)
        while said := self.transport.sent():
            answer = self.server.take(said)
            if answer:
                self.below.dataReceived(answer)
            self.clock.advance(0)

    def receive(self, *records: bytes) -> None:
        """One read of the socket gives these records."""
        self.below.dataReceived(b"".join(records))

    def lose(self, reason: Exception | None = None) -> None:
        """The connection is lost."""
        self.below.connectionLost(Failure(reason or error.ConnectionDone()))
