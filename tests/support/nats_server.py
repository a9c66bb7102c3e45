"""A real nats-server with any configuration, and what can happen to it: restarts, crashes, pauses, lame duck mode."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import weakref
from collections import deque
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from natsroute.daemon.nats_server import ServerProcess, find_nats_server, server_command
from tests.support.processes import has_stopped
from tests.support.waiting import TIMEOUT, until

#: Seconds that a start may take. The machine may be busy.
START_TIMEOUT = TIMEOUT

#: The shortest duration that nats-server allows. Before it closes connections, clients have time to leave, also on a
#: busy machine.
_LAME_DUCK = 'lame_duck_duration: "30s"\nlame_duck_grace_period: "20s"\n'


#: Sockets that reserve ports. The oldest are closed when there are more of them than one test needs.
_reserved: deque[socket.socket] = deque()
_MAX_RESERVED = 60


def reserve_tcp_port() -> int:
    """
    A free port of 127.0.0.1, for servers that bind it with SO_REUSEADDR. Elsewhere than on Linux, nobody reserves it.

    No other program gets the port while the test runs, also while no server listens there: connections are refused.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    port: int = reserved.getsockname()[1]
    _reserved.append(reserved)
    while len(_reserved) > (_MAX_RESERVED if sys.platform.startswith("linux") else 0):
        _reserved.popleft().close()
    return port


class ServerStartError(Exception):
    """nats-server did not start; the message is its log."""


def server_version() -> str:
    """The version of nats-server, such as ``2.15.1``; blocks."""
    ran = subprocess.run([find_nats_server(), "--version"], capture_output=True, text=True, check=True)
    return ran.stdout.strip().rpartition("v")[2]


class NatsServer:
    """
    A nats-server on free ports of the loopback interface. It keeps its ports when it is started again.

    With ``jetstream`` in its configuration it has a folder of its own for streams, which it keeps, too, until the
    object is gone.

    :ivar pid: the process of nats-server.
    :ivar port: where it listens for clients.
    :ivar websocket_port: where it listens for WebSocket clients, if it does.
    :ivar cluster_port: where it listens for the other members of its cluster, if it is in one.
    :ivar http_port: where it listens for its monitoring, if it does.
    :ivar log: the lines of its log, from all its starts.
    :ivar routes: URLs of the other members of its cluster. A change has an effect at the next start.
    :ivar config: its configuration, without addresses and ports. A change has an effect at the next start.

    :param port: where it listens for clients; -1 for a free port.
    :param websocket: more lines for its ``websocket`` block, such as ``"no_tls: true"``; None for no WebSocket.
    :param cluster: the name of its cluster, if it is in one.
    :param name: its server name; if this is empty, nats-server makes one up.
    """

    def __init__(
        self,
        reactor: Any,
        config: str = "",
        *,
        host: str = "127.0.0.1",
        port: int = -1,
        websocket: str | None = None,
        cluster: str = "",
        name: str = "",
    ) -> None:
        self.host = host
        self.pid = 0
        # For -1. No other program gets the port while nats-server is down. Elsewhere, nats-server takes a free one.
        free = reserve_tcp_port if host == "127.0.0.1" else lambda: -1
        self.port = free() if port == -1 else port
        self.websocket_port = -1 if websocket is None else free()
        self.cluster_port = free() if cluster else -1
        self.http_port = -1
        self.log: list[str] = []
        self.routes: list[str] = []
        self.config = config
        self._reactor = reactor
        self._websocket = websocket
        self._cluster = cluster
        self._name = name
        self._process: ServerProcess | None = None
        self._folder = ""
        self._store = ""
        if "jetstream" in config and "store_dir" not in config:
            self._store = tempfile.mkdtemp(prefix="nats-server-streams-")
            weakref.finalize(self, shutil.rmtree, self._store, ignore_errors=True)

    @property
    def url(self) -> str:
        """The URL for clients without TLS."""
        return f"nats://{self._at(self.port)}"

    @property
    def websocket_url(self) -> str:
        """The URL for WebSocket clients without TLS."""
        return f"ws://{self._at(self.websocket_port)}"

    @property
    def running(self) -> bool:
        """Whether there is a process; it may be paused."""
        return self._process is not None and self._process.running

    async def start(self) -> None:
        """
        Start it and wait until it takes connections, on the same ports as before.

        :raises ServerStartError: it did not start.
        """
        if self.running:
            raise AssertionError("nats-server is running already")
        give_up = self._reactor.seconds() + START_TIMEOUT
        while True:
            begin = len(self.log)
            process = self._process = self._spawn()
            try:
                await process.ready.addTimeout(START_TIMEOUT, self._reactor)
                break
            except Exception as problem:
                await self.stop()
                # Between two starts another program may take the port for a moment, for a connection of its own.
                if "address already in use" not in str(problem) or self._reactor.seconds() > give_up:
                    raise ServerStartError("\n".join(self.log[begin:])) from problem
            await deferLater(self._reactor, 0.1)
        self.pid = process.log.pid
        self.port = process.log.ports["client"]
        self.websocket_port = process.log.ports.get("websocket", -1)
        self.cluster_port = process.log.ports.get("route", -1)
        self.http_port = process.log.ports.get("http", -1)

    async def reload(self, config: str) -> None:
        """
        Let it read another configuration while it runs.

        :raises AssertionError: it refused the configuration.
        """
        self.config = config
        Path(self._folder, "nats-server.conf").write_text(self._whole_config(), "utf-8")
        begin = len(self.log)
        self._signal(signal.SIGHUP)
        await until(lambda: any("Reloaded server configuration" in line for line in self.log[begin:]), self._reactor)

    async def restart(self) -> None:
        """Stop it, if it is running, and start it on the same ports."""
        await self.stop()
        await self.start()

    def stop(self) -> Deferred[None]:
        """Ask it to end. Fires when it has ended; at once if it is not running."""
        if self._process is None or not self._process.running:
            return self.ended()
        if self._process.log.pid:
            self.resume()  # a paused process does not react to SIGTERM
        return self._process.stop()

    def kill(self) -> Deferred[None]:
        """SIGKILL, as in a crash. Fires when it has ended."""
        self._signal(signal.SIGKILL)
        return self.ended()

    def lame_duck(self) -> Deferred[None]:
        """Start lame duck mode: it asks its clients to leave, closes their connections and ends. Fires then."""
        self._signal(signal.SIGUSR2)
        return self.ended()

    def pause(self) -> None:
        """SIGSTOP: its connections stay open, and nothing comes from them. It has stopped when this returns."""
        self._signal(signal.SIGSTOP)
        # On a busy machine, a thread that was running may go on for 50 ms, and answer meanwhile.
        while self.running and not has_stopped(self.pid):
            pass

    def resume(self) -> None:
        """SIGCONT, after :meth:`pause`."""
        self._signal(signal.SIGCONT)

    def ended(self) -> Deferred[None]:
        """Fires when it has ended for any reason; at once if it is not running."""
        if self._process is not None:
            return self._process.ended()
        ended: Deferred[None] = Deferred()
        ended.callback(None)
        return ended

    def _at(self, port: int) -> str:
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.running:
            # 0 would be this process and its whole group.
            assert self._process.log.pid, "the log has no line yet, so the process is not known"
            try:
                os.kill(self._process.log.pid, number)
            except ProcessLookupError:  # it has ended, and the reactor does not know it yet
                pass

    def _spawn(self) -> ServerProcess:
        folder = tempfile.TemporaryDirectory(prefix="nats-server-")
        self._folder = folder.name
        path = Path(folder.name, "nats-server.conf")
        path.write_text(self._whole_config(), "utf-8")
        process = ServerProcess(
            lambda line: self.log.append(line.text), ["client", "route"] if self._cluster else ["client"]
        )
        process.start(self._reactor, server_command("-c", str(path)))
        process.ended().addCallback(lambda _: folder.cleanup())
        return process

    def _whole_config(self) -> str:
        """The test's configuration comes last, so that it can override the rest."""
        parts = [f'host: "{self.host}"\nport: {self.port}\n{_LAME_DUCK}']
        if self._store:
            parts.append(f'store_dir: "{self._store}"\n')
        if self._name:
            parts.append(f'server_name: "{self._name}"\n')
        if self._websocket is not None:
            parts.append(f'websocket {{\n  host: "{self.host}"\n  port: {self.websocket_port}\n{self._websocket}\n}}\n')
        if self._cluster:
            routes = ", ".join(f'"{route}"' for route in self.routes)
            address = f'host: "{self.host}"\n  port: {self.cluster_port}'
            parts.append(f'cluster {{\n  name: "{self._cluster}"\n  {address}\n  routes: [{routes}]\n}}\n')
        return "".join([*parts, self.config, "\n"])
