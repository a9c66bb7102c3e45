"""What an ``-ERR`` of the server means: the exception for each of its texts."""

from __future__ import annotations

import re

from natsroute.errors import (
    AuthenticationExpiredError,
    AuthenticationRevokedError,
    AuthorizationError,
    ConnectionLimitError,
    PayloadViolationError,
    PermissionsError,
    ServerError,
    ServerProtocolError,
    ServerShutdownError,
    SlowConsumerError,
    StaleConnectionError,
    SubscriptionLimitError,
    TlsRequiredError,
)

_PERMISSIONS = re.compile(
    r"Permissions Violation for (?:(?P<operation>Publish|Subscription) to|Publish with Reply of) "
    r"\"(?P<subject>(?:[^\"\\]|\\.)*)\"(?: using queue \"(?P<queue_group>(?:[^\"\\]|\\.)*)\")?",
    re.IGNORECASE,
)
# The server quotes names with Go's %q. Its escapes are a part of Python's, except that \x stands for a byte, and that
# surrogates are never escaped.
_ESCAPE = re.compile(r"\\(?:[abfnrtv\"\\]|x(?P<byte>[0-9a-f]{2})|u(?!d[89a-f])[0-9a-f]{4}|U[0-9a-f]{8})")
#: Parts of nats-server's messages, in lower case. The first match counts.
_KINDS: tuple[tuple[str, type[ServerError]], ...] = (
    ("authentication expired", AuthenticationExpiredError),
    ("authentication revoked", AuthenticationRevokedError),
    ("authorization violation", AuthorizationError),
    ("authentication timeout", AuthorizationError),
    ("stale connection", StaleConnectionError),
    ("slow consumer", SlowConsumerError),
    ("maximum connections exceeded", ConnectionLimitError),
    ("maximum account active connections exceeded", ConnectionLimitError),
    ("maximum subscriptions exceeded", SubscriptionLimitError),
    ("maximum payload", PayloadViolationError),
    ("parser error", ServerProtocolError),
    ("unknown protocol operation", ServerProtocolError),
    ("maximum control line exceeded", ServerProtocolError),
    ("invalid client protocol", ServerProtocolError),
    ("secure connection", TlsRequiredError),
    ("tls handshake error", TlsRequiredError),
    ("server shutdown", ServerShutdownError),
)


def server_error(text: str) -> ServerError:
    """
    Create the exception for an ``-ERR``.

    :param text: the server's message, without the quotes.
    """
    refused = _PERMISSIONS.search(text)
    if refused:
        operation, queue_group = refused["operation"] or "reply", refused["queue_group"]
        return PermissionsError(
            text,
            operation.lower(),
            _unquote(refused["subject"]),
            None if queue_group is None else _unquote(queue_group),
        )
    lower = text.lower()
    return next((kind for words, kind in _KINDS if words in lower), ServerError)(text)


def _unquote(name: str) -> str:
    return _ESCAPE.sub(_unescape, name)


def _unescape(escape: re.Match[str]) -> str:
    if escape["byte"]:
        return bytes.fromhex(escape["byte"]).decode("utf-8", "surrogateescape")
    return escape[0].encode().decode("unicode_escape", "replace")
