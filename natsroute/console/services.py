"""The services of this user that run, as far as they have an admin socket at a default path."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from natsroute.admin.paths import check_folder, runtime_folders, service_name, sockets_in, somebody_listens

#: Where systemd makes the folders of services, each of which may have its own: ``natsroute``, ``natsroute-…`` and
#: ``natsroute/…``.
SYSTEM_FOLDER = Path("/run")


@attrs.frozen
class RunningService:
    """
    A service that runs.

    :ivar path: its admin socket.
    :ivar name: its name, as far as a file name can show it.
    :ivar pid: its process.
    """

    path: str
    name: str
    pid: int

    def __str__(self) -> str:
        return f"{self.name}, process {self.pid}, {self.path}"


@attrs.frozen
class Wanted:
    """
    Which service a command is for.

    :ivar name: its name; None for any.
    :ivar pid: its process; None for any.
    """

    name: str | None = None
    pid: int | None = None

    def matches(self, service: RunningService) -> bool:
        """Whether it is this service."""
        name_fits = self.name is None or service_name(self.name) == service.name
        return name_fits and self.pid in (None, service.pid)


def folders(environment: Mapping[str, str], uid: int) -> list[Path]:
    """The folders in which sockets are looked for."""
    return list(dict.fromkeys([*runtime_folders(environment, uid), *_system_folders()]))


def _system_folders() -> list[Path]:
    patterns = ("natsroute", "natsroute-*", "natsroute/*")
    return sorted(path for pattern in patterns for path in SYSTEM_FOLDER.glob(pattern) if path.is_dir())


def running_services(
    environment: Mapping[str, str], uid: int, in_folders: Sequence[Path] | None = None
) -> list[RunningService]:
    """
    The services of a user that run; for root, also those that systemd runs as other users.

    :param in_folders: where to look; None: see :func:`folders`.
    """
    return list(_running(environment, uid, folders(environment, uid) if in_folders is None else in_folders))


def _running(environment: Mapping[str, str], uid: int, in_folders: Sequence[Path]) -> Iterator[RunningService]:
    system = _system_folders()
    for folder in in_folders:
        by_systemd = folder in system  # in /run, only root makes folders
        if not ((by_systemd and uid == 0) or _is_trusted(folder, environment, uid, by_systemd)):
            continue
        for path in sockets_in(folder):
            parts = re.fullmatch(r"(.+)-(\d+)", path.stem)
            if parts is not None and _somebody_listens(path):
                yield RunningService(str(path), parts[1], int(parts[2]))


def _is_trusted(folder: Path, environment: Mapping[str, str], uid: int, by_systemd: bool) -> bool:
    """Whether no other user can have put a socket there."""
    if by_systemd:
        environment = {"RUNTIME_DIRECTORY": str(folder)}
    try:
        check_folder(folder, environment, uid)
    except OSError:
        return False
    return True


def _somebody_listens(path: Path) -> bool:
    try:
        return somebody_listens(str(path))
    except OSError:
        return False
