"""A nats-server that ends with the benchmark."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from natsroute.daemon import child_guard
from natsroute.daemon.embedded import find_nats_server

_PORT = re.compile(r"Listening for client connections on .*:(\d+)")
_MONITOR = re.compile(r"Starting http monitor on .*:(\d+)")
_TROUBLE = re.compile(r"\[(WRN|ERR|FTL)\]|Slow Consumer")
# What a certificate that verifies nobody makes it warn of.
_EXPECTED = re.compile(r"allow_non_tls|insecure", re.IGNORECASE)
_START_TIMEOUT = 20.0
_COUNT_TIMEOUT = 1.0

# The rest is as nats-server has it. A run may be larger than the 64 MB after which it cuts a client that is slow.
_CONFIGURATION = """
listen: "127.0.0.1:-1"
http: "127.0.0.1:-1"
max_pending: 256MB
write_deadline: "60s"
"""

# The feeder speaks no TLS. nats-py does only where it begins with it, or where the server requires it.
_TLS = """
allow_non_tls: true
tls {{ cert_file: "{certificate}", key_file: "{key}", handshake_first: auto }}
"""


class NatsServer:
    """
    Runs ``nats-server``; a context manager.

    :param tls: whether clients may speak TLS.

    :ivar url: where it listens.
    :ivar monitor: the URL of its monitoring.
    :ivar ca_file: with TLS, the CA that clients have to trust.
    :ivar trouble: what it logged as errors or warnings, slow consumers among them.
    """

    def __init__(self, *, tls: bool = False) -> None:
        self.url = ""
        self.monitor = ""
        self.ca_file = ""
        self.trouble: list[str] = []
        self._tls = tls
        self._process: subprocess.Popen[str] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._ready = threading.Event()

    def __enter__(self) -> NatsServer:
        self._folder = tempfile.TemporaryDirectory(prefix="benchmarks-")
        configuration = Path(self._folder.name, "server.conf")
        configuration.write_text(_CONFIGURATION + (self._certificates() if self._tls else ""))
        # The leash ends the server even when this process is killed.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", child_guard.__file__, find_nats_server(), "-c", str(configuration)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
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
        """How many messages have been published to it."""
        return int(self._facts("varz")["in_msgs"])

    @property
    def plain_clients(self) -> int:
        """How many connections there are that speak no TLS."""
        return sum("tls_version" not in client for client in self._facts("connz")["connections"])

    def messages_taken_since(self, before: int, expected: int) -> int:
        """
        How many messages have been published to it since it had taken ``before``.

        A connection's messages are counted after its PONG is written, so a number that is too low is looked at again.
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
        for line in self._process.stderr or ():
            if listening := _PORT.search(line):
                self.url = f"nats://127.0.0.1:{listening[1]}"
            elif monitoring := _MONITOR.search(line):
                self.monitor = f"http://127.0.0.1:{monitoring[1]}"
            elif _TROUBLE.search(line) and not _EXPECTED.search(line):
                self.trouble.append(line.strip())
            if "Server is ready" in line:
                self._ready.set()
        self._ready.set()


def server_version() -> str:
    """As ``2.15.1``."""
    said = subprocess.run([find_nats_server(), "--version"], capture_output=True, text=True, check=True).stdout
    return said.strip().rpartition("v")[2]
