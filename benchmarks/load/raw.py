"""A blocking NATS client on a raw socket, for the programs around the peers: the same for each of them."""

from __future__ import annotations

import select
import socket
from collections import deque
from urllib.parse import urlsplit

_CONNECT = (
    b'CONNECT {"verbose":false,"pedantic":false,"protocol":1,"headers":true,"lang":"benchmark","version":"1"}\r\n'
)


class RawClient:
    """
    Speaks just enough NATS.

    :param patience: seconds that any read or write may take; then TimeoutError.

    :ivar socket: for programs that want what comes as it comes.
    """

    def __init__(self, url: str, patience: float = 30.0) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname or "", parts.port or 4222), timeout=patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._data = b""
        self._messages: deque[tuple[bytes, bytes]] = deque()
        self._pongs = 0
        self._read()  # a server that looks whether a client begins with TLS must have spoken first
        self.write(_CONNECT)
        self.flush()

    def write(self, data: bytes) -> None:
        """Write whole commands."""
        self.socket.sendall(data)

    def subscribe(self, subject: str, queue_group: str = "") -> None:
        """Subscribe, and return when the server has it."""
        self.write(b"SUB %b %b 1\r\n" % (subject.encode(), queue_group.encode()))
        self.flush()

    def flush(self) -> None:
        """Return when the server has read all that was written."""
        self.write(b"PING\r\n")
        awaited = self._pongs + 1
        while self._pongs < awaited:
            self._read()

    def next_message(self) -> tuple[bytes, bytes]:
        """The next message: subject, or reply subject if it has one, and payload."""
        while not self._messages:
            self._read()
        return self._messages.popleft()

    def messages_within(self, seconds: float) -> list[tuple[bytes, bytes]]:
        """What comes next, as :meth:`next_message` gives it, or nothing if nothing comes in that time."""
        if not self._messages and select.select([self.socket], [], [], max(0.0, seconds))[0]:
            self._read()
        found = list(self._messages)
        self._messages.clear()
        return found

    def wait_at_most(self, seconds: float) -> None:
        """Change the patience."""
        self.socket.settimeout(seconds)

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def _read(self) -> None:
        """Read once, and take apart what is whole."""
        new = self.socket.recv(1 << 20)
        if not new:
            raise ConnectionError(f"the server closed the connection; before, it said {self._data[:100]!r}")
        data, position = self._data + new, 0
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
                self._messages.append((words[3 if has_reply else 1], data[after + headers : after + size]))
                after += size + 2
            elif line == b"PONG":
                self._pongs += 1
            elif line == b"PING":
                self.write(b"PONG\r\n")
            elif not line.startswith(b"INFO"):
                raise ConnectionError(f"the server said {line!r}")
            position = after
        self._data = data[position:]
