"""The embedded server: a nats-server on the loopback interface that ends with its owner, for a first run."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorProcess

from natsroute.daemon.nats_server import LogLine, ServerLog, ServerProcess, server_command
from natsroute.log import Logger


class EmbeddedServer(Service):
    """
    Runs ``nats-server`` on the loopback interface. Errors in its log go to our log.

    :ivar url: where it listens; empty before :meth:`start` has fired.
    :ivar pid: its process; 0 before :meth:`start` has fired.

    :param port: the port to listen on; -1 for a free one.
    :param arguments: more arguments for ``nats-server``.
    :raises SettingError: there is no ``nats-server``.
    """

    log = Logger()

    def __init__(self, reactor: IReactorProcess, *, port: int = -1, arguments: Sequence[str] = ()) -> None:
        self.url = ""
        self.pid = 0
        self._reactor = reactor
        self._command = server_command("--addr", "127.0.0.1", "--port", str(port), *arguments)
        self._process: ServerProcess | None = None

    def start(self) -> Deferred[str]:
        """
        Start the server.

        :return: fires with its URL when it takes connections; fails with
            :class:`~natsroute.errors.ConnectionLostError`, which has the server's last error, if it ends before.
        """
        self._process = process = ServerProcess(self._log_error)
        process.start(self._reactor, self._command)
        return process.ready.addCallback(self._started, process)

    def stopService(self) -> Deferred[None]:
        """
        End the server: SIGTERM, and SIGKILL if it does not end within 5 seconds.

        :return: fires when it has ended.
        """
        super().stopService()
        process, self._process = self._process, None
        return succeed(None) if process is None else process.stop()

    def _started(self, server: ServerLog, process: ServerProcess) -> str:
        self.url = f"nats://127.0.0.1:{server.ports['client']}"
        self.pid = server.pid
        self.log.info("The embedded nats-server listens on {url}", url=self.url)
        process.ended().addCallback(self._ended, process)
        return self.url

    def _ended(self, _: None, process: ServerProcess) -> None:
        if process is self._process:
            self.log.error("The embedded nats-server ended by itself: {reason}", reason=process.exit_reason)

    def _log_error(self, line: LogLine) -> None:
        if line.is_error:
            self.log.warn("nats-server: {line}", line=line.text)
