"""One attempt to connect to a server, from the credentials to the end of the NATS handshake, under one timeout."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from natsroute.client.auth import Credentials, CredentialsSource, ask_for_credentials
from natsroute.client.protocol import NatsProtocol
from natsroute.errors import HandshakeError, MisuseError


class Attempt:
    """
    One attempt to connect to a server: credentials, name resolution, TCP, WebSocket, TLS and the NATS handshake.

    All of it together has one timeout. The attempt never waits for a step that cannot be cancelled: when the time is
    over or the attempt is given up, it fails, and what the step does later is ignored.

    Everything here is called on the reactor thread, and the Deferred fires there.

    :param timeout: seconds for everything together.
    :param credentials: is asked for the credentials first.
    :param connect: connects a factory to the server. Called when the credentials are known.
    :param build: makes the protocol, when the server is reached.
    """

    def __init__(
        self,
        clock: IReactorTime,
        timeout: float,
        *,
        credentials: CredentialsSource,
        connect: Callable[[IProtocolFactory], Deferred[object]],
        build: Callable[[Credentials], NatsProtocol],
    ) -> None:
        self._clock = clock
        self._timeout = timeout
        self._credentials = credentials
        self._connect = connect
        self._build = build
        self._result: Deferred[NatsProtocol] = Deferred()
        self._work: Deferred[NatsProtocol] | None = None
        self._timer: IDelayedCall | None = None
        self._protocol: NatsProtocol | None = None
        self._step = ""  # what there is none of until the current step ends
        self._error: Exception | None = None  # why this side ended it

    def start(self) -> Deferred[NatsProtocol]:
        """
        Begin; only once.

        :return: fires with a protocol that is ready. Fails with the cause if there is none, when the transport of a
            server that was reached has ended: with whatever a step raises, with ``twisted.internet.defer.TimeoutError``
            or :class:`~natsroute.errors.HandshakeError` if the time is over, and with ``CancelledError`` after
            :meth:`give_up`. Do not cancel it.
        """
        self._timer = self._clock.callLater(self._timeout, self._time_out)
        self._work = Deferred.fromCoroutine(self._run())
        self._work.addCallbacks(self._succeeded, self._failed)
        if self._error is not None:  # given up by the credentials function itself
            self._abandon()
        return self._result

    def give_up(self) -> None:
        """End the attempt at once, wherever it is."""
        self._end(CancelledError())

    async def _run(self) -> NatsProtocol:
        self._step = "no credentials from the credentials function"
        credentials = await ask_for_credentials(self._credentials)
        if self._error is not None:
            raise self._error
        self._step = "no TCP connection"
        await self._connect(NatsFactory(lambda: self._reached(credentials)))
        if self._protocol is None:
            raise HandshakeError("the endpoint has connected nothing")
        await self._protocol.ready
        return self._protocol

    def _reached(self, credentials: Credentials) -> NatsProtocol | None:
        if self._error is not None:
            return None  # too late: Twisted then closes the TCP connection
        self._protocol = self._build(credentials)
        return self._protocol

    def _time_out(self) -> None:
        if self._protocol is not None:
            self._protocol.time_out()  # it knows what is missing
        else:
            self._end(defer.TimeoutError(f"{self._step} within {self._timeout} s"))

    def _end(self, error: Exception) -> None:
        if self._error is not None or self._result.called:
            return
        self._error = error
        if self._protocol is not None:
            self._protocol.abort()
        elif self._work is not None:
            self._abandon()

    def _abandon(self) -> None:
        """Cancel the step, and fail even if that does not end it."""
        assert self._work is not None
        self._work.cancel()
        if not self._result.called:
            self._fail(Failure(self._error))

    def _succeeded(self, protocol: NatsProtocol) -> None:
        self._stop_timer()
        self._result.callback(protocol)

    def _failed(self, failure: Failure) -> None:
        if self._result.called:
            return
        self._stop_timer()
        if isinstance(self._error, defer.TimeoutError) and failure.check(CancelledError) and str(failure.value):
            # A step of several steps says which of them it was in.
            failure = Failure(HandshakeError(f"{failure.value} within {self._timeout} s"))
        elif self._error is not None:
            failure = Failure(self._error)
        elif not isinstance(failure.value, Exception):
            # sys.exit() in the credentials function, for example: nobody above expects a BaseException.
            failure = Failure(MisuseError(f"{self._step}: it raised {type(failure.value).__name__}"))
        if self._protocol is None:
            self._fail(failure)
        else:
            self._protocol.abort()
            self._protocol.closed.addCallback(lambda _: self._fail(failure))

    def _fail(self, failure: Failure) -> None:
        self._stop_timer()
        self._result.errback(failure)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


class NatsFactory(Factory):
    """
    Builds the :class:`NatsProtocol` of an attempt.

    :param build: makes a protocol that has no transport yet, or None: the connection is closed again.
    """

    noisy = False

    def __init__(self, build: Callable[[], NatsProtocol | None]) -> None:
        self._build = build

    def buildProtocol(self, addr: object) -> NatsProtocol | None:
        return self._build()
