"""
Every exception that natsroute raises or fails a Deferred with::

    NatsrouteError
    ├── MisuseError                   your program made a mistake; nothing was sent
    │   ├── SettingError              .setting .value .problem .remedy .origin: it is invalid
    │   ├── RouteError                an event route is invalid
    │   ├── SubjectError              a subject or queue group is invalid
    │   ├── HeaderError               a header is invalid
    │   ├── PayloadError              a payload cannot be serialised
    │   │   └── PayloadTooLargeError  .size .max_payload
    │   ├── ExpressionError           .text .column .problem: a pseudo-variable expression is invalid
    │   ├── ScriptError               .file .line .column .problem .remedy: a kamailio.cfg or KEMI script is invalid
    │   ├── RecordingError            .file .line .problem .remedy: a recording is malformed
    │   └── NoReplySubjectError       the message asks for no answer
    ├── PeerError                     the other side made a mistake, or refused
    │   ├── ProtocolError             .excerpt: the server sent something other than NATS
    │   ├── HandshakeError            the server was reached, but the handshake failed
    │   │   └── TlsError              no TLS connection as configured
    │   ├── ServerError               .text: the server sent an -ERR
    │   │   ├── AuthorizationError    the server rejects the credentials
    │   │   │   ├── AuthenticationExpiredError   they have expired
    │   │   │   └── AuthenticationRevokedError   they were revoked
    │   │   ├── PermissionsError      .operation .subject .queue_group: no permission for a subject
    │   │   ├── StaleConnectionError  the server got no answer to its pings
    │   │   ├── SlowConsumerError     we read too slowly
    │   │   ├── ConnectionLimitError  too many connections
    │   │   ├── SubscriptionLimitError   too many subscriptions
    │   │   ├── PayloadViolationError a message was above max_payload
    │   │   ├── ServerProtocolError   the server could not parse what we sent
    │   │   ├── TlsRequiredError      the server requires TLS, or a client certificate
    │   │   └── ServerShutdownError   the server shuts down
    │   └── DecodeError               a message is not the text, JSON or headers that you asked for
    ├── EvaluationError               a pseudo-variable expression has no value for this event
    ├── ScriptLimitError              a script does too much for one event
    ├── ReloadError                   a reload failed; what ran before goes on
    ├── ConnectionLostError           the connection ended, or there is none
    │   └── ServerLeftError           we left the server, because it shuts down soon
    ├── RouteTimeoutError             .seconds: a route took longer than its timeout
    ├── Reject                        .reason: a route refuses a message for good
    ├── PendingLimitError             .subject .queue_group .messages .bytes: routes are too slow
    ├── RequestError                  .subject: a request has no answer
    │   ├── NoRespondersError         nobody is subscribed to its subject
    │   ├── RequestLimitError         too many requests, or too large ones, wait for their answers
    │   └── RequestTimeoutError       .seconds: there was no answer in time
    └── PublishError                  a message was not published
        ├── PublishBufferFullError    .messages .max_messages .bytes .max_bytes
        ├── PublishDroppedError       it was dropped, as its policy says
        ├── PublishExpiredError       .max_age: it was not confirmed in time
        └── PublisherStoppedError     the publisher stopped

Those of JetStream are in :mod:`natsroute.jetstream.errors`.
"""

from __future__ import annotations

import re

from natsroute.text import printable

_LOGIN_IN_URL = re.compile(r"://.*@", re.DOTALL)


class NatsrouteError(Exception):
    """
    The base class of all errors of natsroute. Catch it to catch them all.

    Its text is safe to show: escaped, and of bounded length. Its attributes have everything as it was received.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class MisuseError(NatsrouteError):
    """
    Your program asked for something that cannot work, and nothing was sent.

    Trying again does not help: fix the call.
    """


class SettingError(MisuseError, ValueError):
    """
    A setting is invalid, or an argument that overrides one.

    Raised at the start, by a call with such an argument, and when a file of credentials is read again.

    :ivar setting: the name of the setting, as in a ``modparam``.
    :ivar value: its value, without credentials.
    :ivar problem: what is wrong with it.
    :ivar remedy: what to do.
    :ivar origin: where the value comes from, such as ``NATSROUTE_NATS_URL`` or ``--nats_url``; empty if a program
        passed it.
    """

    def __init__(self, setting: str, value: object, problem: str, remedy: str, *, origin: str = "") -> None:
        source = f" (from {origin})" if origin else ""
        if isinstance(value, str):  # a URL may have been given to any setting
            value = _LOGIN_IN_URL.sub("://***@", value)
        super().__init__(f"{setting} = {printable(repr(value), 200)}{source}: {problem}. {remedy}")
        self.setting = setting
        self.value = value
        self.problem = problem
        self.remedy = remedy
        self.origin = origin


class RouteError(MisuseError, ValueError):
    """
    An event route or a script function is invalid: its name, its function or one of its options, or it has the name of
    another one.

    Raised when a function is decorated, at the latest when the routes are loaded. In tests, also raised for a message
    that no route takes.
    """


class SubjectError(MisuseError, ValueError):
    """
    A subject or queue group is invalid: it is empty, has white space, an empty token, or a wildcard where none is
    allowed (NATS ADR-6).
    """


class HeaderError(MisuseError, ValueError):
    """
    The name or value of a header is invalid, for example a value with a line break (NATS ADR-4).
    """


class PayloadError(MisuseError, ValueError):
    """
    A payload cannot be serialised: publish bytes, a string, or something that JSON can express.
    """


class PayloadTooLargeError(PayloadError):
    """
    A message is larger than the server accepts. Publish less, or raise ``max_payload`` in the server's configuration.

    :ivar size: bytes of headers and payload together, which is what the server counts.
    :ivar max_payload: bytes that the server accepts.
    """

    def __init__(self, size: int, max_payload: int) -> None:
        super().__init__(f"the message has {size} bytes; the server's max_payload is {max_payload}")
        self.size = size
        self.max_payload = max_payload


class ExpressionError(MisuseError, ValueError):
    """
    A pseudo-variable expression that cannot be compiled: its syntax is wrong, or it names what does not exist.

    :ivar text: the whole expression.
    :ivar column: where the problem is; the first character is column 1.
    :ivar problem: what is wrong there.
    """

    def __init__(self, text: str, column: int, problem: str) -> None:
        super().__init__(f"{text!r}, column {column}: {problem}")
        self.text = text
        self.column = column
        self.problem = problem


class ScriptError(MisuseError, ValueError):
    """
    A ``kamailio.cfg`` or a KEMI script cannot be used. Raised when it is loaded, before anything runs; for a script in
    Lua, also when a call fails.

    :ivar file: the path of the file.
    :ivar line: the line in that file, from 1.
    :ivar column: the column in that line; the first character is column 1.
    :ivar problem: what is wrong there.
    :ivar remedy: what to do about it.
    """

    def __init__(self, file: str, line: int, column: int, problem: str, remedy: str) -> None:
        super().__init__(f"{file}:{line}:{column}: {problem}. {remedy}")
        self.file = file
        self.line = line
        self.column = column
        self.problem = problem
        self.remedy = remedy


class RecordingError(MisuseError, ValueError):
    """
    A recording of messages is malformed.

    :ivar file: the path of the file.
    :ivar line: the line in that file, from 1.
    :ivar problem: what is wrong there.
    :ivar remedy: what to do about it.
    """

    def __init__(self, file: str, line: int, problem: str, remedy: str) -> None:
        super().__init__(f"{file}:{line}: {problem}. {remedy}")
        self.file, self.line, self.problem, self.remedy = file, line, problem, remedy


class NoReplySubjectError(MisuseError):
    """``respond()`` was called for a message without a reply subject. Check ``event.reply`` first."""


class PeerError(NatsrouteError):
    """The other side made a mistake, or refused something."""


class ProtocolError(PeerError):
    """
    The server sent something other than the NATS protocol; the connection is closed. Check that the address is that of
    a nats-server.

    :ivar excerpt: the bytes that could not be parsed, at most 100.
    """

    MAX_EXCERPT = 100

    def __init__(self, problem: str, data: bytes = b"") -> None:
        self.excerpt = data[: self.MAX_EXCERPT]
        super().__init__(f"{problem}: {self.excerpt!r}" if self.excerpt else problem)


class HandshakeError(PeerError):
    """The server was reached, but did not complete the handshake. natsroute tries the next server."""


class TlsError(HandshakeError):
    """
    There is no TLS connection as configured: the server offers none, or its certificate is not accepted. Check the
    ``tls_…`` settings and the server's certificate.
    """


class ServerError(PeerError):
    """
    The server sent an ``-ERR``. There are subclasses for the errors that natsroute knows. After most of them the server
    closes the connection.

    :ivar text: the server's message, without the quotes.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class AuthorizationError(ServerError):
    """The server rejects the credentials. Check the login settings, and the users in the server's configuration."""


class AuthenticationExpiredError(AuthorizationError):
    """The credentials have expired. Provide new ones; natsroute reads files of credentials before each attempt."""


class AuthenticationRevokedError(AuthorizationError):
    """The credentials were revoked on the server. Provide new ones."""


class StaleConnectionError(ServerError):
    """The server got no answer to its pings, and closed the connection: the reactor or the network was blocked."""


class SlowConsumerError(ServerError):
    """
    We read too slowly, and the server closed the connection instead of buffering more messages. Make the routes faster,
    or add processes to the queue group.
    """


class ConnectionLimitError(ServerError):
    """The server, the account or the user has reached its maximum number of connections."""


class SubscriptionLimitError(ServerError):
    """The connection or the account has reached its maximum number of subscriptions."""


class PayloadViolationError(ServerError):
    """We sent a message above the server's ``max_payload``, and it closed the connection."""


class ServerProtocolError(ServerError):
    """The server could not parse what we sent, and closed the connection."""


class TlsRequiredError(ServerError):
    """The server requires TLS, or did not accept our part of the TLS handshake. Check the ``tls_…`` settings."""


class ServerShutdownError(ServerError):
    """The server shuts down. natsroute connects to another one, or waits for this one."""


class PermissionsError(ServerError):
    """
    The server refused one subject; the connection stays open. Grant the permission, or use another subject.

    :ivar operation: ``"publish"``, ``"subscription"``, or ``"reply"`` if it refused the reply subject of a message.
    :ivar subject: the refused subject.
    :ivar queue_group: the queue group of a refused subscription, or None.
    """

    def __init__(self, text: str, operation: str, subject: str, queue_group: str | None) -> None:
        super().__init__(text)
        self.operation = operation
        self.subject = subject
        self.queue_group = queue_group


class DecodeError(PeerError, ValueError):
    """
    A received message is not the text, the JSON or the headers that you asked for. Fix its publisher, or use the bytes
    in ``event.data``.
    """


class EvaluationError(NatsrouteError):
    """A pseudo-variable expression has no value for this event: a transformation cannot be applied to what it got."""


class ScriptLimitError(NatsrouteError):
    """
    A Kamailio script was ended: it kept the reactor for longer than the setting ``script_timeout``, or calls itself too
    deeply.
    """


class ReloadError(NatsrouteError):
    """A reload failed: something is wrong with the code, or the service is not running. What ran before goes on."""


class ConnectionLostError(NatsrouteError):
    """The connection ended before the answer arrived, or there is no connection. natsroute connects again by itself."""


class ServerLeftError(ConnectionLostError):
    """We left the server, because it announced that it shuts down soon (lame duck mode)."""

    def __init__(self, text: str = "the server shuts down soon (lame duck mode)") -> None:
        super().__init__(text)


class RouteTimeoutError(NatsrouteError):
    """
    An event route took longer than its timeout, and its call was cancelled.

    :ivar seconds: the timeout.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the route took longer than its timeout of {seconds:g} s")
        self.seconds = seconds


class Reject(NatsrouteError):  # noqa: N818 - raised as a decision of the route: nothing went wrong
    """
    Raise it in an event route to refuse a message for good: it gets its dead letter and is not retried. A message of a
    stream does not come again. The requester of a route with ``responds=True`` gets the code 400.

    :ivar reason: why, as text. It is in the log, in the dead letter, and in the answer.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "the route rejects the message")
        self.reason = str(reason)  # some will pass the exception that they caught


class PendingLimitError(NatsrouteError):
    """
    More messages are waiting for the routes of a consumer than ``pending_max_messages`` or ``pending_max_bytes``
    allows. Make the routes faster or concurrent, or add processes to the queue group.

    :ivar subject: the subject of the subscription.
    :ivar queue_group: its queue group, or None.
    :ivar messages: messages that are waiting.
    :ivar bytes: bytes that are waiting.
    """

    def __init__(self, subject: str, queue_group: str | None, messages: int, bytes: int, policy: str) -> None:
        name = subject if queue_group is None else f"{subject}:{queue_group}"
        super().__init__(
            f"the routes of {name} are too slow: {messages} messages with {bytes} bytes are waiting ({policy})"
        )
        self.subject = subject
        self.queue_group = queue_group
        self.messages = messages
        self.bytes = bytes


class RequestError(NatsrouteError):
    """
    A request has no answer.

    :ivar subject: its subject.
    """

    def __init__(self, subject: str, problem: str) -> None:
        super().__init__(f"the request to {subject!r} has no answer: {problem}")
        self.subject = subject


class NoRespondersError(RequestError):
    """Nobody is subscribed to the subject of a request; the server says so at once. Start what answers it."""

    def __init__(self, subject: str) -> None:
        super().__init__(subject, "nobody is subscribed to the subject")


class RequestLimitError(RequestError):
    """
    Too many requests wait for their answers, or their payloads are too large together, and this one was not sent. Wait
    for the Deferreds of earlier requests before you send more.
    """

    def __init__(self, subject: str, messages: int, size: int) -> None:
        super().__init__(subject, f"{messages} requests with {size} bytes wait for theirs")


class RequestTimeoutError(RequestError):
    """
    There was no answer in time. Whoever got the request may have handled it.

    :ivar seconds: the timeout.
    """

    def __init__(self, subject: str, seconds: float, *, was_sent: bool = True) -> None:
        problem = f"none came within {seconds:g} s" if was_sent else f"there was no connection for {seconds:g} s"
        super().__init__(subject, problem)
        self.seconds = seconds


class PublishError(NatsrouteError):
    """A message was not published, or it is unknown whether it was."""


class PublishBufferFullError(PublishError):
    """
    The publish worker holds as many messages or bytes as it may. Nothing was sent; wait for the Deferreds of earlier
    messages before you publish more.

    :ivar messages: messages that the worker holds.
    :ivar max_messages: messages that it may hold.
    :ivar bytes: bytes that it holds.
    :ivar max_bytes: bytes that it may hold.
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
    """The message has the policy ``drop``, and the buffer of its publish worker was more than half full."""


class PublishExpiredError(PublishError):
    """
    The server did not confirm the message within ``publish_max_age``. If natsroute was connected meanwhile, the server
    may have the message nevertheless.

    :ivar max_age: seconds.
    """

    def __init__(self, max_age: float) -> None:
        super().__init__(f"the server did not confirm the message within publish_max_age ({max_age:g} s)")
        self.max_age = max_age


class PublisherStoppedError(PublishError):
    """
    The publisher stopped before the server confirmed the message, or had stopped before the message was published. In
    the first case the server may have the message.
    """
