"""
Every exception of JetStream that natsroute raises or fails a Deferred with::

    JetStreamError                    .code .err_code .description .remedy: the server refused a request
    ├── JetStreamUnavailableError     there is no JetStream on the server or for the account
    ├── JetStreamBusyError            the cluster cannot answer at the moment
    ├── JetStreamLimitError           the account or the server has a limit that would be exceeded
    ├── JetStreamPermissionError      .subject: the user may not ask the API
    ├── NoApiAnswerError              .subject: the API does not answer in time
    ├── InvalidApiAnswerError         .subject .data: something that is not the API answered
    ├── StreamNotFoundError           there is no such stream
    │   └── BucketNotFoundError       .bucket: there is no such key-value bucket
    ├── StreamExistsError             there is a stream of this name, or for these subjects, already
    ├── StreamSealedError             the stream is sealed
    ├── NoStreamError                 .subject: no stream takes a subject, or its leader is not elected
    ├── ConsumerNotFoundError         there is no such consumer
    ├── ConsumerExistsError           there is a consumer of this name, with another configuration
    ├── InvalidConfigError            the server refuses the configuration of a stream or consumer
    ├── ConfigDiffersError            .what .differences: a stream or consumer is not as the settings say
    ├── MessageNotFoundError          the stream has no such message
    ├── WrongLastSequenceError        the stream has a newer message than the publisher expected
    │   └── KeyExistsError            .bucket .key .revision: the key to create has a value
    ├── KeyNotFoundError              .bucket .key .revision: the key has no value, or no such revision
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

    MisuseError
    └── BucketConfigError             a bucket cannot be configured like this
"""

from __future__ import annotations

from collections.abc import Sequence

from natsroute.errors import MisuseError, PeerError


class JetStreamError(PeerError):
    """
    The server refused a request of JetStream. There are subclasses for the refusals that natsroute knows.

    :ivar code: the server's code, like a status of HTTP.
    :ivar err_code: the server's own number of the error, which does not change between versions; 0 if it gave none.
    :ivar description: the server's text.
    :ivar remedy: what to do about it; empty if natsroute does not know. It is a part of the error's text.

    :param asked: what was asked for, such as the subject of the request; the text of the error begins with it.
    """

    remedy = ""

    def __init__(
        self, description: str, code: int = 0, err_code: int = 0, *, remedy: str | None = None, asked: str = ""
    ) -> None:
        if remedy is not None:
            self.remedy = remedy
        numbers = f" (code {code}, err_code {err_code})" if err_code else f" (code {code})" if code else ""
        what_to_do = f". {self.remedy}" if self.remedy else ""
        super().__init__(f"{asked}{': ' if asked else ''}{description}{numbers}{what_to_do}")
        self.code = code
        self.err_code = err_code
        self.description = description


class JetStreamUnavailableError(JetStreamError):
    """
    There is no JetStream on the server or for the account. Start the server with ``-js``, or enable JetStream for the
    account, and check ``jetstream_domain``.
    """

    remedy = (
        "Start the server with -js or a jetstream block, enable JetStream for the account, and check jetstream_domain"
    )


class JetStreamBusyError(JetStreamError):
    """
    The cluster cannot answer at the moment: it elects a leader, has too many requests, or has too few servers for the
    replicas. Ask again after a while; natsroute does, where it asks for itself.
    """

    remedy = "Ask again. If it stays so, look at the cluster: nats server report jetstream"


class JetStreamLimitError(JetStreamError):
    """
    The account or the server has a limit that would be exceeded: streams, consumers, memory or storage. Delete what is
    not needed, or raise the limit.
    """

    remedy = "Delete what is not needed, or raise the limits of the account or the server: nats account info"


class JetStreamPermissionError(JetStreamError):
    """
    The user may not ask the API: the server refuses the subject of the request, or the subscription for its answer.

    :ivar subject: the subject of the request.
    """

    remedy = "Allow the user to publish to this subject, and to subscribe to the subjects of inbox_prefix"

    def __init__(self, subject: str, problem: str) -> None:
        super().__init__(problem, asked=subject)
        self.subject = subject


class NoApiAnswerError(JetStreamError):
    """
    The API does not answer in time: the server is busy, or gone.

    :ivar subject: the subject of the request.
    """

    remedy = "Look at the server, and at its load: nats server report jetstream"

    def __init__(self, subject: str, problem: str) -> None:
        super().__init__(problem, asked=subject)
        self.subject = subject


class InvalidApiAnswerError(JetStreamError):
    """
    Something that is not the JetStream API answered a request to it. Look for a subscriber of the subject.

    :ivar subject: the subject of the request.
    :ivar data: the payload of the answer.
    """

    remedy = "Look for another subscriber of the subject"

    def __init__(self, subject: str, data: bytes, problem: str) -> None:
        super().__init__(f"the answer is not one of the JetStream API: {problem}", asked=subject)
        self.subject = subject
        self.data = data


class StreamNotFoundError(JetStreamError):
    """There is no such stream. Create it, or set ``jetstream_create``."""

    remedy = "Create the stream, or set jetstream_create and jetstream_stream"


class StreamExistsError(JetStreamError):
    """
    There is a stream of this name already, with another configuration, or one for some of the subjects. Use another
    name, or other subjects, or update it.
    """

    remedy = "Look at what there is, with: nats stream ls --all"


class StreamSealedError(JetStreamError):
    """The stream is sealed: it never changes again. Use another stream."""

    remedy = "Use another stream"


class BucketNotFoundError(StreamNotFoundError):
    """
    There is no such key-value bucket. Create it with the ``nats`` tool, or with ``create=True``.

    :ivar bucket: its name.
    """

    def __init__(self, bucket: str) -> None:
        super().__init__(
            f"there is no bucket {bucket!r}",
            404,
            10059,
            remedy=f"Create it with `nats kv add {bucket}`, or pass create=True",
        )
        self.bucket = bucket


class NoStreamError(JetStreamError):
    """
    No stream took the message: none has its subject, or the stream has had no leader for too long. Create the stream,
    or check the subjects that it takes.

    :ivar subject: the subject of the message.
    """

    def __init__(self, subject: str) -> None:
        super().__init__(f"no stream takes messages to {subject!r}, or it has no leader", 503)
        self.subject = subject


class ConsumerNotFoundError(JetStreamError):
    """There is no such consumer. Create it, or set ``jetstream_create``."""

    remedy = "Create the consumer, or set jetstream_create"


class ConsumerExistsError(JetStreamError):
    """There is a consumer of this name already, with another configuration. Use another name, or update it."""

    remedy = "Use another name, or update it"


class InvalidConfigError(JetStreamError):
    """The server refuses the configuration of a stream or consumer; ``description`` says why."""


class ConfigDiffersError(JetStreamError):
    """
    A stream or consumer is not as the settings say. Change the settings, or let natsroute change it with
    ``jetstream_update``.

    :ivar what: the stream or consumer, as a text such as ``stream calls``.
    :ivar differences: what differs; see :class:`natsroute.jetstream.management.configs.Difference`.
    """

    remedy = "Change the settings, or set jetstream_update"

    def __init__(self, what: str, differences: Sequence[object]) -> None:
        super().__init__(f"{what} differs from the settings: {'; '.join(map(str, differences))}")
        self.what = what
        self.differences = tuple(differences)


class MessageNotFoundError(JetStreamError):
    """The stream has no such message: it was removed, or never there."""


class WrongLastSequenceError(JetStreamError):
    """The stream, or the subject in it, has a newer message than the publisher expected. Read it, and decide again."""

    remedy = "Read the newest message, and decide again"


class KeyExistsError(WrongLastSequenceError):
    """
    The key to create has a value.

    :ivar bucket: its bucket.
    :ivar key: the key.
    :ivar revision: the revision of its value.
    """

    remedy = "Change it with put() or update()"

    def __init__(self, bucket: str, key: str, revision: int) -> None:
        super().__init__(f"key {key!r} of bucket {bucket} exists, with revision {revision}")
        self.bucket = bucket
        self.key = key
        self.revision = revision


class KeyNotFoundError(JetStreamError):
    """
    The key has no value, or had none at the revision that was asked for.

    :ivar bucket: its bucket.
    :ivar key: the key.
    :ivar revision: the revision at which the key was deleted, or that was asked for; None if the key never was there.
    """

    def __init__(self, bucket: str, key: str, revision: int | None = None) -> None:
        at = "" if revision is None else f" at revision {revision}"
        super().__init__(f"there is no key {key!r} in bucket {bucket}{at}", 404)
        self.bucket = bucket
        self.key = key
        self.revision = revision


class WrongLastMessageIdError(JetStreamError):
    """The last message of the stream has another id than the publisher expected. Read it, and decide again."""

    remedy = "Read the newest message, and decide again"


class ExpectedStreamError(JetStreamError):
    """The subject belongs to another stream than the publisher expected. Check the subjects of both streams."""

    remedy = "Check the subjects of both streams"


class StoreError(JetStreamError):
    """
    The server has no space for the message or the stream. Look at its storage, and at the limits of the account.
    """

    remedy = "Look at the storage of the server, and at the limits of the account: nats account info"


class StreamFullError(StoreError):
    """
    The stream has as many messages or bytes as it may, and its ``discard`` is ``new``. Consume or purge messages, raise
    its limits, or let it discard old ones.
    """

    remedy = "Consume or purge messages, raise the limits of the stream, or let it discard old ones"


class MessageTooLargeError(JetStreamError):
    """The message is above the ``max_msg_size`` of the stream."""

    remedy = "Send less, or raise the max_msg_size of the stream"


class MessageTtlError(JetStreamError):
    """
    The stream has no TTL for single messages, because it has no ``allow_msg_ttl``; or the TTL is not one of at least a
    second (NATS ADR-43).
    """

    remedy = "Give a TTL of at least a second, and set allow_msg_ttl for the stream"


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


class BucketConfigError(MisuseError, ValueError):
    """A bucket cannot be configured like this."""


#: The numbers for what is wrong with the configuration of a stream or consumer.
_CONFIG_NUMBERS = (
    10010, 10012, 10021, 10022, 10024, 10030, 10031, 10032, 10033, 10034, 10046, 10049, 10052, 10055, 10061,
    10069, 10074, *range(10078, 10097), *range(10098, 10104), 10106, 10107, 10108, 10112, 10114, 10115, 10116, 10121,
    *range(10123, 10148), *range(10150, 10158), 10159, 10161, 10162, 10173, 10178, *range(10181, 10185), 10186, 10187,
    10196, 10197, 10198,
)  # fmt: skip
#: The subclass for each number of the server (NATS server, ``errors.json``).
_CLASSES: dict[int, type[JetStreamError]] = {
    **dict.fromkeys((10004, 10005, 10008, 10009, 10118, 10119, 10163, 10167, 10194, 10195), JetStreamBusyError),
    **dict.fromkeys((10002, 10026, 10027, 10113, 10120, 10122), JetStreamLimitError),
    **dict.fromkeys((10035, 10039, 10076), JetStreamUnavailableError),
    **dict.fromkeys((10037, 10043), MessageNotFoundError),
    **dict.fromkeys((10058, 10065), StreamExistsError),
    **dict.fromkeys((10013, 10105, 10148), ConsumerExistsError),
    **dict.fromkeys(_CONFIG_NUMBERS, InvalidConfigError),
    10014: ConsumerNotFoundError,
    10149: ConsumerNotFoundError,
    10023: StoreError,
    10028: StoreError,
    10047: StoreError,
    10109: StreamSealedError,
    10054: MessageTooLargeError,
    10059: StreamNotFoundError,
    10060: ExpectedStreamError,
    10070: WrongLastMessageIdError,
    10071: WrongLastSequenceError,
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


def error_of(code: int, err_code: int, description: str, asked: str = "") -> JetStreamError:
    """
    The exception for an error in an answer of the server.

    :param asked: what was asked for; the text of the error begins with it.
    """
    error = _CLASSES.get(err_code, JetStreamError)
    if err_code == _STORE_FAILED and description.startswith("maximum "):
        error = StreamFullError
    return error(description, code, err_code, asked=asked)
