"""An operator, its accounts and their users, for nats-server: nkeys, JWTs and ``.creds`` files."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import time
from collections.abc import Mapping
from typing import Any

import nkeys

from tests.support.secret_watch import secret

_JWT_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}

#: Each limit has to be named, since nats-server takes one that is missing for 0.
_NO_LIMITS = {"subs": -1, "data": -1, "payload": -1}
_NO_ACCOUNT_LIMITS = {**_NO_LIMITS, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}


class Nkey:
    """
    A new key pair.

    :ivar seed: the secret seed, ``S...``.
    :ivar public: the public key, ``U...`` for a user.

    :param prefix: what the key is for, one of ``nkeys.PREFIX_BYTE_...``.
    """

    def __init__(self, prefix: int = nkeys.PREFIX_BYTE_USER) -> None:
        seed = nkeys.encode_seed(os.urandom(32), prefix)
        self._pair = nkeys.from_seed(seed)
        self.seed: str = secret(seed.decode())
        self.public: str = self._pair.public_key.decode()

    def sign(self, data: bytes) -> bytes:
        """The signature, not encoded."""
        signature: bytes = self._pair.sign(data)
        return signature

    def jwt(self, subject: Nkey, name: str, nats: Mapping[str, Any], *, expires: float | None = None) -> str:
        """
        A JWT about another key, signed with this key.

        :param nats: the claims that are specific to NATS.
        :param expires: seconds until it expires; None for never, negative for a JWT that has expired.
        """
        claims: dict[str, Any] = {
            "iat": int(time.time()),
            "iss": self.public,
            "name": name,
            "sub": subject.public,
            "nats": {**nats, "version": 2},
        }
        if expires is not None:
            claims["exp"] = math.ceil(time.time() + expires)
        digest = hashlib.sha256(_json(claims)).digest()
        claims["jti"] = base64.b32encode(digest).rstrip(b"=").decode()
        signed = f"{_base64url(_json(_JWT_HEADER))}.{_base64url(_json(claims))}"
        return f"{signed}.{_base64url(self.sign(signed.encode()))}"


class Operator:
    """
    An operator with accounts, whose users log in with JWTs.

    :ivar config: the configuration of a nats-server that knows the operator and the accounts.

    :param accounts: the names of the accounts; ``TEST`` if there are none.
    """

    def __init__(self, *accounts: str) -> None:
        self._accounts = {name: Nkey(nkeys.PREFIX_BYTE_ACCOUNT) for name in accounts or ("TEST",)}
        self._users: dict[tuple[str, str], Nkey] = {}
        operator = Nkey(nkeys.PREFIX_BYTE_OPERATOR)
        preload = "".join(
            f"  {account.public}: {operator.jwt(account, name, {'type': 'account', 'limits': _NO_ACCOUNT_LIMITS})}\n"
            for name, account in self._accounts.items()
        )
        self.config = (
            f"operator: {operator.jwt(operator, 'operator', {'type': 'operator'})}\n"
            f"resolver: MEMORY\nresolver_preload: {{\n{preload}}}\n"
        )

    def user(self, user: str, *, account: str | None = None) -> Nkey:
        """The user's key, the same in each call."""
        return self._users.setdefault((self._name(account), user), Nkey())

    def user_jwt(
        self,
        user: str,
        expires: float | None = None,
        permissions: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
    ) -> str:
        """The user's JWT; see :meth:`creds`."""
        nats = {"type": "user", **_NO_LIMITS, **(permissions or {})}
        key = self.user(user, account=account)
        return self._accounts[self._name(account)].jwt(key, user, nats, expires=expires)

    def creds(
        self,
        user: str,
        expires: float | None = None,
        permissions: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
    ) -> str:
        """
        The text of the user's ``.creds`` file.

        :param expires: seconds until the JWT expires, rounded up to a full second of the clock; None for never,
            negative for a JWT that has expired.
        :param permissions: such as ``{"pub": {"allow": ["a.>"]}, "sub": {"deny": ["b"]}}``.
        :param account: the name of the account; None for the first one.
        """
        jwt = self.user_jwt(user, expires, permissions, account=account)
        return (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            "************************* IMPORTANT *************************\n"
            "NKEY Seed printed below can be used to sign and prove identity.\n"
            "NKEYs are sensitive and should be treated as secrets.\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{self.user(user, account=account).seed}\n"
            "------END USER NKEY SEED------\n\n"
            "*************************************************************\n"
        )

    def _name(self, account: str | None) -> str:
        return next(iter(self._accounts)) if account is None else account


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
