"""
One NATS connection, from TCP to its end: the handshake, the pings, and each message to its subscription.

The handshake is INFO, CONNECT, PING, PONG. The connection is ready when it is done, and not before. How far a protocol
is, is its :class:`~natsroute.client.state.ProtocolState`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime, ITLSTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from natsroute.client.auth import Credentials
from natsroute.client.handshake import Handshake
from natsroute.client.options import InboundLimits, Security, Timing
from natsroute.client.pings import Pings
from natsroute.client.state import ProtocolEvent, ProtocolState
from natsroute.client.transport.flow_control import FlowControl
from natsroute.client.transport.plain_tcp import READ_SIZE, direct_writer, read_more
from natsroute.client.transport.tls import TlsSession
from natsroute.client.transport.write_timeout import WriteTimeout
from natsroute.errors import (
    ConnectionLostError,
    HandshakeError,
    PermissionsError,
    ProtocolError,
    ServerError,
    SubscriptionLimitError,
    TlsError,
)
from natsroute.wire import encoder
from natsroute.wire.frames import Err, Frame, Info, Msg, Signal
from natsroute.wire.headers import HeaderValues, encode_headers
from natsroute.wire.parser import Parser
from natsroute.wire.server_errors import server_error

#: Called with each message of a subscription.
OnMessage = Callable[[Any], object]


class _Transport(ITLSTransport, IPushProducer):
    """A TCP transport that can stop reading, and that can change to TLS."""


class NatsProtocol(Protocol):
    """
    Speaks NATS over one transport.

    Everything here is called on the reactor thread, and every Deferred fires there.

    :param name: the connection's name, which the server's monitoring shows.
    :param version: the version of this client.
    :param message_type: the class of the messages: Msg, or a subclass of it.
    :param on_login: called with this protocol when CONNECT is written. The server confirms what it writes together with
        the login, so a protocol that is ready has the subscriptions that are made here.
    :param on_info: called with each later INFO: the cluster has changed, or the server enters lame duck mode.
    :param on_error: called with each ``-ERR`` after the handshake.

    :ivar state: how far it is.
    :ivar ready: a Deferred that fires with the server's :class:`~natsroute.wire.frames.Info` when the handshake is
        done, or fails with what prevented it: :class:`~natsroute.errors.HandshakeError`,
        :class:`~natsroute.errors.ServerError`, :class:`~natsroute.errors.ProtocolError` or
        :class:`~natsroute.errors.ConnectionLostError`. Cancelling it does not close the connection.
    :ivar closed: a Deferred that fires with the exception that ended the connection, when the transport is gone. Do not
        cancel it.
    :ivar refused: the subscriptions that the server refused in the handshake.
    :ivar info: the server's last INFO.
    :ivar rtt: seconds between the last PING and its PONG, or None. On a busy connection that includes the time in which
        both wait behind other data.
    :ivar bytes_in: bytes received.
    :ivar bytes_out: bytes written.
    :ivar messages_out: messages written by :meth:`write_and_ping` and :meth:`write`.
    :ivar unknown_sids: messages received for subscriptions that have ended.
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
        inbound_limits: InboundLimits = InboundLimits(),
        message_type: type[Msg] = Msg,
        on_login: Callable[[NatsProtocol], object] = lambda protocol: None,
        on_info: Callable[[Info], object] = lambda info: None,
        on_error: Callable[[ServerError], object] = lambda error: None,
    ) -> None:
        self.state = ProtocolState.AWAITING_INFO
        self.ready: Deferred[Info] = Deferred()
        self.closed: Deferred[Exception] = Deferred()
        self.refused: list[PermissionsError] = []
        self.info = Info()
        self.rtt: float | None = None
        self.bytes_in = self.bytes_out = self.messages_out = self.unknown_sids = 0
        self._clock = clock
        self._handshake = Handshake(name, version, credentials, security)
        self._connect_timeout = timing.connect_timeout
        self._message_type = message_type
        self._on_login = on_login
        self._on_info = on_info
        self._on_error = on_error
        self._on_msg: dict[int, OnMessage] = {}  # by sid
        self._parser = Parser(
            max_control_line=inbound_limits.control_line,
            max_inbound_payload=inbound_limits.payload,
            message_type=message_type,
            receivers=self._on_msg,
        )
        self._tls: TlsSession | None = None
        self._bytes_before_tls = 0
        self._is_busy = False  # the last read was full
        self._flow = FlowControl(clock)
        self._write_timeout = WriteTimeout(clock, timing.write_timeout, self._end)
        self._pings = Pings(clock, timing, self._flow, ping=self.ping, on_dead=self._end)
        self._abort_timer: IDelayedCall | None = None  # of close()
        self._next_pong = 0.0
        self._reason: Exception | None = None  # why this side ended it
        self._last_words: ServerError | None = None

    # -- commands -----------------------------------------------------------------------------------------------------

    def pub(self, subject: str, payload: bytes, reply: str | None = None, headers: HeaderValues | None = None) -> None:
        """
        Publish. The server does not confirm it.

        :raises SubjectError: the subject or the reply subject is malformed.
        :raises HeaderError: a header is malformed.
        """
        self.write(encoder.encode_pub(subject, payload, reply, encode_headers(headers) if headers else b""))

    def sub(self, subject: str, sid: int, on_msg: OnMessage, queue_group: str | None = None) -> None:
        """
        Subscribe.

        :param sid: the number of the subscription, chosen by the caller.
        :param on_msg: called with each message.
        :raises SubjectError: the subject or the queue group is malformed.
        """
        self.write(encoder.encode_sub(subject, sid, queue_group))
        self._on_msg[sid] = on_msg

    def unsub(self, sid: int, max_messages: int | None = None) -> None:
        """
        End a subscription, now or after ``max_messages`` messages in all.

        What is on its way is still delivered, until :meth:`forget`.
        """
        self.write(encoder.encode_unsub(sid, max_messages))

    def forget(self, sid: int) -> None:
        """Deliver no more messages of a subscription."""
        self._on_msg.pop(sid, None)

    def ping(self) -> Deferred[None]:
        """
        Send a PING.

        :return: fires with the PONG, when the server has read all that was written before. Fails with
            :class:`~natsroute.errors.ConnectionLostError`. Cancelling it has no effect on the connection.
        """
        asked = self._clock.seconds()

        def answered(_: None) -> None:
            self.rtt = self._clock.seconds() - asked

        return self.write_and_ping(b"").addCallback(answered)

    def write_and_ping(self, data: bytes, messages: int = 0) -> Deferred[None]:
        """
        Write complete commands and a PING behind them; see :meth:`ping` for the Deferred.

        :param messages: the number of messages in ``data``, for :attr:`messages_out`.
        """
        if not self.state.is_open:
            return fail(ConnectionLostError("the connection is closed"))
        self.messages_out += messages
        self.bytes_out += len(data) + len(encoder.PING)
        self._write_at_once((data, encoder.PING))
        return self._pings.sent()

    def write(self, data: bytes, messages: int = 0, *, now: bool = False) -> None:
        """
        Write complete commands; nothing happens if the connection is closed.

        :param messages: the number of messages in them, for :attr:`messages_out`.
        :param now: send them at once, as for :meth:`write_and_ping`, and not with what else this turn writes.
        """
        if self.state.is_open:
            self.messages_out += messages
            self.bytes_out += len(data)
            self._write_at_once((data,)) if now else self.transport.write(data)

    def pause(self) -> None:
        """
        Stop reading: the server, and not this process, then holds the messages.

        Nothing happens during the handshake or while the server is left, since both need the server's answers.
        """
        if self.state is ProtocolState.READY:
            self._flow.pause(self.transport)

    def resume(self) -> None:
        """Read again."""
        if self._flow.paused:
            self._pings.forgive()
        pause = self._flow.resume(self.transport)
        if pause is not None and self.state.is_established:
            self.ping().addCallbacks(lambda _: self._flow.answered(pause), lambda lost: None)

    def drain(self) -> Deferred[None]:
        """
        End all subscriptions.

        :return: fires when all of their messages that were on their way have arrived. Fails with
            :class:`~natsroute.errors.ConnectionLostError`. Cancelling it has no effect on the connection.
        """
        for sid in self._on_msg:
            self.unsub(sid)
        return self.ping()

    def leave(self, reason: Exception) -> None:
        """
        End all subscriptions, take the messages that are on their way, and close the connection.

        :param reason: what :attr:`closed` fires with.
        """
        self.state = self.state.after(ProtocolEvent.LEAVE)
        self.drain().addCallbacks(lambda _: self._end(reason, abort=False), lambda lost: None)

    def close(self, reason: Exception | None = None) -> None:
        """
        Close the connection when all that was written is sent, or at the latest after ``connect_timeout``.

        Nothing that arrives later is delivered. :attr:`closed` fires with the reason, if there is one.
        """
        self._end(reason or ConnectionLostError("this side closed the connection"), abort=False)

    def abort(self) -> None:
        """Close the connection at once, even if data waits to be sent."""
        self._end(ConnectionLostError("this side closed the connection"))

    def time_out(self) -> None:
        """
        Abort a handshake that takes too long; the error says what is missing.

        Who connects calls this: the handshake has no timeout of its own.
        """
        if self.state.is_handshake:
            self._end(self._handshake.timed_out(self.state, self._connect_timeout, tls_began=self._tls is not None))

    @property
    def used_tls(self) -> bool:
        """Whether data came over TLS that this protocol started: the server has a valid certificate."""
        return self._tls is not None and self.bytes_in > self._bytes_before_tls

    # -- Twisted's side -----------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        self._write_at_once: Callable[[Sequence[bytes]], object] = self.transport.writeSequence
        self.transport.setTcpNoDelay(True)
        if self._handshake.begins_with_tls:
            try:
                self._start_tls()
            except TlsError as error:
                self._end(error)

    def dataReceived(self, data: bytes) -> None:
        self.bytes_in += len(data)
        if (len(data) >= READ_SIZE) is not self._is_busy:
            self._is_busy = not self._is_busy
            read_more(self.transport, self._is_busy)
        state = self.state
        if not state.is_open:
            return  # TLS keeps reading until the other side has closed too
        try:
            frames = self._parser.feed(data)  # which gives messages to their subscriptions
            for frame in frames:
                if not self.state.is_open:  # anything before may have closed it
                    break
                if type(frame) is self._message_type:
                    self.unknown_sids += 1  # it was on its way when its subscription ended
                elif frame is Signal.PING:
                    self._ping_received()
                elif frame is Signal.PONG:
                    self._pong_received()
                elif type(frame) is Info:
                    self._info_received(frame, frames)
                elif type(frame) is Err:
                    self._error_received(server_error(frame.text))
        except (ProtocolError, HandshakeError) as error:
            self._end(error)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        state = self.state
        self.state = self.state.after(ProtocolEvent.LOST)
        self._on_msg.clear()
        self._stop_timers()
        self._write_timeout.stop()
        tls_error = self._tls.error(reason) if state.is_handshake and self._tls is not None else None
        known = self._reason or self._last_words or tls_error or self._flow.cut_off()
        error = known or ConnectionLostError(reason.getErrorMessage())
        self._pings.fail(error)
        if state.is_handshake:
            self.ready.errback(error)
        self.closed.callback(error)

    # -- the handshake ------------------------------------------------------------------------------------------------

    def _start_tls(self) -> None:
        if self._parser.buffered:
            # An attacker between us and the server could inject these bytes, and they would count as the server's.
            raise ProtocolError("plain text behind INFO, where TLS must begin")
        self._tls = self._handshake.start_tls()
        self._bytes_before_tls = self.bytes_in
        self.transport.startTLS(self._tls)

    def _log_in(self) -> None:
        connect = self._handshake.connect(self.info)
        self.state = self.state.after(ProtocolEvent.LOG_IN)
        self.write(connect)
        self._on_login(self)
        self.ping().addCallbacks(self._handshake_done, lambda lost: None)

    def _handshake_done(self, _: None) -> None:
        self.state = self.state.after(ProtocolEvent.READY)
        self._pings.start()
        self._write_timeout.watch(self.transport)
        self._write_at_once = direct_writer(self.transport)  # no TLS is started from here on
        self.ready.callback(self.info)

    # -- what the server says -----------------------------------------------------------------------------------------

    def _info_received(self, info: Info, frames: Generator[Frame, None, None]) -> None:
        self.info = info
        if self.state.is_established:
            self._on_info(info)
        elif self.state is ProtocolState.AWAITING_INFO:
            if self._handshake.needs_tls(info):
                self.state = self.state.after(ProtocolEvent.START_TLS)
                frames.close()  # what follows INFO goes back into the parser's buffer
                self._start_tls()
            self._log_in()

    def _ping_received(self) -> None:
        # A server that does not read could make any number of PONGs wait here. It only needs to see that one comes.
        now = self._clock.seconds()
        if not self._write_timeout.full or now >= self._next_pong:
            self._next_pong = now + 1.0
            self.write(encoder.PONG)

    def _pong_received(self) -> None:
        self._write_timeout.progress()
        self._pings.answered()

    def _error_received(self, error: ServerError) -> None:
        if self.state.is_handshake:
            if not isinstance(error, PermissionsError):
                self._end(error)
            elif len(self.refused) < len(self._on_msg):
                self.refused.append(error)
            return
        if not isinstance(error, (PermissionsError, SubscriptionLimitError)):
            self._last_words = error  # the server ends the connection itself, and this is the reason
        self._on_error(error)

    # -- its life -----------------------------------------------------------------------------------------------------

    def _end(self, reason: Exception, *, abort: bool = True) -> None:
        state = self.state
        if not state.is_open:
            return
        self.state = self.state.after(ProtocolEvent.CLOSE)
        self._on_msg.clear()  # the rest of the chunk is not delivered
        self._reason = reason
        self._stop_timers()
        self._write_timeout.unwatch()
        if abort:
            self.transport.abortConnection()
        else:
            if self._flow.paused:
                self.resume()  # a transport that does not read would not notice its end
            self._abort_timer = self._clock.callLater(self._connect_timeout, self.transport.abortConnection)
            self.transport.loseConnection()
        if state.is_handshake:
            self.ready.errback(reason)

    def _stop_timers(self) -> None:
        self._pings.stop()
        if self._abort_timer is not None and self._abort_timer.active():
            self._abort_timer.cancel()
