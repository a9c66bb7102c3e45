"""Files that settings name."""

from __future__ import annotations

from pathlib import Path

from natsroute.errors import SettingError


def read_file(setting: str, path: str) -> bytes:
    """
    All of a file.

    :param setting: the setting that names it, for an error.
    :raises SettingError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: there can be no file of that name
        problem = getattr(error, "strerror", None) or "it cannot be read"
        raise SettingError(setting, path, problem, "Name a file that natsroute's user can read") from None
