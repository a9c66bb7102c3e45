"""Servers: what a ``nats_url`` says, and what a server says of its cluster."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from urllib.parse import SplitResult, unquote, urlsplit

import attrs

from natsroute.client.auth import Credentials
from natsroute.errors import SettingError

DEFAULT_PORT = 4222
_DEFAULT_PORTS = {"nats": DEFAULT_PORT, "tls": DEFAULT_PORT, "ws": 80, "wss": 443}

_SETTING = "nats_url"
_SCHEME = re.compile(r"[a-z]{2,5}")
# urlsplit() takes brackets wherever they are, and looks into the first ones only.
_PLACE = re.compile(r"(\[(?P<address>[^\[\]]+)\]|[^\[\]:]*)(:[0-9]*)?")


@attrs.frozen
class Server:
    """
    One NATS server. ``str()`` is its URL without credentials.

    :ivar host: a name or an address, without the brackets of IPv6.
    :ivar scheme: ``nats``, ``tls``, ``ws`` or ``wss``.
    :ivar credentials: what its URL says of us; None if that says nothing.
    :ivar name: the name that its certificate must have: that of its URL. A server that was discovered is known by an
        address only, and has the name of the one that told of it.
    """

    host: str
    port: int = DEFAULT_PORT
    credentials: Credentials | None = None
    scheme: str = "nats"
    name: str = attrs.field(default=attrs.Factory(lambda self: self.host, takes_self=True), repr=False)

    @property
    def secure(self) -> bool:
        """Whether its URL asks for TLS."""
        return self.scheme in ("tls", "wss")

    @property
    def web(self) -> bool:
        """Whether it is reached over WebSocket."""
        return self.scheme in ("ws", "wss")

    @property
    def place(self) -> str:
        """``host:port``, as a server writes it in its ``connect_urls``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.place}"

    def neighbour(self, place: str) -> Server | None:
        """
        Another server of its cluster, reached in the same way and with the same credentials.

        :param place: ``host:port``; None is given for anything else.
        """
        host, _, port = place.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        # The digits are counted first: Python refuses to read a number of thousands of them.
        if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
            return None
        if not host or not host.isprintable() or re.search(r"[\s/@\[\]]", host):
            return None
        return attrs.evolve(self, host=host, port=int(port), name=self.name)


def parse_url(url: str) -> Server:
    """
    Read a NATS URL: ``nats://[user[:password]@|token@]host[:port]``. The scheme is ``nats``, ``tls`` for a server that
    must be spoken to in TLS, ``ws`` or ``wss`` for WebSocket.

    :raises SettingError: says what is wrong, without the credentials.
    """
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise _bad_url(url, "it has no scheme", "Write nats://HOST:PORT")
    if scheme not in _DEFAULT_PORTS:
        shown = repr(scheme) if _SCHEME.fullmatch(scheme) else "of this URL"
        raise _bad_url(url, f"the scheme {shown} is not one of NATS", "Write nats://HOST:PORT")
    if re.search(r"[\t\r\n]", url):  # urlsplit() would leave them out in silence, also where a password has them
        raise _bad_url(url, "it has a tab or a line break in it", "Write %09, %0D or %0A if it is part of a password")
    try:
        parts = urlsplit(url)
        port = parts.port
        place = _PLACE.fullmatch(parts.netloc.rpartition("@")[2])
        if place is None:
            raise ValueError
        if place["address"]:
            IPv6Address(place["address"])
    except ValueError:
        raise _bad_url(url, "host or port cannot be read", "A port is a number from 1 to 65535") from None
    if not parts.hostname:
        raise _bad_url(url, "the host is missing", "Write nats://HOST:PORT")
    if port == 0:
        raise _bad_url(url, "no server has port 0", "A port is a number from 1 to 65535")
    if re.search(r"[\s,]", parts.hostname) or not parts.hostname.isprintable():
        raise _bad_url(url, "the host cannot be a name", "Write nats://HOST:PORT, and a comma before the next nats://")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _bad_url(url, "a NATS URL ends with its port", "Write nats://HOST:PORT")
    return Server(parts.hostname, port or _DEFAULT_PORTS[scheme], _credentials(parts), scheme)


def _credentials(parts: SplitResult) -> Credentials | None:
    if parts.username is None:
        return None
    if parts.password is None:
        return Credentials(token=unquote(parts.username))
    return Credentials(user=unquote(parts.username), password=unquote(parts.password))


def without_credentials(url: str) -> str:
    """
    The URL as it may be shown: what stands before its last ``@`` is hidden, and a port that may be half a password.
    Where there is no scheme, or one that cannot be, it may be part of a password too.
    """
    scheme, separator, rest = url.partition("://")
    if separator and not _SCHEME.fullmatch(scheme):
        return "***"
    _, at, place = (rest if separator else url).rpartition("@")
    if not at:
        host, colon, port = place.partition(":")
        place = host + colon + (port if re.fullmatch(r"\d{0,5}/?", port) or host.startswith("[") else "***")
    return f"{scheme + separator if separator else ''}{'***@' if at else ''}{place}"


def _bad_url(url: str, problem: str, remedy: str) -> SettingError:
    return SettingError(_SETTING, without_credentials(url), problem, remedy)
