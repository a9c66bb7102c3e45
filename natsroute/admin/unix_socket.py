"""The admin socket: the file at which the admin methods are served."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

from natsroute.admin.methods import Methods
from natsroute.admin.paths import (
    MAX_PATH,
    is_too_long,
    prepare_folder,
    runtime_folders,
    socket_name,
    sockets_in,
    somebody_listens,
)
from natsroute.admin.server import AdminFactory
from natsroute.errors import SettingError
from natsroute.log import Logger

_BACKLOG = 50
_MODE = 0o600


class AdminSocket(Service):
    """
    Serves admin methods at a Unix socket, which only the same user and root can use.

    :param reactor: where it listens.
    :param methods: what clients can call.
    :param path: returns the path of the socket. It is called at the start, when the process has its final number and
        user.

    :ivar path: the path of the socket; empty while it does not listen.
    """

    log = Logger()

    def __init__(self, reactor: Any, methods: Methods, path: Callable[[], str]) -> None:
        self.path = ""
        self._reactor = reactor
        self._find_path = path
        self._factory = AdminFactory(reactor, methods)
        self._port: SocketPort | None = None

    def startService(self) -> None:
        """
        Listen.

        :raises SettingError: the path cannot be used.
        """
        super().startService()
        path = self._find_path()
        try:
            remove_if_stale(path)
            port = SocketPort(os.fsencode(path), self._factory, _BACKLOG, _MODE, self._reactor)
            port.startListening()
        except (OSError, CannotListenError) as error:
            raise _setting_error(path, error) from None
        self.path, self._port = path, port
        self.log.info("Admin socket: {path}", path=path)

    def stopService(self) -> Deferred[None]:
        """Close all connections and remove the socket. Fires when that is done."""
        super().stopService()
        self.path = ""
        port, self._port = self._port, None
        self._factory.close()
        closed: Deferred[Any] = maybeDeferred(port.stopListening) if port is not None else maybeDeferred(lambda: None)
        return closed


class OptionalAdminSocket(AdminSocket):
    """An admin socket that nobody has asked for: if it cannot be made, the log says so, and the service runs."""

    def startService(self) -> None:
        """Listen, if that is possible."""
        try:
            super().startService()
        except SettingError as error:
            self.log.warn(
                "There is no admin socket at {path}: {problem}. {remedy}, or admin_socket=off",
                path=error.value,
                problem=error.problem,
                remedy=error.remedy,
            )


def default_path(environment: Mapping[str, str], service: str) -> str:
    """
    The path of the socket of this process, if no setting names one. Its folder is made, and sockets of processes that
    were killed are removed.

    :param service: the name of the service.
    :raises SettingError: the folder cannot be used.
    """
    uid = os.geteuid()
    folder = runtime_folders(environment, uid)[0]
    try:
        prepare_folder(folder, environment, uid)
    except OSError as error:
        raise _setting_error(str(folder), error) from None
    for left_over in sockets_in(folder):
        try:
            remove_if_stale(str(left_over))
        except OSError:
            pass  # somebody else's matter
    return str(folder / socket_name(service, os.getpid()))


def remove_if_stale(path: str) -> None:
    """
    Remove a socket that nobody listens at.

    :raises OSError: there is something else at the path, or somebody listens: ``EADDRINUSE``.
    """
    if is_too_long(path):
        raise OSError(errno.ENAMETOOLONG, f"it has more than {MAX_PATH} bytes")
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file that is no socket")
    if somebody_listens(path):
        raise OSError(errno.EADDRINUSE, "another process listens there")
    os.unlink(path)


def _setting_error(path: str, error: Exception) -> SettingError:
    cause = error.socketError if isinstance(error, CannotListenError) else error
    number = getattr(cause, "errno", None)
    remedy = {
        errno.EADDRINUSE: "Give each service its own admin_socket",
        errno.EEXIST: "Give another path as admin_socket, or remove the file",
        errno.ENAMETOOLONG: "Give a shorter path as admin_socket",
        errno.ENOENT: "Create the folder, or give another path as admin_socket",
    }.get(number or 0, "Give a path as admin_socket in a folder that this user can write to and others cannot")
    return SettingError("admin_socket", path, getattr(cause, "strerror", None) or str(cause), remedy)


class SocketPort(unix.Port):
    """
    A listening Unix socket that belongs to its user from the first moment, and that may be gone when it is closed.

    Twisted's own is open to everybody for a moment, and closing it fails if the file has been removed meanwhile.
    """

    def createInternetSocket(self) -> socket.socket:
        """Make the socket, with the mode that its file gets."""
        made: socket.socket = super().createInternetSocket()
        try:
            os.fchmod(made.fileno(), _MODE)
        except OSError:
            pass  # only Linux knows it; the mode is set again when the file is there
        return made

    def startListening(self) -> None:
        """Listen, and remember the file."""
        super().startListening()
        self._file = _file_of(self.getHost().name)

    def connectionLost(self, reason: Failure) -> None:
        """Close it, and remove the file, unless it has been replaced."""
        path = self.getHost().name
        if _file_of(path) == self._file:
            os.unlink(path)
        tcp.Port.connectionLost(self, reason)


def _file_of(path: bytes) -> tuple[int, int] | None:
    """What identifies the file at a path; None if there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
