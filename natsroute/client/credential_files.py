"""
Reads the files that hold credentials, certificates and keys.

A renewed file is used without a restart, for the next connection. No error contains what is in a file.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

from natsroute.client.auth import Credentials, key_pair
from natsroute.errors import SettingError
from natsroute.log import Logger

_log = Logger()

_BLOCK = r"-{3,}\s*BEGIN %s\s*-{3,}\s*([A-Za-z0-9_\-.=]+)\s*-{3,}\s*END %s\s*-{3,}"
_JWT = re.compile(_BLOCK % ("NATS USER JWT", "NATS USER JWT"))
_SEED = re.compile(_BLOCK % ("USER NKEY SEED", "USER NKEY SEED"))


def read_file(setting: str, path: str) -> bytes:
    """
    The content of a file.

    :param setting: the setting that names the file, for an error.
    :raises SettingError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: no file can have this name
        problem = getattr(error, "strerror", None) or "it cannot be read"
        raise SettingError(setting, path, problem, "Name a file that natsroute's user can read") from None


def version_of(path: str) -> tuple[int, ...]:
    """Changes when a file, or what is in a folder, does."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return ()
    # A change that keeps the time of the last change, or only the permissions, changes ctime.
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def from_nkey_file(path: str) -> Credentials:
    """
    Read an nkey's seed from a file that holds nothing else but comments.

    :raises SettingError: the file cannot be read, or does not contain the seed of a user.
    """
    words = [line.strip() for line in _text("nkey_file", path).splitlines() if line.strip() and line[0] not in "#-"]
    seed = words[0] if words else ""
    key_pair(seed, "nkey_file", path)
    return Credentials(seed=seed)


def from_creds_file(path: str) -> Credentials:
    """
    Read a JWT and its seed from a credentials file, as ``nsc`` writes it.

    :raises SettingError: the file cannot be read, or one of the two is missing or malformed.
    """
    text = _text("creds_file", path)
    jwt, seed = _JWT.search(text), _SEED.search(text)
    for what, found in (("USER JWT", jwt), ("NKEY SEED", seed)):
        if found is None:
            remedy = "Create it again with 'nsc generate creds'; it may be truncated"
            raise SettingError("creds_file", path, f"it has no complete {what} block", remedy)
    assert jwt is not None
    assert seed is not None
    if jwt[1].count(".") != 2:
        raise SettingError("creds_file", path, "its JWT is malformed", "Create it again with 'nsc generate creds'")
    key_pair(seed[1], "creds_file", path)
    return Credentials(jwt=jwt[1], seed=seed[1])


def warn_of_readers(setting: str, path: str) -> None:
    """
    Log a warning if not only its owner can read a file with a secret.

    :param setting: the setting that names the file.
    :raises OSError: there is no such file.
    """
    if stat.S_IMODE(Path(path).stat().st_mode) & (stat.S_IRGRP | stat.S_IROTH):
        _log.warn(
            "{setting} = {path!r}: users other than its owner can read this file, and it holds a secret. chmod 600 it",
            setting=setting,
            path=path,
        )


def _text(setting: str, path: str) -> str:
    try:
        return read_file(setting, path).decode("ascii")
    except UnicodeDecodeError:
        raise SettingError(setting, path, "it is not a text file", "It must contain a seed or credentials") from None
