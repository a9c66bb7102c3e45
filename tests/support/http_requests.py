"""Requests to an HTTP site in memory, and their responses."""

from __future__ import annotations

import json
from typing import Any

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport

from natsroute.monitoring.http.channel import Channel
from natsroute.monitoring.http.site import Site


class Transport(StringTransport):
    """A transport that tells how its connection has ended."""

    aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """What a transport over TCP has, and TLS passes on."""

    def abortConnection(self) -> None:
        """End the connection at once."""
        self.aborted = self.disconnected = True
        super().abortConnection()


@attrs.frozen
class Response:
    """
    A response.

    :ivar headers: its headers, with names in lower case.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The value of the body."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text, without the line end."""
        return self.body.decode().rstrip("\n")


def responses(data: bytes, *, head: bool = False) -> list[Response]:
    """
    The responses that a client has received.

    :param head: whether they are responses to HEAD, which have no body.
    """
    found: list[Response] = []
    while data:
        top, _, data = data.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = 0 if head else int(headers.get("content-length", len(data)))
        found.append(Response(int(first.split()[1]), headers, data[:length]))
        data = data[length:]
    return found


class Client:
    """
    A connection to a site.

    :ivar transport: the site's end of it.
    """

    def __init__(self, site: Site) -> None:
        self.transport = Transport(peerAddress=IPv4Address("TCP", "127.0.0.1", 40_000))
        protocol = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 40_000))
        assert isinstance(protocol, Channel)
        self.channel = protocol
        protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.channel.dataReceived(data)

    def received(self, *, head: bool = False) -> list[Response]:
        """The responses since the last call."""
        data = self.transport.value()
        self.transport.clear()
        return responses(data, head=head)


def get(site: Site, path: str = "/", method: str = "GET", **headers: str) -> Response:
    """
    The response to one request over a connection of its own.

    :param headers: more headers, with underscores instead of dashes. ``Host`` is 127.0.0.1 unless it is given.
    """
    client = Client(site)
    named = {"Host": "127.0.0.1", **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    client.send("\r\n".join(lines).encode("latin-1"))
    (response,) = client.received(head=method == "HEAD")
    return response
