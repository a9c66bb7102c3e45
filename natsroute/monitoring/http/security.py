"""Who may see what on the HTTP site, and the headers that protect it in a browser."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Sequence

from natsroute.monitoring.http.resources import Answer

#: The paths that need no login: probes have none.
FREE = (b"/livez", b"/readyz")

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


class Access:
    """
    Which requests are answered.

    :param login: what all paths but :data:`FREE` require; None: nothing.
    :param local: whether the site listens on a loopback address. Without a login, requests are then refused whose
        ``Host`` is a name, except localhost: see :func:`is_local_name`.
    """

    def __init__(self, login: Login | None, *, local: bool) -> None:
        self._login = login
        self._local = local

    def may_see(self, authorization: bytes | None) -> bool:
        """Whether a request has the login, or needs none."""
        return self._login is None or self._login.accepts(authorization)

    def refusal(
        self,
        method: bytes,
        path: bytes,
        hosts: Sequence[bytes],
        authorization: bytes | None,
        *,
        needs_host: bool = True,
    ) -> Answer | None:
        """
        The response to a request that is refused; None if it is not.

        :param path: the path, without a query.
        :param hosts: each header ``Host``.
        :param authorization: the header ``Authorization``, if there is one.
        :param needs_host: whether there must be a ``Host``.
        """
        if method not in (b"GET", b"HEAD"):
            return Answer.text("Only GET and HEAD are allowed", 405, (b"Allow", b"GET, HEAD"))
        if not path.startswith(b"/"):
            return Answer.text("The path must begin with a slash", 400)
        if len(hosts) > 1 or not (_HOST.fullmatch(hosts[0]) if hosts else not needs_host):
            return Answer.text("The header Host is missing or malformed", 400)
        if self._login is None and self._local and hosts and not is_local_name(hosts[0]):
            return Answer.text(
                "Without http_user, natsroute answers on a loopback address only if the header Host is localhost or an "
                "IP address",
                421,
            )
        if path not in FREE and not self.may_see(authorization):
            return Answer.text("A login is required", 401, (b"WWW-Authenticate", CHALLENGE))
        return None


def _digest(login: bytes) -> bytes:
    return hashlib.sha256(login).digest()


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
