"""
A NATS client on a blocking socket: the independent witness of the tests and benchmarks.

It shares no code with natsroute. It needs nothing but the standard library, so that a program which measures or
observes starts fast.
"""

from __future__ import annotations

import json
import select
import socket
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

#: A message: its subject, its reply subject (empty if it has none) and its payload. Headers are left out.
Message = tuple[bytes, bytes, bytes]

#: Makes the credentials for CONNECT from the fields of INFO.
Login = Callable[[dict[str, Any]], dict[str, Any]]

_CONNECT = {"verbose": False, "pedantic": False, "headers": True, "lang": "test", "version": "0", "protocol": 1}

#: Seconds for each step of the handshake of a client without a timeout.
_HANDSHAKE_TIMEOUT = 60.0


class ServerSaysError(ConnectionError):
    """The server sent ``-ERR``; the message is the whole line."""


def without_credentials(info: dict[str, Any]) -> dict[str, Any]:
    """The login of a client that has no credentials."""
    return {}


def raise_error(line: str) -> None:
    """What a client does by default about an ``-ERR``."""
    raise ServerSaysError(line)


class PlainClient:
    """
    A connection, and a context manager that closes it. All methods block.

    Everything that reads or writes raises :class:`TimeoutError` after the timeout, and :class:`ConnectionError` if the
    server closes the connection.

    :ivar socket: for programs that read the bytes themselves.
    :ivar infos: the fields of each INFO so far; the first is the greeting.

    :param url: where the server listens; user and password in it are not used.
    :param timeout: seconds that connecting, each read and each write may take; None for no limit after the handshake.
    :param login: makes the credentials; None to read the greeting and send nothing.
    :param tls: the TLS to use; None for plain text.
    :param tls_first: whether TLS comes before INFO.
    :param on_error: called with each ``-ERR`` line; raises :class:`ServerSaysError` by default.
    :raises OSError: the connection or the handshake failed.
    """

    def __init__(
        self,
        url: str,
        timeout: float | None = 300.0,
        *,
        login: Login | None = without_credentials,
        tls: ssl.SSLContext | None = None,
        tls_first: bool = False,
        on_error: Callable[[str], None] = raise_error,
    ) -> None:
        self.infos: list[dict[str, Any]] = []
        self._data = b""
        self._messages: deque[Message] = deque()
        self._pongs = 0
        self._on_error = on_error
        parts = urlsplit(url)
        address = (parts.hostname or "", parts.port or 4222)
        self.socket = socket.create_connection(address, _HANDSHAKE_TIMEOUT if timeout is None else timeout)
        try:
            if self.socket.getsockname() == self.socket.getpeername():
                raise ConnectionRefusedError("nobody listens, and TCP connected the socket to itself")
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._shake_hands(login, tls, tls_first)
            self.socket.settimeout(timeout)
        except BaseException:
            self.close()
            raise

    def _shake_hands(self, login: Login | None, tls: ssl.SSLContext | None, tls_first: bool) -> None:
        if tls is not None and tls_first:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        # The server sends nothing after INFO before the client has answered, so no byte of TLS can be in this read. And
        # a server that waits to see whether the client begins with TLS speaks first in the end.
        while not self.infos:
            self._read()
        if login is None:
            return
        if tls is not None and not tls_first:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.write(b"CONNECT %b\r\n" % json.dumps({**_CONNECT, **login(self.infos[0])}).encode())
        self.flush()

    def __enter__(self) -> PlainClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Write whole commands."""
        self.socket.sendall(data)

    def subscribe(self, subject: str, queue_group: str = "") -> None:
        """Subscribe, and return when the server has the subscription."""
        self.write(b"SUB %b %b 1\r\n" % (subject.encode(), queue_group.encode()))
        self.flush()

    def publish(self, subject: str, payload: bytes = b"") -> None:
        """Publish, and return when the server has the message."""
        self.write(b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(payload), payload))
        self.flush()

    def flush(self) -> None:
        """Return when the server has read everything that was written."""
        self.write(b"PING\r\n")
        awaited = self._pongs + 1
        while self._pongs < awaited:
            self._read()

    def next_message(self) -> Message:
        """Wait for the next message."""
        while not self._messages:
            self._read()
        return self._messages.popleft()

    def messages_within(self, seconds: float) -> list[Message]:
        """The messages that are there; if there are none, those of the first read within that time, if any."""
        if not self._messages and select.select([self.socket], [], [], max(0.0, seconds))[0]:
            self._read()
        found = list(self._messages)
        self._messages.clear()
        return found

    def wait_until_closed(self) -> None:
        """Read until the server closes the connection."""
        try:
            while True:
                self._read()
        except ServerSaysError:
            raise
        except ConnectionError:
            pass

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def _read(self) -> None:
        """Read once, and parse what is complete."""
        new = self.socket.recv(1 << 20)
        if not new:
            raise ConnectionError(f"the server closed the connection; unread: {self._data[:100]!r}")
        data, position, errors = self._data + new, 0, None
        while (end := data.find(b"\r\n", position)) >= 0:
            line = data[position:end]
            after = end + 2
            if line.startswith((b"MSG ", b"HMSG ")):
                words = line.split()
                size = int(words[-1])
                if len(data) < after + size + 2:
                    break
                with_headers = line.startswith(b"H")
                headers = int(words[-2]) if with_headers else 0
                has_reply = len(words) == (6 if with_headers else 5)
                self._messages.append((words[1], words[3] if has_reply else b"", data[after + headers : after + size]))
                after += size + 2
            elif line == b"PONG":
                self._pongs += 1
            elif line == b"PING":
                self.write(b"PONG\r\n")
            elif line.startswith(b"INFO "):
                self.infos.append(json.loads(line[5:]))
            elif line.startswith(b"-ERR"):
                errors = [*(errors or ()), line]
            else:
                raise ConnectionError(f"the server sent {line!r}")
            position = after
        self._data = data[position:]
        if errors:
            for line in errors:
                self._on_error(line.decode("utf-8", "replace"))
