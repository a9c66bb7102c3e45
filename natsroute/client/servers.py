"""Servers: reads a NATS URL, and the addresses that a cluster announces."""

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
_SCHEME = re.compile(r"[A-Za-z]{2,5}")
# urlsplit() allows brackets anywhere, and checks only the first pair.
_ADDRESS = re.compile(r"(\[(?P<ipv6>[^\[\]]+)\]|[^\[\]:]*)(:[0-9]*)?")


@attrs.frozen
class Server:
    """
    One NATS server. ``str()`` is its URL without credentials.

    :ivar host: a name or an IP address, without the brackets of IPv6.
    :ivar scheme: ``nats``, ``tls``, ``ws`` or ``wss``.
    :ivar credentials: the credentials in its URL, or None.
    :ivar name: the name that its certificate must be for: the host of its URL. A discovered server is known by its
        address only, and has the name of the server that announced it.
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
    def address(self) -> str:
        """``host:port``, as in the ``connect_urls`` of a server's INFO."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.address}"

    def at(self, address: str) -> Server | None:
        """
        Another server of its cluster, with the same scheme and credentials.

        :param address: ``host:port``; for anything else the result is None.
        """
        host, _, port = address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        # The digits are counted first: int() refuses a number of thousands of digits.
        if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
            return None
        if not host or not host.isprintable() or re.search(r"[\s/@\[\]]", host):
            return None
        return attrs.evolve(self, host=host, port=int(port), name=self.name)


def parse_url(url: str) -> Server:
    """
    Read a NATS URL: ``nats://[user[:password]@|token@]host[:port]``.

    The scheme is ``nats``, ``tls`` for a server that must use TLS, or ``ws`` or ``wss`` for WebSocket. It may be in
    capitals.

    :raises SettingError: the URL is malformed. The error does not contain its credentials.
    """
    written, separator, _ = url.partition("://")
    scheme = written.lower()
    if not separator:
        raise _bad_url(url, "it has no scheme", "Write nats://HOST:PORT")
    if scheme not in _DEFAULT_PORTS:
        shown = f"scheme {written!r}" if _SCHEME.fullmatch(written) else "scheme"
        raise _bad_url(url, f"its {shown} is unknown", "Write nats://HOST:PORT")
    if re.search(r"[\t\r\n]", url):  # urlsplit() would remove them, even from a password
        raise _bad_url(url, "it contains a tab or a line break", "Write %09, %0D or %0A if it is part of a password")
    try:
        parts = urlsplit(url)
        port = parts.port
        address = _ADDRESS.fullmatch(parts.netloc.rpartition("@")[2])
        if address is None:
            raise ValueError
        if address["ipv6"]:
            IPv6Address(address["ipv6"])
    except ValueError:
        raise _bad_url(url, "its host or port is malformed", "A port is a number from 1 to 65535") from None
    if not parts.hostname:
        raise _bad_url(url, "the host is missing", "Write nats://HOST:PORT")
    if port == 0:
        raise _bad_url(url, "port 0 cannot be used", "A port is a number from 1 to 65535")
    if re.search(r"[\s,]", parts.hostname) or not parts.hostname.isprintable():
        raise _bad_url(url, "its host is malformed", "Write nats://HOST:PORT, and a comma between two of them")
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
    A URL that may be shown, even if it is malformed.

    ``***`` replaces what stands before the last ``@``, a port that is not a number (it may be half of a password), and
    everything if the scheme is malformed (a password may contain ``://``).
    """
    scheme, separator, rest = url.partition("://")
    if separator and not _SCHEME.fullmatch(scheme):
        return "***"
    _, at, address = (rest if separator else url).rpartition("@")
    if not at:
        host, colon, port = address.partition(":")
        address = host + colon + (port if re.fullmatch(r"\d{0,5}/?", port) or host.startswith("[") else "***")
    return f"{scheme + separator if separator else ''}{'***@' if at else ''}{address}"


def _bad_url(url: str, problem: str, remedy: str) -> SettingError:
    return SettingError(_SETTING, without_credentials(url), problem, remedy)
