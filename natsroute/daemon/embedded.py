"""The embedded server: a nats-server on the loopback interface that belongs to the service."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from natsroute.client.auth import Credentials
from natsroute.client.server_pool import Backoff
from natsroute.client.servers import Server
from natsroute.daemon.nats_server import LogLine, ServerLog, ServerProcess, server_command
from natsroute.daemon.settings.settings import Settings
from natsroute.log import Logger

HOST = "127.0.0.1"

#: Seconds before a server that has ended is started again: at once first, then 0.5, doubled up to 10.
BACKOFF = Backoff(wait=0.5, max_wait=10.0, jitter=0.0)

#: Starts in a row that may fail after the server has ended by itself: about 10 seconds.
MAX_FAILED_STARTS = 5

#: Seconds after which a server that was started again counts as well.
STABLE = 30.0


class EmbeddedServer(Service):
    """
    Runs ``nats-server`` on the loopback interface. Errors in its log go to our log.

    It accepts only clients with a token. The token is in a configuration file that nobody else can read, and that
    exists only while the server starts. A server that ends by itself is started again, on the same port.

    :ivar server: its address and the login, once it takes connections; None before.
    :ivar pid: its process; 0 before it takes connections.

    :param port: the port to listen on; 0 for a free one.
    :param token: the token; empty for a random one.
    :param store_dir: JetStream keeps its streams in this folder; empty for no JetStream.
    :param on_failed: called with the reason when the server has ended by itself and cannot be started again. It is
        logged by then.
    :raises SettingError: there is no ``nats-server``.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        port: int = 0,
        token: str = "",
        store_dir: str = "",
        on_failed: Callable[[Failure], object],
    ) -> None:
        self.server: Server | None = None
        self.pid = 0
        self._reactor = reactor
        self._wanted_port = self._port = port
        self._credentials = Credentials(token=token or secrets.token_urlsafe(32))
        self._store_dir = store_dir
        self._on_failed = on_failed
        self._command = server_command()
        self._process: ServerProcess | None = None
        self._retry: Any = None
        self._rounds = 0  # starts since it last ran for a while
        self._ready_at = 0.0

    @classmethod
    def of(cls, settings: Settings, reactor: Any, on_failed: Callable[[Failure], object]) -> EmbeddedServer:
        """The server that the settings describe; for ``on_failed`` and the errors see the class."""
        return cls(
            reactor,
            port=settings.embedded_server_port,
            token=settings.token,
            store_dir=settings.embedded_server_store_dir,
            on_failed=on_failed,
        )

    def start(self) -> Deferred[Server]:
        """
        Start the server.

        :return: fires with its address and the login when it takes connections; fails with
            :class:`~natsroute.errors.ConnectionLostError`, which has the server's last error, if it ends before.
        """
        self._port = self._wanted_port
        self._rounds = 0
        return self._launch()

    def stopService(self) -> Deferred[None]:
        """
        End the server: SIGTERM, and SIGKILL if it does not end within 5 seconds.

        :return: fires when it has ended.
        """
        super().stopService()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        process, self._process = self._process, None
        return succeed(None) if process is None else process.stop()

    def _launch(self) -> Deferred[Server]:
        errors: list[LogLine] = []
        process = self._process = ServerProcess(partial(self._on_line, errors))
        folder = tempfile.TemporaryDirectory(prefix="natsroute-")
        path = Path(folder.name, "nats-server.conf")
        path.touch(0o600)
        path.write_text(self._config(), "utf-8")
        process.start(self._reactor, [*self._command, "-c", str(path)])
        process.ready.addBoth(_remove, folder)
        return process.ready.addCallback(self._started, process, errors)

    def _config(self) -> str:
        lines = [
            f"host: {json.dumps(HOST)}",
            f"port: {self._port or -1}",
            f"authorization: {{ token: {json.dumps(self._credentials.token, ensure_ascii=False)} }}",
        ]
        if self._store_dir:
            lines.append(f"jetstream: {{ store_dir: {json.dumps(self._store_dir, ensure_ascii=False)} }}")
        return "\n".join([*lines, ""])

    def _started(self, log: ServerLog, process: ServerProcess, errors: list[LogLine]) -> Server:
        self._port = log.ports["client"]
        self.pid = log.pid
        self._ready_at = self._reactor.seconds()
        self.server = Server(HOST, self._port, self._credentials)
        self.log.info("The embedded nats-server listens on {url}", url=str(self.server))
        for line in errors:
            self._log_error(line)
        process.ended().addCallback(self._ended, process)
        return self.server

    def _ended(self, _: None, process: ServerProcess) -> None:
        if process is self._process:
            if self._reactor.seconds() - self._ready_at >= STABLE:
                self._rounds = 0
            self.log.error(
                "The embedded nats-server ended by itself, and is started again: {reason}", reason=process.exit_reason
            )
            self._restart_later()

    def _restart_later(self) -> None:
        self._retry = self._reactor.callLater(BACKOFF.delay(self._rounds), self._restart)
        self._rounds += 1

    def _restart(self) -> None:
        self._retry = None
        self._launch().addErrback(self._restart_failed)

    def _restart_failed(self, failure: Failure) -> None:
        if self._process is None:
            return  # it was stopped meanwhile
        reason = str(failure.value)
        if self._rounds <= MAX_FAILED_STARTS:
            self.log.error("The embedded nats-server cannot be started again yet: {reason}", reason=reason)
            self._restart_later()
        else:
            self.log.error("The embedded nats-server cannot be started again: {reason}", reason=reason)
            self._on_failed(failure)

    def _on_line(self, errors: list[LogLine], line: LogLine) -> None:
        if line.is_error:
            process = self._process
            if process is not None and not process.ready.called:
                errors.append(line)  # if the start fails, its error has the last of them
            else:
                self._log_error(line)

    def _log_error(self, line: LogLine) -> None:
        self.log.warn("nats-server: {line}", line=line.text)


def _remove(result: Any, folder: tempfile.TemporaryDirectory[str]) -> Any:
    folder.cleanup()
    return result
