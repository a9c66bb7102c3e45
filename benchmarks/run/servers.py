"""The nats-server of a benchmark."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import threading
import urllib.request
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from natsroute.daemon.nats_server import LogLine, ServerLog, server_command

# Warnings of nats-server about the benchmark's configuration of TLS, which asks for no client certificates.
_EXPECTED = re.compile(r"allow_non_tls|insecure", re.IGNORECASE)
_START_TIMEOUT = 60.0
_COUNT_TIMEOUT = 30.0

# The rest is nats-server's default. A run may be larger than the 64 MB after which nats-server cuts a slow client off.
_CONFIGURATION = """
listen: "127.0.0.1:-1"
http: "127.0.0.1:-1"
max_pending: 256MB
write_deadline: "60s"
"""

# The feeder uses no TLS. nats-py uses it only if the handshake comes before INFO, or if the server requires it.
_TLS = """
allow_non_tls: true
tls {{ cert_file: "{certificate}", key_file: "{key}", handshake_first: auto }}
"""

_JETSTREAM = """
jetstream {{ store_dir: "{folder}" }}
"""


class NatsServer:
    """
    Runs ``nats-server``; a context manager. It ends with the benchmark, however the benchmark ends.

    :param tls: whether clients may use TLS.
    :param jetstream: whether it has JetStream.

    :ivar url: where it listens.
    :ivar monitor: the URL of its monitoring.
    :ivar ca_file: with TLS, the file with the CA that clients have to trust.
    :ivar trouble: the errors and warnings of its log, and slow consumers.
    """

    def __init__(self, *, tls: bool = False, jetstream: bool = False) -> None:
        self.url = ""
        self.monitor = ""
        self.ca_file = ""
        self.trouble: list[str] = []
        self._tls = tls
        self._jetstream = jetstream
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._ready = threading.Event()

    def __enter__(self) -> NatsServer:
        self._folder = tempfile.TemporaryDirectory(prefix="benchmarks-")
        configuration = Path(self._folder.name, "server.conf")
        parts = [_CONFIGURATION]
        if self._tls:
            parts.append(self._certificates())
        if self._jetstream:
            parts.append(_JETSTREAM.format(folder=Path(self._folder.name, "streams")))
        configuration.write_text("".join(parts))
        self._process = subprocess.Popen(
            server_command("-c", str(configuration)), stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        threading.Thread(target=self._read_log, daemon=True).start()
        if not self._ready.wait(_START_TIMEOUT) or not self.url:
            self.__exit__()
            raise RuntimeError(f"nats-server did not start: {self.trouble}")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._folder is not None
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()

    @property
    def messages_taken(self) -> int:
        """The number of messages that have been published to it."""
        return int(self._facts("varz")["in_msgs"])

    @property
    def plain_clients(self) -> int:
        """The number of connections without TLS."""
        return sum("tls_version" not in client for client in self._facts("connz")["connections"])

    def messages_taken_since(self, before: int, expected: int) -> int:
        """
        The number of messages that have been published to it since it had taken ``before``.

        nats-server counts a connection's messages after it has written the PONG, so a number that is too low is read
        again.
        """
        give_up = monotonic() + _COUNT_TIMEOUT
        while (taken := self.messages_taken - before) < expected and monotonic() < give_up:
            sleep(0.01)
        return taken

    def _facts(self, page: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.monitor}/{page}") as answer:
            facts: dict[str, Any] = json.load(answer)
        return facts

    def _certificates(self) -> str:
        import trustme

        assert self._folder is not None
        folder = Path(self._folder.name)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        own = authority.issue_cert("localhost", "127.0.0.1")
        own.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
        self.ca_file = str(folder / "ca.pem")
        return _TLS.format(certificate=folder / "server.pem", key=folder / "server.pem")

    def _read_log(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        log = ServerLog()
        for data in self._process.stderr:
            self.trouble += [line.text for line in log.feed(data) if _is_trouble(line)]
            if log.ready and not self._ready.is_set():
                self.url = f"nats://127.0.0.1:{log.ports['client']}"
                self.monitor = f"http://127.0.0.1:{log.ports['http']}"
                self._ready.set()
        self._ready.set()


def _is_trouble(line: LogLine) -> bool:
    if line.level == "WRN":
        return not _EXPECTED.search(line.text)
    return line.is_error or "Slow Consumer" in line.text
