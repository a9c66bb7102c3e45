"""How a connection finds a server: it chooses one, waits, and tries to log in, until one accepts the login."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from natsroute.client.attempt import Attempt
from natsroute.client.protocol import NatsProtocol
from natsroute.client.server_pool import ServerPool
from natsroute.client.servers import Server
from natsroute.errors import AuthorizationError


class Search:
    """
    Tries servers, one after the other.

    :param servers: chooses the next server, and is notified of each failure.
    :param attempt: makes an attempt to connect to a server; it is not started.
    :param on_attempt: called when an attempt begins.
    :param on_failed: called with the server and the cause when an attempt has failed. It may give the search up.
    """

    def __init__(
        self,
        clock: IReactorTime,
        servers: ServerPool,
        attempt: Callable[[Server], Attempt],
        *,
        on_attempt: Callable[[], object],
        on_failed: Callable[[Server, Exception], object],
    ) -> None:
        self._clock = clock
        self._servers = servers
        self._new_attempt = attempt
        self._on_attempt = on_attempt
        self._on_failed = on_failed
        self._waiting: Deferred[None] = succeed(None)
        self._attempt: Attempt | None = None
        self._given_up = False

    @property
    def is_attempting(self) -> bool:
        """Whether an attempt is running."""
        return self._attempt is not None

    async def find(self) -> tuple[Server, NatsProtocol]:
        """
        Find a server. Only one search runs at a time.

        :return: the server, and a protocol that is ready.
        :raises CancelledError: it was given up.
        """
        self._given_up = False
        while not self._given_up:
            server, delay = self._servers.next(self._clock.seconds())
            self._waiting = deferLater(self._clock, delay)
            await self._waiting
            self._on_attempt()
            try:
                self._attempt = self._new_attempt(server)
                return server, await self._attempt.start()
            except Exception as error:
                # A step of an attempt may fail with any exception, and another attempt follows after each.
                if not self._given_up:
                    self._servers.failed(server, self._clock.seconds(), refused=isinstance(error, AuthorizationError))
                    self._on_failed(server, error)
            finally:
                self._attempt = None
        raise CancelledError

    def give_up(self) -> None:
        """End the search, wherever it is, when what it has opened is closed. Nothing happens if none is running."""
        self._given_up = True
        self._waiting.cancel()
        if self._attempt is not None:
            self._attempt.give_up()
