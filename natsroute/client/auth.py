"""Logs in to a server: with a user and password, a token, an nkey, or a JWT and its nkey."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, ensureDeferred

from natsroute.errors import MisuseError, SettingError

try:
    import nkeys
except ImportError:
    nkeys = None


def _secret() -> Any:
    return attrs.field(default=None, repr=False)


@attrs.frozen
class Credentials:
    """
    The credentials of a login. None of them is in ``repr``.

    :ivar seed: an nkey's seed, ``SU...``. It signs the server's nonce, and is never sent.
    :ivar jwt: a user's JWT; ``seed`` is then the seed of this user.
    """

    user: str | None = _secret()
    password: str | None = _secret()
    token: str | None = _secret()
    seed: str | None = _secret()
    jwt: str | None = _secret()

    def login(self, nonce: str) -> dict[str, str]:
        """
        The fields of CONNECT for this login.

        :param nonce: the nonce in the server's INFO, which the seed signs.
        :raises SettingError: the seed is malformed, or ``nkeys`` is not installed.
        """
        fields = {"user": self.user, "pass": self.password, "auth_token": self.token, "jwt": self.jwt}
        if self.seed is not None:
            pair = key_pair(self.seed)
            if self.jwt is None:
                fields["nkey"] = pair.public_key.decode()
            fields["sig"] = base64.urlsafe_b64encode(pair.sign(nonce.encode("utf-8", "replace"))).rstrip(b"=").decode()
        return {name: value for name, value in fields.items() if value is not None}


#: Called before each attempt to connect. Returns the credentials for it, or an awaitable of them.
CredentialsSource = Callable[[], "Credentials | Awaitable[Credentials]"]


async def ask_for_credentials(source: CredentialsSource) -> Credentials:
    """
    Call a source, and wait for its credentials.

    :raises MisuseError: the source returns something else.
    """
    given: Any = source()
    if isinstance(given, Deferred) or inspect.iscoroutine(given):
        given = await ensureDeferred(given)
    if not isinstance(given, Credentials):  # only its type is named, because it may hold a password
        raise MisuseError(f"the credentials function returned a {type(given).__name__} instead of Credentials")
    return given


def key_pair(seed: str, setting: str = "nkey_file", where: str = "a seed") -> Any:
    """
    The keys that belong to a user's seed.

    :param setting: the setting that an error names.
    :param where: where the seed comes from, for an error.
    :raises SettingError: this is not the seed of a user, or ``nkeys`` is not installed.
    """
    if nkeys is None:
        raise SettingError(setting, where, "nkeys is not installed", "Install it with pip install 'natsroute[nkeys]'")
    try:
        if not seed.startswith("SU") or not _has_valid_checksum(seed):
            raise nkeys.ErrInvalidSeed
        pair = nkeys.from_seed(seed.encode("ascii"))
    except Exception:  # also those of base64 and PyNaCl, whose texts may contain the seed
        remedy = "A user's seed begins with SU and has 58 characters, as 'nk -gen user' writes it"
        raise SettingError(setting, where, "it does not contain the seed of a user", remedy) from None
    return pair


def _has_valid_checksum(seed: str) -> bool:
    # nkeys does not check it. A seed with a typing error would only be found when the server refuses it.
    data = base64.b32decode(seed + "=" * (-len(seed) % 8))
    return bool(nkeys.crc16_checksum(data[:-2]) == data[-2:])
