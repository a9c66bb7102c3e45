"""Starts child processes, each with its role and a socket in a folder that nobody else can open."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from natsroute.client.servers import Server
from natsroute.daemon.processes.child_process import ChildProcess
from natsroute.daemon.processes.role import PRIVATE_GROUP, Role
from natsroute.daemon.processes.run import Child, Exit, Spawn

#: Bytes that the path of a folder for sockets may have, so that the paths of its sockets are not too long.
MAX_FOLDER = 80


class Spawner:
    """
    Starts child processes.

    One process more than needed waits without a role. It takes the place of one that dies: it has imported natsroute
    already, so the service is complete again sooner.

    :param reactor: starts them.
    :param arguments: the command line of this process, without the name of the program.
    :param folder: where this process was started; relative paths on the command line begin there.
    :param cpu_affinity: whether each process is bound to a processor.
    :param log_level: returns the rules for the levels of the log, as they are when a process starts.
    :param environment: the variables of all processes.
    """

    def __init__(
        self,
        reactor: Any,
        arguments: tuple[str, ...],
        folder: str,
        *,
        cpu_affinity: bool = False,
        log_level: Callable[[], Iterable[str]] = tuple,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._reactor = reactor
        self._arguments = arguments
        self._start_folder = folder
        self._cpus = sorted(os.sched_getaffinity(0)) if cpu_affinity else []
        self._log_level = log_level
        self._environment = environment
        self._private_group = PRIVATE_GROUP + secrets.token_hex(8)
        self._server: Server | None = None
        self._sockets: Path | None = None
        self._serial = count(1)
        self._spare: ChildProcess | None = None

    def use(self, server: Server) -> None:
        """Let all processes that are started from now on connect to this server: the embedded one."""
        self._server = server

    def spawn(self, number: int, fresh: bool) -> Spawn:
        """
        What starts the process with a number.

        :param fresh: it must read all code anew.
        """

        def start(on_ready: Callable[[], None], on_ended: Callable[[Exit], None]) -> Child:
            spare, self._spare = self._spare, None
            if spare is not None and fresh:
                spare.discard()
            process = self._new() if spare is None or fresh or not spare.running else spare
            process.assign(self._role(number), on_ready, on_ended)
            return process

        return start

    def prepare_spare(self) -> None:
        """Start a process that waits for a role, if there is none. If that is not possible, there is none."""
        if self._spare is None or not self._spare.running:
            try:
                self._spare = self._new()
            except OSError:
                self._spare = None

    def close(self) -> None:
        """End the process that waits for a role, and remove the folder of the sockets."""
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.discard()
        sockets, self._sockets = self._sockets, None
        if sockets is not None:
            shutil.rmtree(sockets, ignore_errors=True)

    def _new(self) -> ChildProcess:
        folder = self._start_folder if os.path.isdir(self._start_folder) else os.getcwd()
        return ChildProcess(self._reactor, self._environment, folder)

    def _role(self, number: int) -> Role:
        server = self._server
        credentials = None if server is None else server.credentials
        return Role(
            number,
            self._private_group,
            arguments=self._arguments,
            folder=os.getcwd(),
            python_path=sys.path,
            reactor=type(self._reactor).__module__,
            cpu=self._cpus[(number - 1) % len(self._cpus)] if self._cpus else None,
            socket=str(self._folder() / f"{number}-{next(self._serial)}.sock"),
            log_level=self._log_level(),
            server="" if server is None else f"nats://{server.host}:{server.port}",
            token="" if credentials is None else credentials.token or "",
        )

    def _folder(self) -> Path:
        """The folder for the sockets; a new one if somebody has removed it."""
        if self._sockets is None or not self._sockets.is_dir():
            self._sockets = Path(_private_folder())
        return self._sockets


def _private_folder() -> str:
    folder = tempfile.mkdtemp(prefix="natsroute-")
    if len(os.fsencode(folder)) <= MAX_FOLDER:
        return folder
    os.rmdir(folder)
    return tempfile.mkdtemp(prefix="natsroute-", dir="/tmp")
