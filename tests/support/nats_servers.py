"""A nats-server with a configuration of the test's, and what can happen to it."""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from natsroute.daemon import child_guard
from natsroute.daemon.embedded import find_nats_server

#: Seconds that a start may take; the machine may be busy.
PATIENCE = 30.0

_PID = re.compile(r"^\[(\d+)\]")
_LISTENING = re.compile(r"Listening for (client|websocket|route) \w+ on .*:(\d+)$")

#: The shortest that nats-server allows. With few clients it is over sooner: it sends them away a second apart.
_LAME_DUCK = 'lame_duck_duration: "30s"\nlame_duck_grace_period: "1s"\n'


class ServerEndedError(Exception):
    """nats-server ended before it was ready; the message is its log."""


class ConfiguredServer:
    """
    A nats-server on free ports of the loopback interface, which it keeps when it starts again.

    :ivar pid: nats-server's process.
    :ivar port: where it takes clients.
    :ivar websocket_port: where it takes websockets, if it does.
    :ivar cluster_port: where it takes the routes of its cluster, if it is in one.
    :ivar log: its log, a string for each line, from all its starts.
    :ivar routes: the cluster's other members, as URLs, for the next start.

    :param config: its configuration, without addresses and ports.
    :param websocket: what its ``websocket`` block says besides, such as ``"no_tls: true"``; no websockets if None.
    :param cluster: the name of its cluster, if it is in one.
    :param name: what it calls itself; nats-server makes one up if this is empty.
    """

    def __init__(
        self,
        reactor: Any,
        config: str = "",
        *,
        host: str = "127.0.0.1",
        websocket: str | None = None,
        cluster: str = "",
        name: str = "",
    ) -> None:
        self.host = host
        self.pid = 0
        # nats-server takes a free port for -1, and none can come between it and that port.
        self.port = self.websocket_port = self.cluster_port = -1
        self.log: list[str] = []
        self.routes: list[str] = []
        self._reactor = reactor
        self._config = config
        self._websocket = websocket
        self._cluster = cluster
        self._name = name
        self._process: _Process | None = None

    @property
    def url(self) -> str:
        """Where plain clients find it; those with TLS have a scheme of their own."""
        return f"nats://{self._at(self.port)}"

    @property
    def websocket_url(self) -> str:
        """Where websocket clients without TLS find it."""
        return f"ws://{self._at(self.websocket_port)}"

    @property
    def running(self) -> bool:
        """Whether there is a process, be it paused."""
        return self._process is not None and not self._process.is_over

    async def start(self) -> None:
        """
        Start it, and wait until it takes connections; on the ports it had, if it had.

        :raises ServerEndedError: it did not start.
        """
        if self.running:
            raise AssertionError("it runs already")
        give_up = self._reactor.seconds() + PATIENCE
        while True:
            process = self._process = self._spawn()
            try:
                await process.ready.addTimeout(PATIENCE, self._reactor)
                break
            except Exception as problem:
                await self.stop()
                # Between two starts another program may get the port, mostly for a moment: for a connection of its own.
                if "address already in use" not in str(problem) or self._reactor.seconds() > give_up:
                    raise
            await deferLater(self._reactor, 0.1)
        self.pid = process.pid
        self.port = process.ports["client"]
        self.websocket_port = process.ports.get("websocket", -1)
        self.cluster_port = process.ports.get("route", -1)

    async def restart(self) -> None:
        """End it, if it runs, and start it on the same ports."""
        await self.stop()
        await self.start()

    def stop(self) -> Deferred[None]:
        """Ask it to end; fires when it has, at once if there is none."""
        if self._process is not None and not self._process.is_over:
            if self._process.pid:
                self.resume()
            self._process.transport.closeStdin()
        return self.ended()

    def kill(self) -> Deferred[None]:
        """SIGKILL, as a crash would be; fires when it has ended."""
        self._signal(signal.SIGKILL)
        return self.ended()

    def lame_duck(self) -> Deferred[None]:
        """Have it ask its clients to go, then send them away and end; fires when it has ended."""
        self._signal(signal.SIGUSR2)
        return self.ended()

    def pause(self) -> None:
        """SIGSTOP: its connections stay, and nothing comes from them."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT, after :meth:`pause`."""
        self._signal(signal.SIGCONT)

    def ended(self) -> Deferred[None]:
        """Fires when it has ended by any means, at once if there is none."""
        ended: Deferred[None] = Deferred()
        if self.running:
            assert self._process is not None
            self._process.waiting.append(ended)
        else:
            ended.callback(None)
        return ended

    def _at(self, port: int) -> str:
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and not self._process.is_over:
            # 0 would be this process and all its group.
            assert self._process.pid, "nats-server has said nothing yet"
            try:
                os.kill(self._process.pid, number)
            except ProcessLookupError:  # over, and the news is on its way
                pass

    def _spawn(self) -> _Process:
        folder = tempfile.TemporaryDirectory(prefix="nats-server-")
        path = Path(folder.name, "nats-server.conf")
        path.write_text(self._whole_config(), "utf-8")
        process = _Process(self.log, folder, {"client", "route"} if self._cluster else {"client"})
        # On a leash it ends with this process, however that ends.
        command = [sys.executable, "-I", "-S", child_guard.__file__, find_nats_server(), "-c", str(path)]
        self._reactor.spawnProcess(process, command[0], command, env=None)
        return process

    def _whole_config(self) -> str:
        """The test's configuration is last, so that it has the last word."""
        parts = [f'host: "{self.host}"\nport: {self.port}\n{_LAME_DUCK}']
        if self._name:
            parts.append(f'server_name: "{self._name}"\n')
        if self._websocket is not None:
            parts.append(f'websocket {{\n  host: "{self.host}"\n  port: {self.websocket_port}\n{self._websocket}\n}}\n')
        if self._cluster:
            routes = ", ".join(f'"{route}"' for route in self.routes)
            address = f'host: "{self.host}"\n  port: {self.cluster_port}'
            parts.append(f'cluster {{\n  name: "{self._cluster}"\n  {address}\n  routes: [{routes}]\n}}\n')
        return "".join([*parts, self._config, "\n"])


class _Process(ProcessProtocol):
    """One run of nats-server, on its leash; reads its log, which is on standard error."""

    transport: IProcessTransport

    def __init__(self, log: list[str], folder: tempfile.TemporaryDirectory[str], expected: set[str]) -> None:
        self.ready: Deferred[None] = Deferred()
        self.waiting: list[Deferred[None]] = []
        self.is_over = False
        self.pid = 0
        self.ports: dict[str, int] = {}
        self._log = log
        self._begin = len(log)
        self._folder = folder
        self._expected = expected
        self._says_ready = False
        self._rest = b""

    def errReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._read(line.decode("utf-8", "replace"))

    def _read(self, line: str) -> None:
        self._log.append(line)
        if not self.pid and (pid := _PID.search(line)):
            self.pid = int(pid[1])
        if listening := _LISTENING.search(line):
            self.ports[listening[1]] = int(listening[2])
        self._says_ready = self._says_ready or line.endswith("Server is ready")
        # In a cluster it says so before it listens for routes.
        if self._says_ready and self._expected <= self.ports.keys() and not self.ready.called:
            self.ready.callback(None)

    def processEnded(self, reason: Failure) -> None:
        self.is_over = True
        self._folder.cleanup()
        if not self.ready.called:
            self.ready.errback(ServerEndedError("\n".join(self._log[self._begin :])))
        waiting, self.waiting = self.waiting, []
        for ended in waiting:
            ended.callback(None)
