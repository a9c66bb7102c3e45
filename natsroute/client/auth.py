"""
Who we are, as a server wants to hear it: a user and password, a token, an nkey, or a JWT with its nkey.

Files are read again for each connection, so that renewed ones are picked up. Seeds and passwords are never in
``repr``, an error or a log.
"""

from __future__ import annotations

import base64
import inspect
import re
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from natsroute.client.credential_files import read_file
from natsroute.errors import MisuseError, SettingError

try:
    import nkeys
except ImportError:
    nkeys = None

_log = Logger()


def _secret() -> Any:
    return attrs.field(default=None, repr=False)


@attrs.frozen
class Credentials:
    """
    What we say of ourselves. None of it is in ``repr``.

    :ivar seed: the seed of an nkey, ``S...``; it signs what the server asks to have signed, and is never sent.
    :ivar jwt: a user's JWT; the seed is then that of its user.
    """

    user: str | None = _secret()
    password: str | None = _secret()
    token: str | None = _secret()
    seed: str | None = _secret()
    jwt: str | None = _secret()

    def login(self, nonce: str) -> dict[str, str]:
        """
        The fields of CONNECT that let us in.

        :param nonce: what the server's INFO asks to have signed.
        :raises SettingError: the seed is none, or ``nkeys`` is not installed.
        """
        fields = {"user": self.user, "pass": self.password, "auth_token": self.token, "jwt": self.jwt}
        if self.seed is not None:
            pair = key_pair(self.seed)
            if self.jwt is None:
                fields["nkey"] = pair.public_key.decode()
            fields["sig"] = base64.urlsafe_b64encode(pair.sign(nonce.encode("utf-8", "replace"))).rstrip(b"=").decode()
        return {name: value for name, value in fields.items() if value is not None}


#: Gives the credentials for the next connection, now or as an awaitable; it is asked before each attempt.
CredentialsSource = Callable[[], "Credentials | Awaitable[Credentials]"]


async def ask_for_credentials(source: CredentialsSource, clock: IReactorTime, timeout: float) -> Credentials:
    """
    What a source gives.

    :param timeout: seconds that it may take.
    :raises MisuseError: it gives something else.
    """
    given: Any = source()
    if isinstance(given, Deferred) or inspect.iscoroutine(given):
        given = await ensureDeferred(given).addTimeout(timeout, clock)
    if not isinstance(given, Credentials):  # whatever it is, it may hold a secret
        raise MisuseError(f"the credentials function gave a {type(given).__name__}, and not Credentials")
    return given


def key_pair(seed: str, setting: str = "nkey_file", where: str = "a seed") -> Any:
    """
    The keys of a seed.

    :param setting: the setting that an error is about.
    :param where: where the seed was found, for an error.
    :raises SettingError: it is no seed of a user, or ``nkeys`` is not installed.
    """
    if nkeys is None:
        raise SettingError(setting, where, "nkeys is not installed", "Install it with pip install 'natsroute[nkeys]'")
    try:
        if not seed.startswith("SU") or not _checksum_is_right(seed):
            raise nkeys.ErrInvalidSeed
        pair = nkeys.from_seed(seed.encode("ascii"))
    except Exception:  # nkeys lets errors of base64 and of PyNaCl through, and their texts may hold the seed
        remedy = "A user's seed begins with SU and has 58 characters, as 'nk -gen user' writes it"
        raise SettingError(setting, where, "there is no seed of a user in it", remedy) from None
    return pair


def _checksum_is_right(seed: str) -> bool:
    # nkeys passes over it, and a seed with a wrong character in it would then be refused by the server only.
    data = base64.b32decode(seed + "=" * (-len(seed) % 8))
    return bool(nkeys.crc16_checksum(data[:-2]) == data[-2:])


def from_nkey_file(path: str) -> Credentials:
    """
    An nkey's seed from a file that holds nothing else, or comments beside it.

    :raises SettingError: the file cannot be read, or holds no seed of a user.
    """
    words = [line.strip() for line in _text("nkey_file", path).splitlines() if line.strip() and line[0] not in "#-"]
    seed = words[0] if words else ""
    key_pair(seed, "nkey_file", path)
    return Credentials(seed=seed)


_BLOCK = r"-{3,}\s*BEGIN %s\s*-{3,}\s*([A-Za-z0-9_\-.=]+)\s*-{3,}\s*END %s\s*-{3,}"
_JWT = re.compile(_BLOCK % ("NATS USER JWT", "NATS USER JWT"))
_SEED = re.compile(_BLOCK % ("USER NKEY SEED", "USER NKEY SEED"))


def from_creds_file(path: str) -> Credentials:
    """
    A JWT and its seed from a credentials file, as ``nsc`` writes it.

    :raises SettingError: the file cannot be read, or one of the two is not in it.
    """
    text = _text("creds_file", path)
    jwt, seed = _JWT.search(text), _SEED.search(text)
    for what, found in (("USER JWT", jwt), ("NKEY SEED", seed)):
        if found is None:
            remedy = "Write it anew with 'nsc generate creds'; it may have been cut off"
            raise SettingError("creds_file", path, f"there is no whole {what} block in it", remedy)
    assert jwt is not None
    assert seed is not None
    if jwt[1].count(".") != 2:
        raise SettingError("creds_file", path, "its JWT is none", "Write it anew with 'nsc generate creds'")
    key_pair(seed[1], "creds_file", path)
    return Credentials(jwt=jwt[1], seed=seed[1])


def warn_of_readers(setting: str, path: str) -> None:
    """Log a warning if others than its owner can read a file that holds a secret."""
    if stat.S_IMODE(Path(path).stat().st_mode) & (stat.S_IRGRP | stat.S_IROTH):
        _log.warn(
            "{setting} = {path!r}: others than its owner can read this file, and it holds a secret. chmod 600 it",
            setting=setting,
            path=path,
        )


def _text(setting: str, path: str) -> str:
    try:
        return read_file(setting, path).decode("ascii")
    except UnicodeDecodeError:
        raise SettingError(setting, path, "it is not a text file", "It should hold a seed or credentials") from None
