"""One attempt to connect to a server, from the credentials to the end of the NATS handshake, under one timeout."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IDelayedCall, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from natsroute.client.auth import Credentials, CredentialsSource, ask_for_credentials
from natsroute.client.protocol import NatsProtocol
from natsroute.errors import HandshakeError, MisuseError, ServerError

#: Seconds before the next address of a name is tried too, as in Twisted's HostnameEndpoint.
NEXT_ADDRESS_AFTER = 0.3

#: Connects a factory to one address of a server.
Connect = Callable[[IProtocolFactory], "Deferred[Any]"]


@attrs.define(eq=False)
class _Candidate:
    """An address that is tried."""

    connect: Connect
    connecting: Deferred[Any] | None = None
    protocol: NatsProtocol | None = None
    lost_race: bool = False


class Attempt:
    """
    One attempt to connect to a server: credentials, name resolution, TCP, WebSocket, TLS and the NATS handshake.

    All of it together has one timeout. The attempt never waits for a step that cannot be cancelled: when the time is
    over or the attempt is given up, it fails, and what the step does later is ignored.

    The addresses of a name are tried one after the other, each without waiting for the end of the one before. The first
    one whose server says INFO wins; then the others are given up, and there is one login only. If the winner fails,
    they are tried again.

    Everything here is called on the reactor thread, and the Deferred fires there.

    :param timeout: seconds for everything together.
    :param credentials: is asked for the credentials first.
    :param resolve: looks up the addresses of the server, at least one. Called when the credentials are known.
    :param build: makes the protocol when an address is reached. It must call its second argument with the protocol at
        its login, before subscriptions are made.
    """

    def __init__(
        self,
        clock: IReactorTime,
        timeout: float,
        *,
        credentials: CredentialsSource,
        resolve: Callable[[], Deferred[Sequence[Connect]]],
        build: Callable[[Credentials, Callable[[NatsProtocol], object]], NatsProtocol],
    ) -> None:
        self._clock = clock
        self._timeout = timeout
        self._credentials = credentials
        self._resolve = resolve
        self._build = build
        self._result: Deferred[NatsProtocol] = Deferred()
        self._work: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._next_timer: IDelayedCall | None = None
        self._step = ""  # what there is none of until the current step ends
        self._ending = False
        self._login = Credentials()
        self._queue: deque[_Candidate] = deque()
        self._running: list[_Candidate] = []
        self._winner: _Candidate | None = None
        self._failure: Failure | None = None  # the one that says most so far
        self._open: set[NatsProtocol] = set()

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
        self._work.addErrback(self._step_failed)
        return self._result

    def give_up(self) -> None:
        """End the attempt at once, wherever it is."""
        self._fail(Failure(CancelledError()))

    # -- its steps ----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        self._step = "no credentials from the credentials function"
        self._login = await ask_for_credentials(self._credentials)
        if self._ending:  # the credentials function gave it up
            return
        self._step = "no answer to the look-up of the name"
        self._queue.extend(map(_Candidate, await self._resolve()))
        self._step = "no TCP connection"
        self._try_next()

    def _step_failed(self, failure: Failure) -> None:
        if self._ending:
            return
        if not isinstance(failure.value, Exception):
            # sys.exit() in the credentials function, for example: nobody above expects a BaseException.
            failure = Failure(MisuseError(f"{self._step}: it raised {type(failure.value).__name__}"))
        self._fail(failure)

    # -- the addresses ------------------------------------------------------------------------------------------------

    def _try_next(self) -> None:
        """Try one more address, and the next one soon."""
        _stop(self._next_timer)
        if self._ending or self._winner is not None:
            return
        if not self._queue:
            if not self._running:
                self._fail(self._failure or Failure(HandshakeError("the server has no address")))
            return
        candidate = self._queue.popleft()
        candidate.lost_race = False
        candidate.protocol = None
        self._running.append(candidate)
        if self._queue:
            delay = min(NEXT_ADDRESS_AFTER, self._timeout / (len(self._queue) + 1))
            self._next_timer = self._clock.callLater(delay, self._try_next)
        try:
            candidate.connecting = candidate.connect(NatsFactory(lambda: self._reached(candidate)))
        except Exception:
            self._candidate_failed(Failure(), candidate)
            return
        candidate.connecting.addErrback(self._connect_failed, candidate)

    def _reached(self, candidate: _Candidate) -> NatsProtocol | None:
        if self._ending or candidate.lost_race:
            return None  # too late: Twisted then closes the TCP connection
        protocol = candidate.protocol = self._build(self._login, lambda _: self._won(candidate))
        self._open.add(protocol)
        protocol.closed.addCallback(self._closed, protocol)
        protocol.ready.addCallbacks(
            lambda _: self._succeeded(candidate), self._candidate_failed, errbackArgs=(candidate,)
        )
        return protocol

    def _won(self, candidate: _Candidate) -> None:
        """A server has said INFO: no other address may log in."""
        self._winner = candidate
        _stop(self._next_timer)
        for other in [one for one in self._running if one is not candidate]:
            self._running.remove(other)
            other.lost_race = True
            self._drop(other)
            self._queue.append(_Candidate(other.connect))

    def _connect_failed(self, failure: Failure, candidate: _Candidate) -> None:
        if candidate.protocol is None:
            if failure.check(CancelledError):  # the time is over; a step of several steps says which of them it was in
                text = str(failure.value)
                error = HandshakeError if text else defer.TimeoutError
                failure = Failure(error(f"{text or self._step} within {self._timeout} s"))
            elif failure.check(ConnectingCancelledError):
                failure = Failure(defer.TimeoutError(f"{self._step} within {self._timeout} s"))
            self._candidate_failed(failure, candidate)

    def _candidate_failed(self, failure: Failure, candidate: _Candidate) -> None:
        if self._ending or candidate not in self._running:
            return
        self._running.remove(candidate)
        if self._winner is candidate:
            self._winner = None
        if self._failure is None or candidate.protocol is not None:
            self._failure = failure
        if isinstance(failure.value, ServerError):  # it would be the same at its other addresses
            self._fail(failure)
        else:
            self._try_next()

    def _drop(self, candidate: _Candidate) -> None:
        if candidate.protocol is not None:
            candidate.protocol.abort()
        elif candidate.connecting is not None:
            candidate.connecting.cancel()

    # -- its end ------------------------------------------------------------------------------------------------------

    def _time_out(self) -> None:
        self._queue.clear()
        for candidate in sorted(self._running, key=lambda one: one.protocol is None):
            if candidate.protocol is not None:
                candidate.protocol.time_out()  # it knows what is missing
            elif candidate.connecting is not None:
                candidate.connecting.cancel()
        if not self._ending:
            self._fail(self._failure or Failure(defer.TimeoutError(f"{self._step} within {self._timeout} s")))

    def _fail(self, failure: Failure) -> None:
        if self._ending:
            return
        self._ending = True
        self._failure = failure
        self._stop_timers()
        for candidate in self._running:
            self._drop(candidate)
        if self._work is not None:
            self._work.cancel()
        self._finish()

    def _closed(self, reason: Exception, protocol: NatsProtocol) -> Exception:
        self._open.discard(protocol)
        self._finish()
        return reason

    def _finish(self) -> None:
        """Fail when everything that was reached has ended."""
        if self._ending and self._failure is not None and not self._open and not self._result.called:
            self._result.errback(self._failure)

    def _succeeded(self, candidate: _Candidate) -> None:
        if self._ending:
            return
        assert candidate.protocol is not None
        self._ending = True
        self._failure = None
        self._stop_timers()
        self._result.callback(candidate.protocol)

    def _stop_timers(self) -> None:
        _stop(self._timer)
        _stop(self._next_timer)


def _stop(timer: IDelayedCall | None) -> None:
    if timer is not None and timer.active():
        timer.cancel()


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
