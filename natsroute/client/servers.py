"""Servers: what a ``nats_url`` says, which server is next, and how long to wait before it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from urllib.parse import SplitResult, unquote, urlsplit

import attrs

from natsroute.client.auth import Credentials
from natsroute.errors import SettingError

DEFAULT_PORT = 4222

_SETTING = "nats_url"


@attrs.frozen
class Server:
    """
    One NATS server. ``str()`` is its URL without credentials.

    :ivar host: a name or an address, without the brackets of IPv6.
    """

    host: str
    port: int = DEFAULT_PORT
    credentials: Credentials = Credentials()

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"nats://{host}:{self.port}"


def parse_url(url: str) -> Server:
    """
    Read a NATS URL: ``nats://[user[:password]@|token@]host[:port]``.

    :raises SettingError: says what is wrong, without the credentials.
    """
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise _bad_url(url, "it has no scheme", "Write nats://HOST:PORT")
    if scheme == "tls":
        raise _bad_url(url, "TLS is not supported by this version of natsroute", "Use a nats:// server")
    if scheme != "nats":
        raise _bad_url(url, f"the scheme {scheme!r} is not one of NATS", "Write nats://HOST:PORT")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad_url(url, "host or port cannot be read", "A port is a number from 1 to 65535") from None
    if not parts.hostname:
        raise _bad_url(url, "the host is missing", "Write nats://HOST:PORT")
    if port == 0:
        raise _bad_url(url, "no server has port 0", "A port is a number from 1 to 65535")
    if re.search(r"[\s,]", parts.hostname):
        raise _bad_url(url, "the host cannot be a name", "Write nats://HOST:PORT, and a comma before the next nats://")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _bad_url(url, "a NATS URL ends with its port", "Write nats://HOST:PORT")
    return Server(parts.hostname, port or DEFAULT_PORT, _credentials(parts))


def _credentials(parts: SplitResult) -> Credentials:
    if parts.username is None:
        return Credentials()
    if parts.password is None:
        return Credentials(token=unquote(parts.username))
    return Credentials(user=unquote(parts.username), password=unquote(parts.password))


def without_credentials(url: str) -> str:
    """The URL as it may be shown: what stands before an ``@`` is hidden, and a port that may be half a password."""
    scheme, separator, rest = url.rpartition("://")
    _, at, place = rest.rpartition("@")
    if not at:
        host, colon, port = place.partition(":")
        place = host + colon + (port if re.fullmatch(r"\d{0,5}/?", port) or host.startswith("[") else "***")
    return f"{scheme}{separator}{'***@' if at else ''}{place}"


def _bad_url(url: str, problem: str, remedy: str) -> SettingError:
    return SettingError(_SETTING, without_credentials(url), problem, remedy)


@attrs.frozen
class Backoff:
    """
    How long to wait before the servers are tried again.

    :ivar wait: seconds before the second round; each further round waits twice as long.
    :ivar max_wait: seconds at most.
    :ivar jitter: up to so many seconds more, by chance, so that not all clients come back at the same moment.
    """

    wait: float = 2.0
    max_wait: float = 10.0
    jitter: float = 0.1

    def delay(self, rounds: int, chance: Callable[[], float] = random.random) -> float:
        """
        Seconds to wait after so many rounds in vain; none before the first.

        :param chance: gives a number from 0 to 1.
        """
        if rounds == 0:
            return 0.0
        # The exponent is bounded: an outage of weeks must not end in an overflow.
        return min(self.wait * 2.0 ** min(rounds - 1, 32), self.max_wait) + self.jitter * chance()


class ServerPool:
    """
    The servers that one connection may use. They are failover, not fan-in: one is used at a time.

    The first round through them takes no time; before each further one comes the :class:`Backoff`.

    :param keep_order: try them as they were given; otherwise they are shuffled once, as NATS clients do.
    """

    def __init__(
        self,
        servers: Iterable[Server],
        backoff: Backoff,
        *,
        keep_order: bool = False,
        shuffle: Callable[[list[Server]], None] = random.shuffle,
    ) -> None:
        self._servers = list(servers)
        self._backoff = backoff
        if not keep_order:
            shuffle(self._servers)
        self._tried = 0

    def use(self, server: Server) -> None:
        """From now on there is this server and no other."""
        self._servers = [server]

    def next(self) -> tuple[Server, float]:
        """The server to try, and the seconds to wait before."""
        rounds, index = divmod(self._tried, len(self._servers))
        self._tried += 1
        return self._servers[index], self._backoff.delay(rounds) if index == 0 else 0.0

    def restart(self) -> None:
        """Begin a new first round."""
        self._tried = 0

    def lost(self, server: Server, lived: float) -> None:
        """
        A connection that was ready has ended; its server comes last in the new first round.

        :param lived: seconds that it was ready. A server that lets us in only to throw us out again must not be asked
            again at once for ever: below one ``wait`` the backoff goes on as if the attempt had failed.
        """
        if lived < self._backoff.wait:
            return
        index = self._servers.index(server) + 1
        self._servers = self._servers[index:] + self._servers[:index]
        self.restart()
