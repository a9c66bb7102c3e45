"""Chooses the next server, and how long to wait before the attempt."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

import attrs

from natsroute.client.servers import Server

#: Discovered servers that a pool keeps. More would not make it safer, and a round through them would take longer.
MAX_DISCOVERED = 32


@attrs.frozen
class Backoff:
    """
    How long to wait between the attempts to connect. All times are in seconds.

    :ivar wait: before the second round through the servers. It doubles with each further round.
    :ivar max_wait: the limit of ``wait`` as it doubles.
    :ivar jitter: up to this much is added at random, so that not all clients come back at the same moment.
    :ivar login_wait: before the next login at a server that refused one. It doubles with each further refusal.
    :ivar login_max_wait: the limit of ``login_wait`` as it doubles.
    """

    wait: float = 2.0
    max_wait: float = 10.0
    jitter: float = 0.1
    login_wait: float = 10.0
    login_max_wait: float = 300.0

    def delay(self, rounds: int, chance: Callable[[], float] = random.random) -> float:
        """
        Seconds to wait after ``rounds`` failed rounds; 0 before the first.

        :param chance: returns a number from 0 to 1.
        """
        return self._doubled(self.wait, self.max_wait, rounds, chance) if rounds else 0.0

    def login_delay(self, refusals: int, chance: Callable[[], float] = random.random) -> float:
        """Seconds to wait after ``refusals`` refused logins; at least one."""
        return self._doubled(self.login_wait, self.login_max_wait, refusals, chance)

    def _doubled(self, first: float, limit: float, times: int, chance: Callable[[], float]) -> float:
        # The exponent has a limit: it would overflow in an outage of weeks.
        return min(first * 2.0 ** min(times - 1, 32), limit) + self.jitter * chance()


@attrs.define(eq=False)
class _Candidate:
    """
    A server of the pool.

    :ivar discovered: whether another server announced it.
    :ivar failures: failed attempts since the last successful one.
    :ivar refusals: refused logins since the last successful one.
    :ivar not_before: when it may be tried again, on the reactor's clock.
    """

    server: Server
    discovered: bool = False
    failures: int = 0
    refusals: int = 0
    not_before: float = 0.0


class ServerPool:
    """
    The servers that one connection may use, one at a time.

    The pool goes through its servers in rounds. The first round has no delays. Before each further round it waits, as
    :class:`Backoff` says. A server that refused the login is skipped until its own, longer wait is over.

    :ivar backoff: how long it waits.

    :param keep_order: use the servers in the given order. Otherwise they are shuffled once, as in other NATS clients.
    :param max_failures: failed attempts in a row after which a server is removed, unless it is the last one; 0: never.
    :param discover: whether servers that a cluster announces are added.
    :param shuffle: shuffles a list in place.
    """

    def __init__(
        self,
        servers: Iterable[Server],
        backoff: Backoff,
        *,
        keep_order: bool = False,
        max_failures: int = 0,
        discover: bool = True,
        shuffle: Callable[[list[Server]], None] = random.shuffle,
    ) -> None:
        self.backoff = backoff
        self._keep_order = keep_order
        self._max_failures = max_failures
        self._discover = discover
        self._shuffle = shuffle
        self._queue = [_Candidate(server) for server in self._in_order(list(servers))]
        self._next = self._rounds = self._tries_left = 0
        self._leaving: Server | None = None
        self.restart()

    def _in_order(self, servers: list[Server]) -> list[Server]:
        if not self._keep_order:
            self._shuffle(servers)
        return servers

    @property
    def servers(self) -> Sequence[Server]:
        """The servers in the order in which they are tried."""
        return [candidate.server for candidate in self._queue]

    def use(self, server: Server) -> None:
        """Use this server and no other from now on."""
        self._queue = [_Candidate(server)]
        self._discover = False
        self.restart()

    def next(self, now: float) -> tuple[Server, float]:
        """
        The server to try, and the seconds to wait before.

        :param now: the time of the reactor's clock.
        """
        delay = 0.0
        if self._next >= len(self._queue) or not self._tries_left:
            self._begin_round(self._rounds + 1)
            delay = self.backoff.delay(self._rounds)
        self._tries_left -= 1
        free = [
            candidate
            for candidate in self._queue[self._next :]
            if candidate.not_before <= now + delay and candidate.server is not self._leaving
        ]
        if free:
            chosen = free[0]
            self._next = self._queue.index(chosen) + 1
        elif self._next:  # the rest of this round must wait longer than the next round begins
            self._next = len(self._queue)
            return self.next(now)
        else:
            chosen = min(self._queue, key=lambda candidate: (candidate.server is self._leaving, candidate.not_before))
            delay = max(delay, chosen.not_before - now)
            self._next = len(self._queue)
        return chosen.server, delay

    def restart(self) -> None:
        """Begin a new first round."""
        self._begin_round(0)

    def _begin_round(self, number: int) -> None:
        self._rounds = number
        self._next = 0
        # Counted at the beginning: servers that each announce another one would never let the round end.
        self._tries_left = len(self._queue)

    def failed(self, server: Server, now: float, *, refused: bool = False) -> None:
        """
        An attempt failed.

        :param now: the time of the reactor's clock.
        :param refused: whether the server was reached and refused the login.
        """
        for candidate in [each for each in self._queue if each.server is server]:
            candidate.failures += 1
            if refused:
                candidate.refusals += 1
                candidate.not_before = now + self.backoff.login_delay(candidate.refusals)
            if 0 < self._max_failures <= candidate.failures and len(self._queue) > 1:
                self._remove(candidate)

    def succeeded(self, server: Server) -> None:
        """An attempt was successful."""
        for candidate in self._queue:
            if candidate.server is server:
                candidate.failures = candidate.refusals = 0
                candidate.not_before = 0.0

    def lost(self, server: Server, lasted: float) -> None:
        """
        A successful connection has ended. A new first round begins, with this server at its end.

        :param lasted: seconds that it lasted. Below one ``wait`` the round goes on as if the attempt had failed: a
            server that accepts each login and then disconnects must not be tried again and again without a delay.
        """
        self._leaving = None
        self._come_last(server, lasted)

    def leaving(self, server: Server, lasted: float) -> None:
        """
        Another server is needed while this one is still connected. A new first round begins as after :meth:`lost`, and
        this server is not tried before a server is lost, unless it becomes the only one.

        :param lasted: seconds that it has lasted so far.
        """
        self._leaving = server
        self._come_last(server, lasted)

    def _come_last(self, server: Server, lasted: float) -> None:
        if lasted < self.backoff.wait:
            return
        index = next((at for at, each in enumerate(self._queue) if each.server is server), -1) + 1
        self._queue = self._queue[index:] + self._queue[:index]
        self.restart()

    def has_other_than(self, server: Server) -> bool:
        """Whether there is another server."""
        return any(candidate.server is not server for candidate in self._queue)

    def announced(self, addresses: Iterable[str], by: Server) -> None:
        """
        A server has announced its cluster: add new servers, and remove discovered ones that it no longer names.

        :param addresses: the ``connect_urls`` of its INFO, each ``host:port``. Malformed ones are ignored. Without any,
            the pool stays as it is.
        :param by: the server. It is not removed.
        """
        named = list(dict.fromkeys(addresses))
        if not self._discover or not named:
            return
        for candidate in list(self._queue):
            if candidate.discovered and candidate.server is not by and candidate.server.address not in named:
                self._remove(candidate)
        known = {candidate.server.address for candidate in self._queue}
        found = [by.at(address) for address in named if address not in known]
        free = MAX_DISCOVERED - sum(candidate.discovered for candidate in self._queue)
        for server in self._in_order([server for server in found if server is not None])[:free]:
            self._queue.append(_Candidate(server, discovered=True))

    def _remove(self, candidate: _Candidate) -> None:
        index = self._queue.index(candidate)
        del self._queue[index]
        if index < self._next:
            self._next -= 1
