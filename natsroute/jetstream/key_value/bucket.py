"""A key-value bucket on the server: its stream, asked over the JetStream API (NATS ADR-8 and ADR-31)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar
from typing import Protocol as Interface

from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from natsroute.errors import ConnectionLostError, NatsrouteError, NoRespondersError, RequestError
from natsroute.jetstream.api import DEFAULT_API_PREFIX, DEFAULT_API_TIMEOUT, JetStreamApi
from natsroute.jetstream.consuming.ephemeral_consumers import Start
from natsroute.jetstream.consuming.ordered_consumer import OrderedConsumer
from natsroute.jetstream.errors import (
    BucketNotFoundError,
    JetStreamBusyError,
    JetStreamUnavailableError,
    MessageNotFoundError,
    NoApiAnswerError,
    StreamNotFoundError,
)
from natsroute.jetstream.key_value.config import BucketConfig, BucketStatus
from natsroute.jetstream.key_value.entry import Entry, stored_entry, watched_entry
from natsroute.jetstream.key_value.watch import Watch, WatchOptions
from natsroute.jetstream.management.stored_messages import (
    StoredMessage,
    get_last_message,
    get_last_message_direct,
    get_message,
    get_message_direct,
)
from natsroute.jetstream.management.streams import create_stream, stream_info
from natsroute.jetstream.publishing.pub_ack import parse_pub_ack
from natsroute.log import Logger
from natsroute.wire.frames import Msg
from natsroute.wire.headers import HeaderValues
from natsroute.wire.key_value import STREAMS, disjoint, stream_of, subject_of

#: Sends a request: subject, payload, timeout in seconds, and headers. See
#: :meth:`natsroute.daemon.sending.requesting.Requesting.request`.
Request: TypeAlias = Callable[[str, bytes, float, "HeaderValues | None"], "Deferred[Any]"]

_Answer = TypeVar("_Answer")
_Get = Callable[[JetStreamApi, str, Any], "Awaitable[StoredMessage]"]

#: How often it is asked again if the stream has no leader at the moment, and after how many seconds.
_RETRIES, _RETRY_AFTER = 3, 0.25
#: Seconds until a bucket that is to be watched is looked up again.
_WATCH_RETRY = 1.0


class Bucket(Interface):
    """Where a :class:`~natsroute.jetstream.key_value.key_value.KeyValue` keeps its entries."""

    @property
    def name(self) -> str:
        """The name of the bucket."""

    @property
    def clock(self) -> IReactorTime:
        """The reactor, or the clock of a test."""

    def configure(self, config: BucketConfig) -> None:
        """Create the bucket like this if it does not exist."""

    async def open(self) -> None:
        """Look the bucket up, and create it if that was asked for. It is done once."""

    async def last(self, key: str) -> Entry | None:
        """The last entry of a key, which may be a mark that it was deleted; None if there is none."""

    async def at(self, revision: int) -> Entry | None:
        """The entry with a revision, of any key; None if there is none."""

    async def store(self, key: str, value: bytes, headers: Mapping[str, str]) -> int:
        """
        Store an entry.

        :return: its revision.
        :raises WrongLastSequenceError: the key has another last revision than the headers expect.
        """

    async def status(self) -> BucketStatus:
        """What the server says of the bucket."""

    def watch(self, watch: Watch, options: WatchOptions) -> None:
        """Begin to hand entries to a watch."""

    def stop_watches(self) -> None:
        """Stop all watches."""

    async def subjects(self, patterns: Iterable[str]) -> list[str]:
        """
        The subjects in the stream of the keys that match one of the patterns, and perhaps others. Looks the bucket up.
        """


class ServerBucket:
    """
    A bucket on the server. All methods run in the reactor thread.

    :param request: sends requests.
    :param consume: makes the consumer of a watch, out of its stream and the arguments of
        :class:`~natsroute.jetstream.consuming.ordered_consumer.OrderedConsumer` that are named below.
    :param timeout: seconds that an answer may take.
    """

    log = Logger()

    def __init__(
        self,
        name: str,
        api: JetStreamApi,
        request: Request,
        clock: IReactorTime,
        consume: Callable[..., OrderedConsumer],
        *,
        timeout: float = DEFAULT_API_TIMEOUT,
    ) -> None:
        self.name = name
        self.stream = stream_of(name)
        self._api = api
        self._request = request
        self.clock = clock
        self._consume = consume
        self._config: BucketConfig | None = None
        self._timeout = timeout
        self._watches: list[Watch] = []
        self._opened: BucketStatus | None = None
        self._opening = DeferredLock()
        self._storing: dict[str, DeferredLock] = {}  # by key, as long as it is being stored
        self._source = name  # whose subjects the keys have: another bucket's if this is a mirror
        self._store_prefix = ""

    def configure(self, config: BucketConfig) -> None:
        """See :meth:`Bucket.configure`."""
        self._config = config

    async def open(self) -> None:
        """See :meth:`Bucket.open`. A failure is not remembered: the next call tries again."""
        if self._opened is not None:
            return
        await self._opening.acquire()
        try:
            if self._opened is None:
                await self._open()
        finally:
            self._opening.release()

    async def _open(self) -> None:
        config = self._config
        try:
            status = await self.status()
        except BucketNotFoundError:
            if config is None:
                raise
            status = BucketStatus.of(await create_stream(self._api, config.stream(self.name)))
        else:
            differences = [] if config is None else config.stream(self.name).differences(status.stream)
            if differences and not status.is_mirror:
                self.log.warn(
                    "Bucket {bucket} is there already, and stays as it is: {differences}",
                    bucket=self.name,
                    differences="; ".join(map(str, differences)),
                )
        self._opened = status
        prefix = "" if self._api.prefix == DEFAULT_API_PREFIX else f"{self._api.prefix}."
        mirror = status.stream.more.get("mirror")
        if isinstance(mirror, Mapping):
            self._source = str(mirror.get("name", "")).removeprefix(STREAMS)
            external = mirror.get("external")
            if isinstance(external, Mapping) and external.get("api"):
                prefix = f"{external['api']}."
        self._store_prefix = prefix

    @property
    def source(self) -> str:
        """The bucket that the subjects of the keys name: this one, or the one that it mirrors."""
        return self._source

    async def status(self) -> BucketStatus:
        """See :meth:`Bucket.status`."""
        try:
            return BucketStatus.of(await stream_info(self._api, self.stream))
        except StreamNotFoundError:
            raise BucketNotFoundError(self.name) from None

    async def last(self, key: str) -> Entry | None:
        """See :meth:`Bucket.last`."""
        return await self._get(get_last_message_direct, get_last_message, lambda: subject_of(self._source, key))

    async def at(self, revision: int) -> Entry | None:
        """See :meth:`Bucket.at`."""
        return await self._get(get_message_direct, get_message, lambda: revision)

    async def _get(self, direct: _Get, from_leader: _Get, wanted: Callable[[], Any]) -> Entry | None:
        await self.open()
        assert self._opened is not None
        get = direct if self._opened.allows_direct else from_leader
        try:
            message = await self._with_responders(lambda: get(self._api, self.stream, wanted()))
        except MessageNotFoundError:
            return None
        except StreamNotFoundError:
            self._opened = None
            raise BucketNotFoundError(self.name) from None
        return stored_entry(self.name, message)

    async def store(self, key: str, value: bytes, headers: Mapping[str, str]) -> int:
        """See :meth:`Bucket.store`. Changes of one key are stored in the order of the calls."""
        turns = self._storing.get(key)
        if turns is None:
            turns = self._storing[key] = DeferredLock()
        await turns.acquire()
        try:
            await self.open()
            subject = self._store_prefix + subject_of(self._source, key)
            msg = await self._with_responders(lambda: self._request(subject, value, self._timeout, headers or None))
        finally:
            if not turns.waiting:
                del self._storing[key]
            turns.release()
        return parse_pub_ack(msg).sequence

    def watch(self, watch: Watch, options: WatchOptions) -> None:
        """See :meth:`Bucket.watch`. Until the bucket can be looked up, this tries again; without a bucket, it fails."""
        self._watches = [*(one for one in self._watches if not one.stopped), watch]
        looking = Deferred.fromCoroutine(self._watch(watch, options))
        if not looking.called:
            watch.started(looking.cancel)
        looking.addErrback(lambda failure: failure.trap(CancelledError))

    def stop_watches(self) -> None:
        """See :meth:`Bucket.stop_watches`."""
        for watch in self._watches:
            watch.stop()

    async def _watch(self, watch: Watch, options: WatchOptions) -> None:
        while True:
            try:
                await self.open()
                break
            except (RequestError, ConnectionLostError, NoApiAnswerError, JetStreamBusyError) as error:
                watch.problem = error.with_traceback(None)
                await deferLater(self.clock, _WATCH_RETRY)
            except NatsrouteError as error:
                self.log.error("Bucket {bucket} cannot be watched: {reason}", bucket=self.name, reason=str(error))
                watch.failed(error)
                return
        watch.problem = None
        consumer = self._consume(
            self.stream,
            on_msg=lambda msg: self._hand_over(watch, options, msg),
            on_caught_up=watch.has_caught_up,
            on_problem=lambda problem: setattr(watch, "problem", problem),
            filter_subjects=await self.subjects(options.patterns),
            start=Start(options.deliver_policy),
            headers_only=options.meta_only,
        )
        watch.started(consumer.stop)
        if not watch.stopped:
            consumer.start()

    def _hand_over(self, watch: Watch, options: WatchOptions, msg: Msg) -> Deferred[Any] | None:
        entry = watched_entry(self.name, msg)
        return watch.hand_over(entry) if options.matches(entry.key) else None

    async def subjects(self, patterns: Iterable[str]) -> list[str]:
        """See :meth:`Bucket.subjects`."""
        await self.open()
        return [subject_of(self._source, pattern) for pattern in disjoint(patterns)]

    async def _with_responders(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """
        Ask; again after a while if nobody responds, which may mean that the stream elects a leader.

        :raises BucketNotFoundError: there is no such stream any more.
        :raises JetStreamUnavailableError: there is one, but nobody responds.
        """
        for wait in (_RETRY_AFTER,) * _RETRIES:
            try:
                return await ask()
            except (NoRespondersError, JetStreamUnavailableError):
                await deferLater(self.clock, wait)
        try:
            return await ask()
        except (NoRespondersError, JetStreamUnavailableError):
            self._opened = None
            await self.open()  # names what is wrong, if the stream is not there
            remedy = "Look for its leader, with: nats stream info, and whether the account may publish there"
            raise JetStreamUnavailableError(
                "nothing answers", 503, remedy=remedy, asked=f"bucket {self.name}"
            ) from None
