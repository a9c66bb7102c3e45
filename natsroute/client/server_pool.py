"""Which server is next, and how long to wait before it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

import attrs

from natsroute.client.servers import Server

#: Discovered servers that are kept: more do not make it safer, and a round through them takes longer.
MAX_DISCOVERED = 32


@attrs.frozen
class Backoff:
    """
    How long to wait before the servers are tried again.

    :ivar wait: seconds before the second round; each further round waits twice as long.
    :ivar max_wait: seconds at most.
    :ivar jitter: up to so many seconds more, by chance, so that not all clients come back at the same moment.
    :ivar login_wait: seconds before a server that refused our login is asked again; doubles with each refusal.
    :ivar login_max_wait: seconds at most.
    """

    wait: float = 2.0
    max_wait: float = 10.0
    jitter: float = 0.1
    login_wait: float = 10.0
    login_max_wait: float = 300.0

    def delay(self, rounds: int, chance: Callable[[], float] = random.random) -> float:
        """
        Seconds to wait after so many rounds in vain; none before the first.

        :param chance: gives a number from 0 to 1.
        """
        return self._doubled(self.wait, self.max_wait, rounds, chance) if rounds else 0.0

    def delay_of_login(self, refusals: int, chance: Callable[[], float] = random.random) -> float:
        """Seconds to wait after so many refused logins, at least one, before the next."""
        return self._doubled(self.login_wait, self.login_max_wait, refusals, chance)

    def _doubled(self, first: float, most: float, times: int, chance: Callable[[], float]) -> float:
        # The exponent is bounded: an outage of weeks must not end in an overflow.
        return min(first * 2.0 ** min(times - 1, 32), most) + self.jitter * chance()


@attrs.define(eq=False)
class _Candidate:
    """
    A server of the pool.

    :ivar discovered: another server told of it.
    :ivar failures: attempts in vain since the last that was not.
    :ivar refusals: logins refused since the last that was not.
    :ivar not_before: when it may be asked again, on the reactor's clock.
    """

    server: Server
    discovered: bool = False
    failures: int = 0
    refusals: int = 0
    not_before: float = 0.0


class ServerPool:
    """
    The servers that one connection may use. They are failover, not fan-in: one is used at a time.

    The first round through them takes no time; before each further one comes the :class:`Backoff`. A server that
    refused our login is left out until its own, longer wait is over.

    :param keep_order: try them as they were given; otherwise they are shuffled once, as NATS clients do.
    :param max_failures: attempts in vain after which a server is left for good, unless it is the last; 0: never.
    :param discover: whether servers that the cluster tells of are used.
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
        self._backoff = backoff
        self._keep_order = keep_order
        self._max_failures = max_failures
        self._discover = discover
        self._shuffle = shuffle
        self._queue = [_Candidate(server) for server in self._in_order(list(servers))]
        self._next = self._rounds = self._tries_left = 0
        self.restart()

    def _in_order(self, servers: list[Server]) -> list[Server]:
        if not self._keep_order:
            self._shuffle(servers)
        return servers

    @property
    def servers(self) -> Sequence[Server]:
        """The servers as they stand in line."""
        return [candidate.server for candidate in self._queue]

    def use(self, server: Server) -> None:
        """From now on there is this server and no other."""
        self._queue = [_Candidate(server)]
        self._discover = False
        self.restart()

    def next(self, now: float) -> tuple[Server, float]:
        """
        The server to try, and the seconds to wait before.

        :param now: the reactor's clock.
        """
        delay = 0.0
        if self._next >= len(self._queue) or not self._tries_left:
            self._begin_round(self._rounds + 1)
            delay = self._backoff.delay(self._rounds)
        self._tries_left -= 1
        free = [candidate for candidate in self._queue[self._next :] if candidate.not_before <= now + delay]
        if free:
            chosen = free[0]
            self._next = self._queue.index(chosen) + 1
        elif self._next:  # those that are left of this round must wait longer than a round takes
            self._next = len(self._queue)
            return self.next(now)
        else:
            chosen = min(self._queue, key=lambda candidate: candidate.not_before)
            delay = chosen.not_before - now
            self._next = len(self._queue)
        return chosen.server, delay

    def restart(self) -> None:
        """Begin a new first round."""
        self._begin_round(0)

    def _begin_round(self, number: int) -> None:
        self._rounds = number
        self._next = 0
        # Counted now: servers that each tell of another would keep the round going for ever.
        self._tries_left = len(self._queue)

    def failed(self, server: Server, now: float, *, refused: bool = False) -> None:
        """
        An attempt was in vain.

        :param now: the reactor's clock.
        :param refused: the server was there, and did not let us in.
        """
        for candidate in [each for each in self._queue if each.server is server]:
            candidate.failures += 1
            if refused:
                candidate.refusals += 1
                candidate.not_before = now + self._backoff.delay_of_login(candidate.refusals)
            if 0 < self._max_failures <= candidate.failures and len(self._queue) > 1:
                self._remove(candidate)

    def succeeded(self, server: Server) -> None:
        """A connection is ready."""
        for candidate in self._queue:
            if candidate.server is server:
                candidate.failures = candidate.refusals = 0
                candidate.not_before = 0.0

    def lost(self, server: Server, lived: float) -> None:
        """
        A connection that was ready has ended; its server comes last in the new first round.

        :param lived: seconds that it was ready. A server that lets us in only to throw us out again must not be asked
            again at once for ever: below one ``wait`` the backoff goes on as if the attempt had failed.
        """
        if lived < self._backoff.wait:
            return
        index = next((at for at, each in enumerate(self._queue) if each.server is server), -1) + 1
        self._queue = self._queue[index:] + self._queue[:index]
        self.restart()

    def has_other_than(self, server: Server) -> bool:
        """Whether there is another server to go to."""
        return any(candidate.server is not server for candidate in self._queue)

    def told(self, places: Iterable[str], by: Server) -> None:
        """
        A server told of its cluster (``connect_urls``): new servers are used too, and discovered ones that it does not
        name any longer are left.

        :param places: each as ``host:port``; what is not that is passed over.
        """
        named = list(dict.fromkeys(places))
        if not self._discover or not named:
            return
        for candidate in list(self._queue):
            if candidate.discovered and candidate.server is not by and candidate.server.place not in named:
                self._remove(candidate)
        known = {candidate.server.place for candidate in self._queue}
        found = [by.neighbour(place) for place in named if place not in known]
        room = MAX_DISCOVERED - sum(candidate.discovered for candidate in self._queue)
        for server in self._in_order([server for server in found if server is not None])[:room]:
            self._queue.append(_Candidate(server, discovered=True))

    def _remove(self, candidate: _Candidate) -> None:
        index = self._queue.index(candidate)
        del self._queue[index]
        if index < self._next:
            self._next -= 1
