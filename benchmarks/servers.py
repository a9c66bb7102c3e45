"""A nats-server for the run: on the loopback interface, on a free port, ended with the benchmark."""

from __future__ import annotations

import re
import subprocess
import sys
import threading

from natsroute.daemon import leash
from natsroute.daemon.embedded import find_nats_server

_PORT = re.compile(r"Listening for client connections on .*:(\d+)")
_START_TIMEOUT = 20.0


class NatsServer:
    """
    Runs ``nats-server`` with its defaults; a context manager.

    :ivar url: where it listens.
    :ivar trouble: what it logged as errors or warnings, slow consumers among them.
    """

    def __init__(self) -> None:
        self.url = ""
        self.trouble: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._ready = threading.Event()

    def __enter__(self) -> NatsServer:
        command = [find_nats_server(), "--addr", "127.0.0.1", "--port", "-1"]
        # The leash ends the server even when this process is killed.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", leash.__file__, *command],
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
        self._process.stdin.close()
        self._process.wait()

    def _read_log(self) -> None:
        assert self._process is not None
        for line in self._process.stderr or ():
            listening = _PORT.search(line)
            if listening:
                self.url = f"nats://127.0.0.1:{listening[1]}"
            if "Server is ready" in line:
                self._ready.set()
            if re.search(r"\[(WRN|ERR|FTL)\]|Slow Consumer", line):
                self.trouble.append(line.strip())
        self._ready.set()


def server_version() -> str:
    """As ``2.15.1``."""
    said = subprocess.run([find_nats_server(), "--version"], capture_output=True, text=True, check=True).stdout
    return said.strip().rpartition("v")[2]
