"""
One NATS connection, from TCP to its end: the handshake, the pings, and messages to whoever has their sid.

The handshake is INFO, CONNECT, PING, PONG; only then is the connection ready.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IAddress, IDelayedCall, IPushProducer, IReactorTime, ITLSTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from natsroute.client.auth import Credentials
from natsroute.client.options import Security, Timing
from natsroute.client.transport.flow_control import FlowControl
from natsroute.client.transport.tls import TlsSession
from natsroute.client.transport.write_timeout import WriteTimeout
from natsroute.errors import (
    ConnectionLostError,
    HandshakeError,
    MisuseError,
    PermissionsError,
    ProtocolError,
    ServerError,
    SubscriptionLimitError,
    TlsError,
    server_error,
)
from natsroute.wire import encoder
from natsroute.wire.frames import ConnectOptions, Err, Info, Msg, Signal
from natsroute.wire.headers import HeaderValues, encode_headers
from natsroute.wire.parser import DEFAULT_MAX_CONTROL_LINE, Parser

#: Called with each message of a subscription.
OnMessage = Callable[[Any], object]


class _Transport(ITLSTransport, IPushProducer):
    """A TCP transport whose reading can be paused, and that can change to TLS."""


class NatsProtocol(Protocol):
    """
    Speaks NATS over one transport.

    :ivar ready: a Deferred that fires with the server's :class:`~natsroute.wire.frames.Info` when the handshake is
        done, or fails with what prevented it: :class:`~natsroute.errors.HandshakeError`,
        :class:`~natsroute.errors.ServerError`, :class:`~natsroute.errors.ProtocolError` or
        :class:`~natsroute.errors.ConnectionLostError`.
    :ivar closed: a Deferred that fires with the exception that ended the connection.
    :ivar info: what the server said last of itself.
    :ivar rtt: seconds that the last PING took to its PONG, or None; a busy connection adds what waits before it.
    :ivar bytes_in: bytes received.
    :ivar bytes_out: bytes written.

    :param on_info: told each later INFO: the cluster changes, or the server goes into lame duck mode.
    :param message_type: what messages are made as: Msg, or a subclass of it.
    :param on_msg: who gets the messages, by sid; the owner may change it at any time.
    :param on_error: told each ``-ERR`` of a connection that is ready.
    :param opening: called when CONNECT has been written; what it writes is confirmed together with that, so that a
        connection which is ready has its subscriptions.
    """

    transport: _Transport

    def __init__(
        self,
        clock: IReactorTime,
        *,
        name: str,
        version: str,
        credentials: Credentials = Credentials(),
        security: Security = Security(),
        timing: Timing = Timing(),
        max_control_line: int = DEFAULT_MAX_CONTROL_LINE,
        message_type: type[Msg] = Msg,
        on_msg: Mapping[int, OnMessage] | None = None,
        on_error: Callable[[ServerError], None] = lambda error: None,
        on_info: Callable[[Info], None] = lambda info: None,
        opening: Callable[[NatsProtocol], None] = lambda protocol: None,
    ) -> None:
        self.ready: Deferred[Info] = Deferred()
        self.closed: Deferred[Exception] = Deferred()
        self.info = Info()
        self.rtt: float | None = None
        self.bytes_in = self.bytes_out = 0
        self.unknown_sids = 0
        self._clock = clock
        self._name = name
        self._version = version
        self._credentials = credentials
        self._security = security
        self._tls: TlsSession | None = None
        self._tls_is_next = False
        self._timing = timing
        self._message_type = message_type
        self._parser = Parser(max_control_line=max_control_line, message_type=message_type)
        self._on_msg: Mapping[int, OnMessage] = {} if on_msg is None else on_msg
        self._on_error = on_error
        self._on_info = on_info
        self._opening = opening
        self._is_greeted = False
        self._is_ready = False
        self._is_closed = False
        self._reading = FlowControl(clock)
        self._pongs: deque[Deferred[None]] = deque()
        self._timer: IDelayedCall | None = None
        self._pings_outstanding = 0
        self._reason: Exception | None = None  # why this side ended it
        self._last_words: ServerError | None = None
        self._next_pong = 0.0
        self._stuck = WriteTimeout(clock, timing.write_timeout, self._end)

    # -- commands ---------------------------------------------------------------------------------------------

    def pub(self, subject: str, payload: bytes, reply: str | None = None, headers: HeaderValues | None = None) -> None:
        """
        Publish, without waiting for the server.

        :raises SubjectError: the subject or the reply subject is not one.
        :raises HeaderError: a header is not one.
        """
        self.write(encoder.encode_pub(subject, payload, reply, encode_headers(headers) if headers else b""))

    def sub(self, subject: str, sid: int, queue_group: str | None = None) -> None:
        """
        Subscribe; messages go to ``on_msg[sid]``.

        :raises SubjectError: the subject or the queue group is not one.
        """
        self.write(encoder.encode_sub(subject, sid, queue_group))

    def unsub(self, sid: int, max_messages: int | None = None) -> None:
        """End a subscription, at once or after so many messages in all."""
        self.write(encoder.encode_unsub(sid, max_messages))

    def ping(self) -> Deferred[None]:
        """
        Ask for a sign of life.

        :return: fires when the server has read all that was written before; fails with
            :class:`~natsroute.errors.ConnectionLostError`.
        """
        asked = self._clock.seconds()

        def answered(_: None) -> None:
            self.rtt = self._clock.seconds() - asked

        return self.write_and_ping(b"").addCallback(answered)

    def write_and_ping(self, data: bytes) -> Deferred[None]:
        """Write whole commands and a PING behind them; see :meth:`ping` for the Deferred."""
        if self._is_closed:
            return fail(ConnectionLostError("the connection is closed"))
        pong: Deferred[None] = Deferred()
        self._pongs.append(pong)
        self.bytes_out += len(data) + len(encoder.PING)
        self.transport.write(data + encoder.PING)
        return pong

    def write(self, data: bytes) -> None:
        """Write whole commands."""
        if not self._is_closed:
            self.bytes_out += len(data)
            self.transport.write(data)

    def pause(self) -> None:
        """Stop reading: the server, not this process, then holds what comes."""
        self._reading.pause(self.transport)

    def resume(self) -> None:
        """Read again."""
        if self._reading.paused:
            self._pings_outstanding = 0
        pause = self._reading.resume(self.transport)
        if pause is not None and self._is_ready:
            self.ping().addCallbacks(lambda _: self._reading.answered(pause), lambda lost: None)

    def drain(self) -> Deferred[None]:
        """
        End all subscriptions.

        :return: fires when what was on its way for them is here; fails with
            :class:`~natsroute.errors.ConnectionLostError`.
        """
        for sid in self._on_msg:
            self.unsub(sid)
        return self.ping()

    def leave(self, reason: Exception) -> None:
        """End all subscriptions, take what is on its way still, and end the connection."""
        self.drain().addCallbacks(lambda _: self._end(reason, abort=False), lambda lost: None)

    def close(self) -> None:
        """End the connection when all that was written has gone out."""
        self._end(ConnectionLostError("the connection was closed by this side"), abort=False)

    # -- Twisted's side -----------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self._timer = self._clock.callLater(self._timing.connect_timeout, self._handshake_timed_out)
        if self._security.tls.first and self._security.required and not self._security.below:
            self._start_tls()

    def dataReceived(self, data: bytes) -> None:
        self.bytes_in += len(data)
        was_closed = self._is_closed  # TLS reads on until the other side has closed too
        if was_closed:
            return
        # Looked up once for each chunk: a chunk holds hundreds of messages.
        on_msg = self._on_msg
        message_type = self._message_type
        try:
            frames = self._parser.feed(data)
            for frame in frames:
                if type(frame) is message_type:
                    try:
                        deliver = on_msg[frame.address.sid]
                    except KeyError:
                        self.unknown_sids += 1  # it was on the way when its subscription ended
                        continue
                    deliver(frame)
                elif frame is Signal.PING:
                    self._ping_received()
                elif frame is Signal.PONG:
                    self._pong_received()
                elif type(frame) is Info:
                    self._info_received(frame)
                    if self._tls_is_next:
                        frames.close()
                        self._change_to_tls()
                        break
                elif type(frame) is Err:
                    self._error_received(server_error(frame.text))
                if self._is_closed:
                    break
        except ProtocolError as error:
            self._end(error)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._is_closed = True
        self._cancel_timer()
        self._stuck.stop()
        error = self._reason or self._last_words or self._tls_error(reason) or self._reading.cut_off()
        if error is None:
            error = ConnectionLostError(reason.getErrorMessage())
        pongs, self._pongs = self._pongs, deque()
        for pong in pongs:
            pong.errback(ConnectionLostError(str(error)))
        if not self._is_ready:
            self.ready.errback(error)
        self.closed.callback(error)

    # -- what the server says -------------------------------------------------------------------------------------

    def _info_received(self, info: Info) -> None:
        first, self._is_greeted = not self._is_greeted, True
        self.info = info
        self._parser.max_payload = info.max_payload
        if not first:
            if self._is_ready:
                self._on_info(info)
            return
        if self._security.below or self._tls is not None:
            self._log_in()
        elif info.tls_required or (self._security.required and info.tls_available):
            self._tls_is_next = True
        elif self._security.required:
            self._end(TlsError("TLS was asked for, and the server does not offer it. Nothing was sent to it"))
        else:
            self._log_in()

    def _change_to_tls(self) -> None:
        self._tls_is_next = False
        if self._parser.buffered:
            # Whoever sits in between could put these bytes there, and have them taken for the server's.
            self._end(ProtocolError("plain text behind INFO, where TLS must begin"))
            return
        self._start_tls()
        if self._tls is not None:
            self._log_in()

    def _start_tls(self) -> None:
        try:
            self._tls = self._security.tls.session(self._security.name)
            self.transport.startTLS(self._tls)
        except MisuseError as error:
            self._tls = None
            self._end(TlsError(f"no TLS: {error}"))

    def _tls_error(self, reason: Failure) -> Exception | None:
        return None if self._tls is None or self._is_ready else self._tls.error(reason)

    def _log_in(self) -> None:
        try:
            login = self._credentials.login(self.info.nonce)
        except MisuseError as error:
            self._end(HandshakeError(str(error)))
            return
        options = ConnectOptions(
            name=self._name,
            version=self._version,
            login=login,
            headers=self.info.headers,
            tls_required=self._security.required,
        )
        self.write(encoder.encode_connect(options))
        self._opening(self)
        self.ping().addCallbacks(self._handshake_done, lambda lost: None)

    def _handshake_done(self, _: None) -> None:
        self._cancel_timer()
        self._timer = self._clock.callLater(self._timing.ping_interval, self._keep_alive)
        self._is_ready = True
        self._stuck.watch(self.transport)
        self.ready.callback(self.info)

    def _ping_received(self) -> None:
        # A server that reads nothing could make any number of PONGs wait here; that one comes is all it asks for.
        now = self._clock.seconds()
        if not self._stuck.full or now >= self._next_pong:
            self._next_pong = now + 1.0
            self.write(encoder.PONG)

    def _pong_received(self) -> None:
        self._pings_outstanding = 0
        self._stuck.progress()
        if not self._pongs:
            raise ProtocolError("a PONG that nobody asked for")
        self._pongs.popleft().callback(None)

    def _error_received(self, error: ServerError) -> None:
        if not self._is_ready and not isinstance(error, PermissionsError):
            self._end(error)
            return
        if not isinstance(error, (PermissionsError, SubscriptionLimitError)):
            self._last_words = error  # the server ends the connection itself, and this is why
        self._on_error(error)

    # -- time -----------------------------------------------------------------------------------------------------

    def _handshake_timed_out(self) -> None:
        within = f"within {self._timing.connect_timeout} s"
        if self._is_greeted:
            self._end(HandshakeError(f"no PONG {within}" + (", after TLS was begun" if self._tls is not None else "")))
        elif self._tls is not None:
            self._end(TlsError(f"no answer to TLS {within}. Look at tls_first, and at the server's handshake_first"))
        else:
            self._end(HandshakeError(f"no INFO {within}. If the server has handshake_first, set tls_first"))

    def _keep_alive(self) -> None:
        self._timer = self._clock.callLater(self._timing.ping_interval, self._keep_alive)
        if self._reading.paused:
            return  # an answer could not be read
        if self._pings_outstanding >= self._timing.max_pings_outstanding:
            self._end(ConnectionLostError(f"{self._pings_outstanding} pings without an answer"))
            return
        self._pings_outstanding += 1
        self.ping().addErrback(lambda lost: None)

    def _end(self, reason: Exception, *, abort: bool = True) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._reason = reason
        self._cancel_timer()
        self._stuck.let_go()
        if abort:
            self.transport.abortConnection()
            return
        if self._reading.paused:
            self.resume()  # a transport that does not read would not notice its end
        self.transport.loseConnection()
        self._timer = self._clock.callLater(self._timing.connect_timeout, self.transport.abortConnection)

    def _cancel_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


class NatsFactory(Factory):
    """
    Builds the :class:`NatsProtocol` of each attempt.

    :param build: makes a protocol that has no transport yet.
    """

    noisy = False

    def __init__(self, build: Callable[[], NatsProtocol]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> NatsProtocol:
        protocol = self._build()
        protocol.factory = self
        return protocol
