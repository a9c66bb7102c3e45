"""
A connection that stays: it finds a server, subscribes, and starts again when it is cut, until it is stopped.

Its whole life is one coroutine, :meth:`Connection._live`; what may happen when is in :mod:`natsroute.client.state`. It
finds a server (:mod:`natsroute.client.search`), uses it until another one is needed, and so on
(:mod:`natsroute.client.sessions`).
(Twisted's ``ClientService`` does not fit: it counts an attempt as successful when TCP is connected, not when the NATS
handshake is done, and it logs a line for every retry.)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime

from natsroute.client.attempt import Attempt
from natsroute.client.auth import Credentials, CredentialsSource
from natsroute.client.dialer import Dialer, EndpointFor
from natsroute.client.observers import Observers
from natsroute.client.options import InboundLimits, Timing
from natsroute.client.protocol import NatsProtocol
from natsroute.client.search import Search
from natsroute.client.server_pool import ServerPool
from natsroute.client.servers import Server
from natsroute.client.sessions import Sessions
from natsroute.client.state import ConnectionEvent, State
from natsroute.client.status import Change, Status
from natsroute.client.subscription import PendingLimits, Subscription
from natsroute.client.subscriptions import Subscriptions
from natsroute.client.tls_memory import TlsMemory
from natsroute.client.totals import Totals
from natsroute.client.transport.endpoints import attempt_error, endpoint_for_server
from natsroute.client.transport.resolver import Resolver
from natsroute.client.transport.tls import Tls
from natsroute.errors import ConnectionLostError, MisuseError, PendingLimitError, ServerError, ServerLeftError
from natsroute.log import Logger
from natsroute.turns import SharedTurns
from natsroute.wire.frames import Info, Msg


class Connection(Service):
    """
    A connection to one of several NATS servers, kept alive until it is stopped.

    Everything here is called on the reactor thread, and every Deferred fires there.

    :param reactor: the clock, and what connects.
    :param servers: chooses the next server. Each connection needs a pool of its own.
    :param client_name: the name that the server's monitoring shows.
    :param credentials: called before each attempt to a server whose URL has no credentials. Returns the credentials, or
        an awaitable of them.
    :param tls: files and options of TLS.
    :param require_tls: whether a server without TLS is refused, even if its URL does not ask for TLS.
    :param tls_memory: knows the servers that used TLS; None: only this connection's. Connections may share one.
    :param timing: timeouts, in seconds.
    :param inbound_limits: how much a server may send at once.
    :param message_type: the class of the messages: Msg, or a subclass of it.
    :param turns: shares the turns of the reactor among subscriptions that have a backlog; None: only this connection's.
    :param endpoint_for: makes the endpoint of a server at one of its addresses.
    :param resolve: looks up the IP addresses of a name. With ``endpoint_for`` alone, the name is the address.

    :ivar state: what it is doing; CLOSED before the start.
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
        tls_memory: TlsMemory | None = None,
        timing: Timing = Timing(),
        inbound_limits: InboundLimits = InboundLimits(),
        message_type: type[Msg] = Msg,
        turns: SharedTurns | None = None,
        endpoint_for: EndpointFor | None = None,
        resolve: Callable[[str], Deferred[list[str]]] | None = None,
    ) -> None:
        self.state = State.CLOSED
        self._reactor = reactor
        self._servers = servers
        self._tls_memory = TlsMemory() if tls_memory is None else tls_memory
        self._dialer = Dialer(
            clock=reactor,
            client_name=client_name,
            credentials=credentials,
            tls=tls,
            require_tls=require_tls,
            tls_memory=self._tls_memory,
            timing=timing,
            inbound_limits=inbound_limits,
            message_type=message_type,
            endpoint_for=endpoint_for or partial(endpoint_for_server, reactor, tls),
            resolve=resolve or (Resolver(reactor).resolve if endpoint_for is None else lambda name: succeed([name])),
        )
        self._observers: Observers[[Change]] = Observers()
        self._error_observers: Observers[[ServerError, Server]] = Observers()
        self._info_observers: Observers[[Info]] = Observers()
        self._subscriptions = Subscriptions(reactor, servers.backoff.login_delay, self._on_accepted, turns)
        self._totals = Totals()
        self._search = Search(
            reactor,
            servers,
            self._new_attempt,
            on_attempt=lambda: self._advance(ConnectionEvent.ATTEMPT),
            on_failed=self._on_failed,
        )
        self._sessions = Sessions(reactor, servers, self._subscriptions, self._totals, self._on_lost)
        self._last_error: ServerError | None = None
        self._life: Deferred[None] = succeed(None)

    # -- for its users ------------------------------------------------------------------------------------------------

    @property
    def info(self) -> Info | None:
        """The last INFO of the connected server; None while there is none."""
        protocol = self._connected
        return None if protocol is None else protocol.info

    @property
    def max_payload(self) -> int | None:
        """Bytes that a message to the connected server may have; None while there is none."""
        protocol = self._connected
        return None if protocol is None else protocol.info.max_payload

    @property
    def reconnects(self) -> int:
        """How often it has connected again."""
        return max(0, self._totals.connects - 1)

    def observe(self, on_change: Callable[[Change], object]) -> Callable[[], None]:
        """
        Report each change from now on.

        :param on_change: called with each :class:`~natsroute.client.status.Change`, when the state is already the new
            one. An exception is logged.
        :return: ends it.
        """
        return self._observers.add(on_change)

    def observe_errors(self, on_error: Callable[[ServerError, Server], object]) -> None:
        """
        Report each ``-ERR`` of a connected server from now on, and of one that is left.

        :param on_error: called with each error, and the server that sent it. An exception is logged.
        """
        self._error_observers.add(on_error)

    def observe_info(self, on_info: Callable[[Info], object]) -> None:
        """Call ``on_info`` with each INFO of a connected server from now on, the first one after CONNECTED."""
        self._info_observers.add(on_info)

    def subscribe(
        self,
        subject: str,
        on_msg: Callable[[Any], Deferred[None] | None],
        queue_group: str | None = None,
        limits: PendingLimits = PendingLimits(),
        on_overflow: Callable[[PendingLimitError], None] = lambda error: None,
        make: Callable[..., Subscription] = Subscription,
    ) -> Subscription:
        """
        Subscribe, now if there is a server, and again after every reconnect.

        See :class:`~natsroute.client.subscription.Subscription` for what ``on_msg`` may return and when ``on_overflow``
        is called; ``make`` is that class or makes a subclass.

        :raises SubjectError: the subject or the queue group is malformed.
        """
        subscription = self._subscriptions.add(subject, on_msg, queue_group, limits, on_overflow, make)
        if self.state is State.LAME_DUCK:
            self._sessions.leave_if_alone()
        return subscription

    def drain(self) -> Deferred[None]:
        """
        End all subscriptions until the connection is started again. The connection stays.

        :return: fires when no more messages can come: all that were on their way have arrived, or their server is lost.
            Never fails. Cancelling it does not undo the drain.
        """
        drained = self._subscriptions.drain()
        if self.state in (State.CONNECTED, State.REFUSED):
            self._advance(ConnectionEvent.DRAIN)
            drained.addCallback(self._drained)
        waiting: Deferred[None] = Deferred()  # cancelling it does not reach the PINGs
        drained.addCallback(lambda _: None if waiting.called else waiting.callback(None))
        return waiting

    def _drained(self, _: None) -> None:
        if self.state is State.DRAINING:
            self._advance(ConnectionEvent.DRAINED)

    @property
    def server(self) -> Server | None:
        """The server it is connected to."""
        return self._sessions.server

    def status(self) -> Status:
        """The status at this moment."""
        protocol, totals = self._sessions.protocol, self._totals
        return Status(
            state=self.state,
            server=self.server,
            rtt=protocol.rtt if protocol is not None else None,
            reconnects=self.reconnects,
            messages_in=self._subscriptions.received + totals.unclaimed,
            unclaimed=totals.unclaimed,
            bytes_in=totals.bytes_in,
            messages_out=totals.messages_out,
            bytes_out=totals.bytes_out,
            last_error=self._last_error,
        )

    def write_and_ping(self, data: bytes, messages: int = 0) -> Deferred[None]:
        """
        Write commands and a PING.

        :param data: complete commands, made by :mod:`natsroute.wire.encoder`.
        :param messages: the number of messages in them, for :meth:`status`.
        :return: fires when the server has read them. Fails with :class:`~natsroute.errors.ConnectionLostError` if the
            connection ends first; the server may have read them nevertheless. Do not cancel it.
        """
        protocol = self._connected
        if protocol is None:
            return fail(ConnectionLostError("there is no connection"))
        return protocol.write_and_ping(data, messages)

    def write(self, data: bytes, messages: int = 0, *, now: bool = False) -> bool:
        """
        Write commands, and let the server not confirm them.

        :param data: complete commands, made by :mod:`natsroute.wire.encoder`.
        :param messages: the number of messages in them, for :meth:`status`.
        :param now: send them at once, and not with what else is written in this turn of the reactor.
        :return: whether there is a connection. If not, nothing was written.
        """
        protocol = self._connected
        if protocol is None:
            return False
        protocol.write(data, messages, now=now)
        return True

    # -- its life -----------------------------------------------------------------------------------------------------

    def startService(self) -> None:
        """
        Connect, and connect again whenever the connection is lost. During a stop, start when it is done.

        :raises MisuseError: the connection is running, or will start again.
        """
        if self.state not in (State.CLOSED, State.CLOSING):
            raise MisuseError("the connection is already running")
        is_closed = self.state is State.CLOSED
        super().startService()
        self._advance(ConnectionEvent.START)
        if is_closed:
            self._subscriptions.restart()
            self._life = Deferred.fromCoroutine(self._live())

    def stopService(self) -> Deferred[None]:
        """
        Close the connection; what was written still goes out. An attempt to connect is given up at once.

        :return: fires when it is closed. Cancelling it does not undo the stop.
        """
        super().stopService()
        was_ending = self.state.is_ending
        life = self._life  # it may end at once, and an observer may begin another one
        if not was_ending or self.state is State.RESTARTING:
            self._advance(ConnectionEvent.STOP)
        if not was_ending:
            self._search.give_up()
            self._sessions.close()
        stopped: Deferred[None] = Deferred()
        life.addBoth(lambda _: stopped.callback(None))
        return stopped

    async def _live(self) -> None:
        self._servers.restart()
        try:
            while not self.state.is_ending:
                server, protocol = await self._search.find()
                try:
                    await self._serve(server, protocol)
                except Exception as fault:
                    self.log.failure(
                        "The connection to {server} ended because of a fault in natsroute", server=str(server)
                    )
                    await self._end_after(fault, server)
        except CancelledError:
            pass  # stopped without a server
        await self._sessions.closed()
        starts_again = self.state is State.RESTARTING
        self._report(Change(ConnectionEvent.CLOSED))  # an observer may start it
        if starts_again and self.state is State.CLOSED:
            self.startService()

    async def _end_after(self, fault: Exception, server: Server) -> None:
        """Close what is open; another attempt follows, whatever the fault was."""
        if self._sessions.protocol is not None:
            self._sessions.protocol.close(fault)
            await self._sessions.server_needed
        self._servers.failed(server, self._reactor.seconds())
        if self.state is State.CONNECTING:
            self._report(Change(ConnectionEvent.CONNECT_FAILED, server, fault))

    def _new_attempt(self, server: Server) -> Attempt:
        return self._dialer.attempt(
            server,
            on_protocol=self._sessions.opened,
            on_login=self._subscriptions.subscribe_at,
            on_info=self._on_info,
            on_error=partial(self._on_error, server),
        )

    def _on_failed(self, server: Server, error: Exception) -> None:
        if isinstance(error, ServerError):
            self._last_error = error
        self._report(Change(ConnectionEvent.CONNECT_FAILED, server, attempt_error(error)))

    async def _serve(self, server: Server, protocol: NatsProtocol) -> None:
        """Use a protocol that is ready until another server is needed."""
        if protocol.refused and self._sessions.protocol is not None:
            # The server in lame duck mode still has all subscriptions.
            self._sessions.leave(protocol)
            self._servers.failed(server, self._reactor.seconds())
            self._on_failed(server, protocol.refused[0])
            return
        self._sessions.begin(server, protocol)
        self._take_over(server, protocol)
        self._on_info(protocol, protocol.info)
        await self._sessions.server_needed

    def _take_over(self, server: Server, protocol: NatsProtocol) -> None:
        """The handshake is done: report whether the server has the subscriptions too."""
        for error in protocol.refused:
            self._last_error = error
            self._subscriptions.refuse(protocol, error)
        refusal = self._subscriptions.refusal
        event = ConnectionEvent.CONNECTED if refusal is None else ConnectionEvent.REFUSED
        self._report(Change(event, server, refusal))
        for error in protocol.refused:
            self._error_observers.notify(error, server)

    def _on_lost(self, server: Server, reason: Exception) -> None:
        if self.state.has_server:
            self._report(Change(ConnectionEvent.DISCONNECTED, server, reason))
        if self.state is State.WAITING and self._search.is_attempting:  # it has begun in lame duck mode
            self._advance(ConnectionEvent.ATTEMPT)

    # -- what the server says -----------------------------------------------------------------------------------------

    def _on_info(self, protocol: NatsProtocol, info: Info) -> None:
        server = self._sessions.server
        if server is None or protocol is not self._connected:
            return
        self._info_observers.notify(info)
        self._tls_memory.named(server, info.connect_urls)
        self._servers.announced(info.connect_urls, server)
        if info.ldm and self._servers.has_other_than(server):
            self._report(Change(ConnectionEvent.LAME_DUCK, server, ServerLeftError()))
            self._sessions.move()

    def _on_error(self, server: Server, protocol: NatsProtocol, error: ServerError) -> None:
        self._last_error = error
        self._subscriptions.refuse(protocol, error)
        if self.state is State.CONNECTED and self._subscriptions.refusal is not None:
            self._report(Change(ConnectionEvent.REFUSED, server, error))
        self._error_observers.notify(error, server)

    def _on_accepted(self) -> None:
        if self.state is State.REFUSED:
            self._report(Change(ConnectionEvent.CONNECTED, self._sessions.server))

    # -- its state ----------------------------------------------------------------------------------------------------

    @property
    def _connected(self) -> NatsProtocol | None:
        """The protocol of the connected server; None if it may not be written to."""
        return self._sessions.protocol if self.state.is_usable else None

    def _advance(self, event: ConnectionEvent) -> None:
        self.state = self.state.after(event)

    def _report(self, change: Change) -> None:
        self._advance(change.event)
        self._observers.notify(change)
