"""
Every exception of JetStream that natsroute raises or fails a Deferred with::

    JetStreamError                    .code .err_code .description: the server refused a request
    ├── JetStreamUnavailableError     there is no JetStream on the server or for the account
    ├── StreamNotFoundError           there is no such stream
    ├── ConsumerNotFoundError         there is no such consumer
    ├── WrongLastSequenceError        the stream has a newer message than the publisher expected
    ├── WrongLastMessageIdError       the last message of the stream has another id than the publisher expected
    ├── ExpectedStreamError           the subject belongs to another stream than the publisher expected
    ├── StoreError                    the stream cannot store the message
    │   └── StreamFullError           it is full, and keeps its old messages
    ├── MessageTooLargeError          the message is above the stream's max_msg_size
    ├── MessageTtlError               the stream has no TTL for single messages, or not this one
    ├── ScheduleError                 the stream has no scheduled messages, or not this one
    ├── BatchError                    the stream refuses an atomic batch, and has none of its messages
    │   └── DuplicateInBatchError     it has a message with one of the ids already
    └── InvalidPubAckError            .data: something that is no stream answered a message
"""

from __future__ import annotations

from natsroute.errors import PeerError


class JetStreamError(PeerError):
    """
    The server refused a request of JetStream. There are subclasses for the refusals that natsroute knows.

    :ivar code: the server's code, like a status of HTTP.
    :ivar err_code: the server's own number of the error, which does not change between versions; 0 if it gave none.
    :ivar description: the server's text.
    """

    def __init__(self, description: str, code: int = 0, err_code: int = 0, *, remedy: str = "") -> None:
        numbers = f" (code {code}, err_code {err_code})" if err_code else f" (code {code})" if code else ""
        super().__init__(f"{description}{numbers}" + (f". {remedy}" if remedy else ""))
        self.code = code
        self.err_code = err_code
        self.description = description


class JetStreamUnavailableError(JetStreamError):
    """
    There is no JetStream on the server or for the account. Start the server with ``-js``, or enable JetStream for the
    account, and check ``jetstream_domain``.
    """


class StreamNotFoundError(JetStreamError):
    """There is no such stream. Create it, or set ``jetstream_create``."""


class ConsumerNotFoundError(JetStreamError):
    """There is no such consumer. Create it, or set ``jetstream_create``."""


class WrongLastSequenceError(JetStreamError):
    """The stream, or the subject in it, has a newer message than the publisher expected. Read it, and decide again."""


class WrongLastMessageIdError(JetStreamError):
    """The last message of the stream has another id than the publisher expected. Read it, and decide again."""


class ExpectedStreamError(JetStreamError):
    """The subject belongs to another stream than the publisher expected. Check the subjects of both streams."""


class StoreError(JetStreamError):
    """The stream cannot store the message. Look at the storage of the server, and at the limits of the account."""


class StreamFullError(StoreError):
    """
    The stream has as many messages or bytes as it may, and its ``discard`` is ``new``. Consume or purge messages, raise
    its limits, or let it discard old ones.
    """


class MessageTooLargeError(JetStreamError):
    """The message is above the ``max_msg_size`` of the stream."""


class MessageTtlError(JetStreamError):
    """
    The stream has no TTL for single messages, because it has no ``allow_msg_ttl``; or the TTL is not one of at least a
    second (NATS ADR-43).
    """


class ScheduleError(JetStreamError):
    """
    The stream has no scheduled messages, because it has no ``allow_msg_schedules``; or the schedule or its target is
    invalid (NATS ADR-51).
    """


class BatchError(JetStreamError):
    """
    The stream refuses an atomic batch, and has none of its messages (NATS ADR-50). It needs ``allow_atomic``.
    """


class DuplicateInBatchError(BatchError):
    """The stream has a message with one of the ids of the batch already, so it stored none of them."""


class InvalidPubAckError(JetStreamError):
    """
    The reply to a message is no acknowledgement of a stream. Something else is subscribed to the subject, and answers.

    :ivar data: the payload of the reply.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(
            f"the reply is no acknowledgement of a stream: {data[:100]!r}",
            remedy="Look for a subscriber of the subject that answers",
        )
        self.data = data


#: The subclass for each number of the server (NATS server, ``errors.json``).
_CLASSES: dict[int, type[JetStreamError]] = {
    10014: ConsumerNotFoundError,
    10023: StoreError,
    10028: StoreError,
    10039: JetStreamUnavailableError,
    10047: StoreError,
    10054: MessageTooLargeError,
    10059: StreamNotFoundError,
    10060: ExpectedStreamError,
    10070: WrongLastMessageIdError,
    10071: WrongLastSequenceError,
    10076: JetStreamUnavailableError,
    10077: StoreError,
    10164: WrongLastSequenceError,
    10165: MessageTtlError,
    10166: MessageTtlError,
    **dict.fromkeys((10174, 10175, 10176, 10177, 10179, 10199), BatchError),
    **dict.fromkeys((10188, 10189, 10190, 10191, 10192), ScheduleError),
    10201: DuplicateInBatchError,
}


#: The number for whatever the storage says.
_STORE_FAILED = 10077


def error_of(code: int, err_code: int, description: str) -> JetStreamError:
    """The exception for an error in an answer of the server."""
    if err_code == _STORE_FAILED and description.startswith("maximum "):
        return StreamFullError(description, code, err_code)
    return _CLASSES.get(err_code, JetStreamError)(description, code, err_code)
