"""
Every exception that natsroute raises or fails a Deferred with::

    NatsrouteError
    ├── MisuseError                   you misused it; nothing was sent
    │   ├── SettingError              .setting .value .problem .remedy .origin
    │   ├── RouteError                an event route that cannot be what it says
    │   ├── SubjectError              a subject or queue group that may not reach the wire
    │   ├── HeaderError               a header that may not reach the wire
    │   ├── PayloadError              a payload that cannot be made into bytes
    │   │   └── PayloadTooLargeError  .size .max_payload
    │   └── NoReplySubjectError       the message asked for no answer
    ├── PeerError                     the peer misbehaved, or said no
    │   ├── ProtocolError             .excerpt: what came was not NATS
    │   ├── HandshakeError            the server and we could not agree
    │   │   └── TlsError              no TLS as it was asked for
    │   ├── ServerError               .text: an -ERR
    │   │   ├── AuthorizationError    the server does not let us in, or not any longer
    │   │   │   ├── AuthenticationExpiredError
    │   │   │   └── AuthenticationRevokedError
    │   │   ├── PermissionsError      .operation .subject .queue_group: one subject is refused
    │   │   ├── StaleConnectionError  the server had no answer to its pings
    │   │   ├── SlowConsumerError     we did not read what the server had for us
    │   │   ├── ConnectionLimitError  the server, or our account, has no room for us
    │   │   ├── SubscriptionLimitError   no room for another subscription
    │   │   ├── PayloadViolationError we sent more than its max_payload
    │   │   ├── ServerProtocolError   it could not read what we sent
    │   │   ├── TlsRequiredError      it wants TLS, or wants it done better
    │   │   └── ServerShutdownError   it goes away
    │   └── DecodeError               a message is not the text, JSON or headers that was asked for
    ├── ConnectionLostError           the connection ended, or there is none
    │   └── ServerLeftError           we left it in order, because the server goes away
    ├── RouteTimeoutError             .seconds: a route took longer than its timeout
    ├── PendingLimitError             .subject .queue_group .messages .bytes: more came than its routes handle
    └── PublishError                  a message that will not be published
        ├── PublishBufferFullError    .messages .max_messages .bytes .max_bytes
        ├── PublishDroppedError       it gave way, as its policy asked for
        ├── PublishExpiredError       .max_age: it was not confirmed in time
        └── PublisherStoppedError     the publisher is stopping, or has stopped
"""

from __future__ import annotations

import re


class NatsrouteError(Exception):
    """The root of the tree above."""


class MisuseError(NatsrouteError):
    """Something was asked of natsroute that it cannot do; nothing was sent."""


class SettingError(MisuseError, ValueError):
    """
    A setting that cannot work.

    :ivar setting: the name, as a Kamailio engineer would write it.
    :ivar value: what was given, without credentials.
    :ivar problem: what is wrong with it.
    :ivar remedy: what to write instead.
    :ivar origin: where the value came from, as ``NATSROUTE_NATS_URL`` or ``--nats_url``; empty if a program gave it.
    """

    def __init__(self, setting: str, value: object, problem: str, remedy: str, *, origin: str = "") -> None:
        source = f" (from {origin})" if origin else ""
        super().__init__(f"{setting} = {value!r}{source}: {problem}. {remedy}")
        self.setting = setting
        self.value = value
        self.problem = problem
        self.remedy = remedy
        self.origin = origin


class RouteError(MisuseError, ValueError):
    """An event route whose name, function or options contradict each other or another route."""


class SubjectError(MisuseError, ValueError):
    """A subject or a queue group that is not one (NATS ADR-6)."""


class HeaderError(MisuseError, ValueError):
    """A header name or value that is not one (NATS ADR-4)."""


class PayloadError(MisuseError, ValueError):
    """A payload that cannot be made into bytes."""


class PayloadTooLargeError(PayloadError):
    """
    A message above the server's ``max_payload``.

    :ivar size: bytes of headers and payload together, as the server counts.
    :ivar max_payload: bytes that the server allows.
    """

    def __init__(self, size: int, max_payload: int) -> None:
        super().__init__(f"the message has {size} bytes, the server's max_payload is {max_payload}")
        self.size = size
        self.max_payload = max_payload


class NoReplySubjectError(MisuseError):
    """``respond()`` on a message that carries no reply subject."""


class PeerError(NatsrouteError):
    """The other side misbehaved, or refused."""


class ProtocolError(PeerError):
    """
    What came is not the NATS protocol.

    :ivar excerpt: at most 100 bytes of it.
    """

    MAX_EXCERPT = 100

    def __init__(self, problem: str, data: bytes = b"") -> None:
        self.excerpt = data[: self.MAX_EXCERPT]
        super().__init__(f"{problem}: {self.excerpt!r}" if self.excerpt else problem)


class HandshakeError(PeerError):
    """The server was reached, and the two sides could not agree on how to go on."""


class TlsError(HandshakeError):
    """TLS was asked for, and could not be had as it was asked for."""


class ServerError(PeerError):
    """
    An ``-ERR`` of the server. Those after which it ends the connection have types of their own; so have refused
    subjects, after which the connection lives on.

    :ivar text: the server's words, without the quotes.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class AuthorizationError(ServerError):
    """The server does not let us in, or not any longer."""


class AuthenticationExpiredError(AuthorizationError):
    """What we logged in with is not valid any longer: it had a time."""


class AuthenticationRevokedError(AuthorizationError):
    """What we logged in with is not valid any longer: somebody took it back."""


class StaleConnectionError(ServerError):
    """The server waited in vain for answers to its pings."""


class SlowConsumerError(ServerError):
    """The server had more for us than it keeps, because we did not read it."""


class ConnectionLimitError(ServerError):
    """The server, or our account or user, has as many connections as it may have."""


class SubscriptionLimitError(ServerError):
    """The connection or the account has as many subscriptions as it may have."""


class PayloadViolationError(ServerError):
    """A message was above the server's ``max_payload``."""


class ServerProtocolError(ServerError):
    """The server could not read what it got."""


class TlsRequiredError(ServerError):
    """The server wants TLS, or was not content with ours."""


class ServerShutdownError(ServerError):
    """The server goes away."""


class PermissionsError(ServerError):
    """
    The server refused one subject; the connection lives on.

    :ivar operation: ``"publish"``, ``"subscription"``, or ``"reply"`` for the reply subject of a message.
    :ivar subject: the subject refused.
    :ivar queue_group: the queue group refused with it, or None.
    """

    def __init__(self, text: str, operation: str, subject: str, queue_group: str | None) -> None:
        super().__init__(text)
        self.operation = operation
        self.subject = subject
        self.queue_group = queue_group


class DecodeError(PeerError, ValueError):
    """A received message is not the text, the JSON or the headers that was asked of it."""


class ConnectionLostError(NatsrouteError):
    """The connection ended before the answer came, or there is no connection."""


class ServerLeftError(ConnectionLostError):
    """We left the server in order, because it goes away (lame duck mode)."""


class RouteTimeoutError(NatsrouteError):
    """
    An event route took longer than its timeout, and was cancelled.

    :ivar seconds: the timeout.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it took longer than its timeout, {seconds:g} s")
        self.seconds = seconds


class PendingLimitError(NatsrouteError):
    """
    More messages wait for a consumer's routes than may.

    :ivar subject: what the consumer subscribes to.
    :ivar queue_group: its queue group, or None.
    :ivar messages: messages that wait.
    :ivar bytes: bytes that wait.
    """

    def __init__(self, subject: str, queue_group: str | None, messages: int, bytes: int, policy: str) -> None:
        name = subject if queue_group is None else f"{subject}:{queue_group}"
        super().__init__(f"the routes of {name} are too slow: {messages} messages, {bytes} bytes wait ({policy})")
        self.subject = subject
        self.queue_group = queue_group
        self.messages = messages
        self.bytes = bytes


class PublishError(NatsrouteError):
    """A message that will not be published."""


class PublishBufferFullError(PublishError):
    """
    The publish worker holds as much as it may.

    :ivar messages: messages that wait there.
    :ivar max_messages: how many may.
    :ivar bytes: bytes that wait there.
    :ivar max_bytes: how many may.
    """

    def __init__(self, *, messages: int, max_messages: int, bytes: int, max_bytes: int) -> None:
        super().__init__(
            f"the publish worker holds {messages} of {max_messages} messages and {bytes} of {max_bytes} bytes; "
            "wait for the Deferreds of earlier messages, or raise publish_max_messages or publish_max_bytes"
        )
        self.messages = messages
        self.max_messages = max_messages
        self.bytes = bytes
        self.max_bytes = max_bytes


class PublishDroppedError(PublishError):
    """The message was published with the policy ``drop``, and its publish worker had no room to spare."""


class PublishExpiredError(PublishError):
    """
    The message was not confirmed within ``publish_max_age``. The server may have it, if it was connected meanwhile.

    :ivar max_age: seconds.
    """

    def __init__(self, max_age: float) -> None:
        super().__init__(f"the server did not confirm the message within publish_max_age ({max_age:g} s)")
        self.max_age = max_age


class PublisherStoppedError(PublishError):
    """The publisher stopped before the server confirmed the message."""


_PERMISSIONS = re.compile(
    r"Permissions Violation for (?:(?P<operation>Publish|Subscription) to|Publish with Reply of) "
    r"\"(?P<subject>(?:[^\"\\]|\\.)*)\"(?: using queue \"(?P<queue_group>(?:[^\"\\]|\\.)*)\")?",
    re.IGNORECASE,
)
# The server writes names as Go's %q does, whose escapes are among those of Python. But \x stands for a byte there, and
# half of a surrogate pair never comes.
_ESCAPE = re.compile(r"\\(?:[abfnrtv\"\\]|x(?P<byte>[0-9a-f]{2})|u(?!d[89a-f])[0-9a-f]{4}|U[0-9a-f]{8})")
#: The words of nats-server, in small letters and without the subject that some end with; the first that fits counts.
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
    The exception for an ``-ERR``.

    :param text: what the server said, without the quotes.
    """
    refused = _PERMISSIONS.search(text)
    if refused:
        operation, queue_group = refused["operation"] or "reply", refused["queue_group"]
        return PermissionsError(
            text,
            operation.lower(),
            _unquoted(refused["subject"]),
            None if queue_group is None else _unquoted(queue_group),
        )
    words = text.lower()
    return next((kind for beginning, kind in _KINDS if beginning in words), ServerError)(text)


def _unquoted(name: str) -> str:
    return _ESCAPE.sub(_unescaped, name)


def _unescaped(escape: re.Match[str]) -> str:
    if escape["byte"]:
        return bytes.fromhex(escape["byte"]).decode("utf-8", "surrogateescape")
    return escape[0].encode().decode("unicode_escape", "replace")
