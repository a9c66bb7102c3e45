"""
A connection that stays: it finds a server, subscribes, and when it is cut begins again, until it is stopped.

The whole life is one coroutine, :meth:`Connection._live`. (Not Twisted's ``ClientService``: it counts attempts by TCP
and not by NATS handshake, and writes a log line for every retry.)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from typing import Protocol as Interface

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger

from natsroute._version import __version__
from natsroute.client.auth import Credentials, CredentialsSource, ask_for_credentials
from natsroute.client.options import Security, Timing
from natsroute.client.protocol import NatsFactory, NatsProtocol, OnMessage
from natsroute.client.server_pool import ServerPool
from natsroute.client.servers import Server
from natsroute.client.status import Change, State, Status
from natsroute.client.subscription import PendingLimits, Subscription
from natsroute.client.transport.endpoints import attempt_error, endpoint_for_server
from natsroute.client.transport.tls import Tls
from natsroute.errors import (
    AuthorizationError,
    ConnectionLostError,
    MisuseError,
    PendingLimitError,
    PermissionsError,
    ServerError,
    ServerLeftError,
    TlsError,
)
from natsroute.wire.frames import Info, Msg
from natsroute.wire.parser import DEFAULT_MAX_CONTROL_LINE
from natsroute.wire.subjects import check_pattern, check_queue_group

T = TypeVar("T")


class EndpointFor(Interface):
    """Makes the endpoint of a server; ``timeout`` is in seconds."""

    def __call__(self, server: Server, timeout: float) -> IStreamClientEndpoint: ...


class Connection(Service):
    """
    One connection to one of several NATS servers, kept alive for ever.

    :param reactor: clock and TCP.
    :param servers: which server is next, and when.
    :param client_name: the name that the server shows in its monitoring.
    :param credentials: who we are, for servers whose URL does not say; asked before each attempt.
    :param tls: how TLS is done.
    :param require_tls: whether servers without TLS are refused, whatever their URL says.
    :param message_type: what messages are made as: Msg, or a subclass of it.
    :param endpoint_for: how a server is reached; by default all addresses of its name.

    :ivar state: what the observers were told last; CLOSED before the start.
    :ivar reconnects: how often it was connected again.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        servers: ServerPool,
        *,
        client_name: str = "natsroute",
        credentials: CredentialsSource = Credentials,
        tls: Tls = Tls(),
        require_tls: bool = False,
        timing: Timing = Timing(),
        max_control_line: int = DEFAULT_MAX_CONTROL_LINE,
        message_type: type[Msg] = Msg,
        endpoint_for: EndpointFor | None = None,
    ) -> None:
        self.state = State.CLOSED
        self.reconnects = -1
        self._reactor = reactor
        self._servers = servers
        self._client_name = client_name
        self._credentials = credentials
        self._tls = tls
        self._require_tls = require_tls
        self._timing = timing
        self._max_control_line = max_control_line
        self._message_type = message_type
        self._endpoint_for = endpoint_for or partial(endpoint_for_server, reactor, tls)
        self._observers: list[Callable[[Change], None]] = []
        self._error_observers: list[Callable[[ServerError], None]] = []
        self._subscriptions: dict[int, Subscription] = {}
        self._on_msg: dict[int, OnMessage] = {}
        self._last_sid = 0
        self._pausing: set[Subscription] = set()
        self._draining = False
        self._server: Server | None = None
        self._messages_in = self._bytes_in = self._messages_out = self._bytes_out = 0  # of what has ended
        self._last_error: ServerError | None = None
        self._protocol: NatsProtocol | None = None
        self._life: Deferred[None] = succeed(None)

    # -- for those who use it ---------------------------------------------------------------------------------

    @property
    def info(self) -> Info | None:
        """What the connected server says of itself; None while there is none."""
        return self._protocol.info if self._protocol is not None and self.state is State.CONNECTED else None

    @property
    def max_payload(self) -> int | None:
        """Bytes that the connected server allows a message to have; None while there is none."""
        return None if self.info is None else self.info.max_payload

    def observe(self, observer: Callable[[Change], None]) -> None:
        """Call the observer with each :class:`Change` from now on."""
        self._observers.append(observer)

    def observe_errors(self, observer: Callable[[ServerError], None]) -> None:
        """Call the observer with each ``-ERR`` of a connected server."""
        self._error_observers.append(observer)

    def subscribe(
        self,
        subject: str,
        on_msg: Callable[[Any], Deferred[None] | None],
        queue_group: str | None = None,
        limits: PendingLimits = PendingLimits(),
        on_overflow: Callable[[PendingLimitError], None] = lambda error: None,
    ) -> Subscription:
        """
        Subscribe now and again after every reconnect. See :class:`~natsroute.client.subscription.Subscription` for
        what ``on_msg`` may return, and when ``on_overflow`` is called.

        :raises SubjectError: the subject or the queue group is not one.
        """
        check_pattern(subject)
        if queue_group is not None:
            check_queue_group(queue_group)
        self._last_sid += 1
        subscription = Subscription(self, self._last_sid, subject, queue_group, on_msg, limits, on_overflow)
        self._subscriptions[subscription.sid] = subscription
        self._on_msg[subscription.sid] = subscription.deliver
        if self._protocol is not None:
            self._protocol.sub(subject, subscription.sid, queue_group)
        return subscription

    def drain(self) -> Deferred[None]:
        """
        End all subscriptions, for good until the connection is started anew; the connection stays.

        :return: fires when what was on its way for them is here, or will not come any more; never fails.
        """
        self._draining = True
        if self._protocol is None or self.state is not State.CONNECTED:
            return succeed(None)
        return self._protocol.drain().addErrback(lambda lost: None)

    def status(self) -> Status:
        """How the connection is now."""
        protocol, subscriptions = self._protocol, self._subscriptions.values()
        return Status(
            state=self.state,
            server=self._server,
            rtt=protocol.rtt if protocol is not None else None,
            reconnects=max(0, self.reconnects),
            messages_in=self._messages_in + sum(subscription.received for subscription in subscriptions),
            bytes_in=self._bytes_in + (protocol.bytes_in if protocol is not None else 0),
            messages_out=self._messages_out,
            bytes_out=self._bytes_out + (protocol.bytes_out if protocol is not None else 0),
            last_error=self._last_error,
        )

    def write_and_ping(self, data: bytes, messages: int = 0) -> Deferred[None]:
        """
        Write whole commands, each made by :mod:`natsroute.wire.encoder`.

        :param messages: how many messages that are, for :meth:`status`.
        :return: fires when the server has read them; fails with :class:`~natsroute.errors.ConnectionLostError`,
            and then nobody knows whether it has.
        """
        if self._protocol is None or self.state is not State.CONNECTED:
            return fail(ConnectionLostError("there is no connection"))
        self._messages_out += messages
        return self._protocol.write_and_ping(data)

    # -- for its subscriptions --------------------------------------------------------------------------------

    def unsubscribe(self, subscription: Subscription, max_messages: int | None) -> None:
        """End a subscription of this connection, at once or after so many messages in all."""
        if subscription.sid not in self._subscriptions:
            return
        if max_messages is not None and max_messages > subscription.received:
            subscription.end_at(max_messages)
        else:
            max_messages = None
            self.forget(subscription)
        if self._protocol is not None:
            self._protocol.unsub(subscription.sid, max_messages)

    def forget(self, subscription: Subscription) -> None:
        """The subscription has had its last message."""
        if self._subscriptions.pop(subscription.sid, None) is not None:
            self._messages_in += subscription.received
        self._on_msg.pop(subscription.sid, None)
        self.resume(subscription)

    def pause(self, subscription: Subscription) -> None:
        """Stop reading for as long as a subscription wants it."""
        self._pausing.add(subscription)
        if self._protocol is not None and self.state is State.CONNECTED:
            self._protocol.pause()

    def resume(self, subscription: Subscription) -> None:
        """The subscription wants messages again."""
        if subscription in self._pausing:
            self._pausing.discard(subscription)
            if self._protocol is not None and not self._pausing:
                self._protocol.resume()

    # -- its life ---------------------------------------------------------------------------------------------

    def startService(self) -> None:
        if self.running:
            raise MisuseError("the connection is running already")
        if not self._life.called:
            raise MisuseError("the connection is still closing: wait for stopService()'s Deferred")
        super().startService()
        self._draining = False
        self._life = Deferred.fromCoroutine(self._live())

    def stopService(self) -> Deferred[None]:
        """
        Close the connection; what was written still goes out.

        :return: fires when it is closed.
        """
        super().stopService()
        if self._protocol is not None and self.state in (State.CONNECTED, State.LAME_DUCK):
            self._protocol.close()
        else:
            self._life.cancel()
        stopped: Deferred[None] = Deferred()
        self._life.addBoth(lambda _: stopped.callback(None))
        return stopped

    async def _live(self) -> None:
        self._servers.restart()
        try:
            while self.running:
                server, delay = self._servers.next(self._reactor.seconds())
                await deferLater(self._reactor, delay)
                try:
                    protocol = await self._connect(server)
                    if protocol is not None:
                        await self._serve(server, protocol)
                except CancelledError:
                    raise
                except Exception as fault:
                    self.log.failure(
                        "A connection to {server} ended over a fault of natsroute's own", server=str(server)
                    )
                    await self._end_after(fault, server)
        except CancelledError:
            pass  # stopped between two connections
        self._tell(Change(State.CLOSED))

    async def _end_after(self, fault: Exception, server: Server) -> None:
        """Whatever the fault was, another attempt follows."""
        was_connected = self.state in (State.CONNECTED, State.LAME_DUCK)
        if self._protocol is not None:
            protocol = self._protocol
            protocol.close()
            await protocol.closed
            self._let_go(protocol)
        self._servers.failed(server, self._reactor.seconds())
        if self.running:
            self._tell(Change(State.DISCONNECTED if was_connected else State.CONNECT_FAILED, server, fault))

    async def _connect(self, server: Server) -> NatsProtocol | None:
        """A protocol that is ready, or None, and the observers know why."""
        protocol: NatsProtocol | None = None
        try:
            if self._require_tls and server.scheme == "ws":
                raise TlsError("TLS was asked for, and a ws:// server has none. Nothing was sent to it")
            credentials = await self._credentials_for(server)
            endpoint = self._endpoint_for(server, self._timing.connect_timeout)
            factory = NatsFactory(lambda: self._build_protocol(server, credentials))
            protocol = await endpoint.connect(factory)  # type: ignore[assignment]
            assert protocol is not None
            await protocol.ready
        except Exception as error:
            # Whatever it was, another attempt follows: an endpoint may fail with what it likes.
            if protocol is not None:
                protocol.close()
                await protocol.closed
                self._let_go(protocol)
            if not self.running:
                raise CancelledError() from None
            refused = isinstance(error, AuthorizationError)
            self._servers.failed(server, self._reactor.seconds(), refused=refused)
            if isinstance(error, ServerError):
                self._last_error = error
            self._tell(Change(State.CONNECT_FAILED, server, attempt_error(error)))
            return None
        self._servers.succeeded(server)
        return protocol

    async def _credentials_for(self, server: Server) -> Credentials:
        if server.credentials is not None:
            return server.credentials
        return await ask_for_credentials(self._credentials, self._reactor, self._timing.connect_timeout)

    async def _serve(self, server: Server, protocol: NatsProtocol) -> None:
        """Use a ready protocol until it ends."""
        self.reconnects += 1
        connected_at = self._reactor.seconds()
        self._server = server
        if self._pausing:
            protocol.pause()
        self._tell(Change(State.CONNECTED, server))
        self._look_at(server, protocol.info)
        reason = await protocol.closed
        self._let_go(protocol)
        self._servers.lost(server, self._reactor.seconds() - connected_at)
        if self.running:
            self._tell(Change(State.DISCONNECTED, server, reason))

    def _let_go(self, protocol: NatsProtocol) -> None:
        """A protocol has ended; its totals remain."""
        if self._protocol is protocol:
            self._protocol = self._server = None
        self._bytes_in += protocol.bytes_in
        self._bytes_out += protocol.bytes_out
        for subscription in self._subscriptions.values():
            subscription.refused = None  # the next server, or the next permissions, may allow it

    def _look_at(self, server: Server, info: Info) -> None:
        """What a server says of its cluster, and of its own end."""
        self._servers.told(info.connect_urls, server)
        if info.ldm and self.state is State.CONNECTED and self._servers.has_other_than(server):
            assert self._protocol is not None
            reason = ServerLeftError("the server goes away soon (lame duck mode)")
            self._tell(Change(State.LAME_DUCK, server, reason))
            self._protocol.leave(reason)

    def _build_protocol(self, server: Server, credentials: Credentials) -> NatsProtocol:
        return NatsProtocol(
            self._reactor,
            name=self._client_name,
            version=__version__.public(),
            credentials=credentials,
            security=Security(self._tls, self._require_tls or server.secure, server.name, below=server.web),
            timing=self._timing,
            max_control_line=self._max_control_line,
            message_type=self._message_type,
            on_msg=self._on_msg,
            on_error=self._error,
            on_info=partial(self._info_changed, server),
            opening=self._subscribe_all,
        )

    def _subscribe_all(self, protocol: NatsProtocol) -> None:
        self._protocol = protocol  # what is subscribed from now on is written to it
        if self._draining:
            return
        for subscription in self._subscriptions.values():
            protocol.sub(subscription.subject, subscription.sid, subscription.queue_group)
            if subscription.left is not None:
                protocol.unsub(subscription.sid, subscription.left)

    def _tell(self, change: Change) -> None:
        self.state = change.state
        self._call_all(self._observers, change)

    def _info_changed(self, server: Server, info: Info) -> None:
        if self.state is State.CONNECTED:
            self._look_at(server, info)

    def _error(self, error: ServerError) -> None:
        self._last_error = error
        if isinstance(error, PermissionsError) and error.operation == "subscription":
            for subscription in self._subscriptions.values():
                if (subscription.subject, subscription.queue_group) == (error.subject, error.queue_group):
                    subscription.refused = error
        self._call_all(self._error_observers, error)

    def _call_all(self, observers: list[Callable[[T], None]], news: T) -> None:
        for observer in observers:
            try:
                observer(news)
            except Exception:
                self.log.failure("An observer of the connection raised an exception")
