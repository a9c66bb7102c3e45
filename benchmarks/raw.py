"""A blocking NATS client on a raw socket, for the programs around the peers: the same for each of them."""

from __future__ import annotations

import socket
from collections import deque
from urllib.parse import urlsplit


class RawClient:
    """
    Speaks just enough NATS.

    :param patience: seconds that any read or write may take; then TimeoutError.
    """

    def __init__(self, url: str, patience: float = 30.0) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 4222), timeout=patience)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._early: deque[tuple[bytes, bytes]] = deque()
        self._file.readline()  # INFO
        self.write(b'CONNECT {"verbose":false,"pedantic":false,"protocol":1,"lang":"benchmark","version":"1"}\r\n')
        self.flush()

    def write(self, data: bytes) -> None:
        """Write whole commands."""
        self._socket.sendall(data)

    def subscribe(self, subject: str) -> None:
        """Subscribe, and return when the server has it."""
        self.write(b"SUB %b 1\r\n" % subject.encode())
        self.flush()

    def flush(self) -> None:
        """Return when the server has read all that was written."""
        self.write(b"PING\r\n")
        while True:
            message = self._read()
            if message is None:
                return
            self._early.append(message)

    def next_message(self) -> tuple[bytes, bytes]:
        """The next message: subject and payload."""
        message = self._early.popleft() if self._early else self._read()
        if message is None:
            raise ConnectionError("a PONG that nobody asked for")
        return message

    def wait_at_most(self, seconds: float) -> None:
        """Change the patience."""
        self._socket.settimeout(seconds)

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()

    def _read(self) -> tuple[bytes, bytes] | None:
        """A message, or None for a PONG."""
        while True:
            line = self._file.readline()
            if line.startswith(b"MSG "):
                words = line.split()
                size = int(words[-1])
                return words[1], self._file.read(size + 2)[:size]
            if line == b"PONG\r\n":
                return None
            if line == b"PING\r\n":
                self.write(b"PONG\r\n")
            elif not line.startswith(b"INFO"):
                raise ConnectionError(f"the server said {line!r}")
