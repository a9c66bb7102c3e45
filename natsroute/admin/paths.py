"""Where the admin sockets of services are, and who may use these folders."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

#: Bytes that the path of a Unix socket may have.
MAX_PATH = 107 if sys.platform == "linux" else 103

_SUFFIX = ".sock"
_MAX_NAME = 40
_GROUP_OR_OTHERS = 0o077
_WRITE_OF_GROUP_OR_OTHERS = 0o022


def is_too_long(path: str) -> bool:
    """Whether the path has more bytes than that of a Unix socket may have."""
    return len(os.fsencode(path)) > MAX_PATH


def runtime_folders(environment: Mapping[str, str], uid: int) -> list[Path]:
    """
    The folders for the sockets of a user's services; a service uses the first one.

    They are the folders in ``$RUNTIME_DIRECTORY``, which systemd sets; ``$XDG_RUNTIME_DIR/natsroute``, if that folder
    is the user's; and ``/run/natsroute`` for root, or else ``/tmp/natsroute-UID``.
    """
    folders = [Path(folder) for folder in environment.get("RUNTIME_DIRECTORY", "").split(":") if os.path.isabs(folder)]
    xdg = environment.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(xdg) and _owner(xdg) == uid:
        folders.append(Path(xdg, "natsroute"))
    folders.append(Path("/run/natsroute") if uid == 0 else Path(f"/tmp/natsroute-{uid}"))
    return folders


def socket_name(service: str, pid: int) -> str:
    """The name of the socket of a service, in its runtime folder."""
    return f"{service_name(service)}-{pid}{_SUFFIX}"


def service_name(service: str) -> str:
    """The name of a service, as the name of its socket shows it."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", service)[:_MAX_NAME]


def prepare_folder(folder: Path, environment: Mapping[str, str], uid: int) -> None:
    """
    Make a runtime folder if it is not there.

    :raises OSError: it cannot be made, or :func:`check_folder` refuses it.
    """
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    check_folder(folder, environment, uid)


def check_folder(folder: Path, environment: Mapping[str, str], uid: int) -> None:
    """
    Check that nobody else can put a socket into a runtime folder.

    :raises OSError: it is not there, it is a symbolic link, another user owns it, or others may use it. Those that
        systemd has made may be readable.
    """
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "it is a link or a file and not a folder", str(folder))
    if status.st_uid != uid:
        raise PermissionError(errno.EPERM, f"it belongs to user {status.st_uid}", str(folder))
    by_systemd = str(folder) in environment.get("RUNTIME_DIRECTORY", "").split(":")
    forbidden = status.st_mode & (_WRITE_OF_GROUP_OR_OTHERS if by_systemd else _GROUP_OR_OTHERS)
    if forbidden:
        raise PermissionError(errno.EPERM, f"other users may use it (mode {status.st_mode & 0o777:04o})", str(folder))


def sockets_in(folder: Path) -> list[Path]:
    """The sockets in a folder, by name; those of processes that were killed are among them."""
    try:
        found = [path for path in folder.iterdir() if path.suffix == _SUFFIX and path.is_socket()]
    except OSError:
        return []
    return sorted(found)


def somebody_listens(path: str) -> bool:
    """
    Whether a process listens at a socket, however busy it is.

    :raises OSError: that cannot be told, for example because this user may not connect.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            return True  # it has not accepted the connections of others yet
        except ConnectionRefusedError:
            return False
    return True


def _owner(path: str) -> int | None:
    try:
        return os.stat(path).st_uid
    except OSError:
        return None
