"""Who may see what on the HTTP site, and the headers that protect it in a browser."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re

#: Headers of each response. The page brings all that it needs with it: nothing comes from elsewhere, and nothing may be
#: framed. A cache would show an old state.
HEADERS = (
    (b"Cache-Control", b"no-store"),
    (
        b"Content-Security-Policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
    (b"Referrer-Policy", b"no-referrer"),
    (b"X-Content-Type-Options", b"nosniff"),
)
#: What a response without a valid login asks for.
CHALLENGE = b'Basic realm="natsroute", charset="UTF-8"'

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~-]+)(:[0-9]{1,5})?")


class Login:
    """
    The login that the site asks for: basic authentication (RFC 7617).

    :param user: the name, without a colon.
    :param password: the password.
    """

    def __init__(self, user: str, password: str) -> None:
        self._digest = _digest(f"{user}:{password}".encode("utf-8", "surrogateescape"))

    def accepts(self, authorization: bytes | None) -> bool:
        """
        Whether this is the login. It takes the same time for each wrong one.

        :param authorization: the header ``Authorization``; None if there is none.
        """
        scheme, _, token = (authorization or b"").partition(b" ")
        try:
            given = base64.b64decode(token.strip(), validate=True)
        except ValueError:
            given = b""
        return hmac.compare_digest(_digest(given), self._digest) and scheme.lower() == b"basic"


def _digest(login: bytes) -> bytes:
    return hashlib.sha256(login).digest()


def is_host(host: bytes | None) -> bool:
    """Whether this is a well-formed header ``Host``."""
    return host is not None and _HOST.fullmatch(host) is not None


def is_local_name(host: bytes) -> bool:
    """
    Whether a well-formed ``Host`` is an address or ``localhost``.

    A page of another site can let its own name resolve to 127.0.0.1, and then read what is served there (DNS
    rebinding). Its requests have that name as ``Host``.
    """
    name = host.decode("ascii")
    if not name.endswith("]"):
        name = name.rpartition(":")[0] or name
    name = name.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
