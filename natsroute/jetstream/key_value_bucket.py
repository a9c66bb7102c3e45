"""A key-value bucket on the server: its stream, asked over the JetStream API (NATS ADR-8 and ADR-31)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from typing import Protocol as Interface

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from natsroute.errors import NoRespondersError
from natsroute.jetstream.api import DEFAULT_API_PREFIX, DEFAULT_API_TIMEOUT, JetStreamApi
from natsroute.jetstream.errors import (
    BucketNotFoundError,
    JetStreamError,
    JetStreamUnavailableError,
    StreamNotFoundError,
)
from natsroute.jetstream.key_value_config import BucketConfig, BucketStatus
from natsroute.jetstream.key_value_entry import Entry, direct_entry, stored_entry
from natsroute.jetstream.key_value_names import STREAMS, stream_of, subject_of
from natsroute.jetstream.pub_ack import parse_pub_ack
from natsroute.log import Logger
from natsroute.wire.headers import HeaderValues

#: Sends a request: subject, payload, timeout in seconds, and headers. See
#: :meth:`natsroute.daemon.requesting.Requesting.request`.
Request: TypeAlias = Callable[[str, bytes, float, "HeaderValues | None"], "Deferred[Any]"]

#: A change is written again so many times, after so many seconds, if the stream has no leader at the moment.
_RETRIES, _RETRY_AFTER = 3, 0.25
_NOT_FOUND, _NO_MESSAGE = 404, 10037


class Bucket(Interface):
    """Where a :class:`~natsroute.jetstream.key_value.KeyValue` keeps its entries."""

    @property
    def name(self) -> str:
        """The name of the bucket."""

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


class ServerBucket:
    """
    A bucket on the server. All methods run in the reactor thread.

    :param request: sends requests.
    :param timeout: seconds that an answer may take.
    """

    log = Logger()

    def __init__(
        self,
        name: str,
        api: JetStreamApi,
        request: Request,
        clock: IReactorTime,
        *,
        timeout: float = DEFAULT_API_TIMEOUT,
    ) -> None:
        self.name = name
        self.stream = stream_of(name)
        self._api = api
        self._request = request
        self._clock = clock
        self._config: BucketConfig | None = None
        self._timeout = timeout
        self._opened: BucketStatus | None = None
        self._opening = DeferredLock()
        self._storing: dict[str, Deferred[None]] = {}  # by key: the last one, which the next waits for
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
            method = f"STREAM.CREATE.{self.stream}"
            status = BucketStatus.of(await self._api.call(method, config.stream(self.name)))
        else:
            differences = [] if config is None else config.differences(self.name, status.stream)
            if differences:
                self.log.warn(
                    "Bucket {bucket} is there already, and stays as it is: {differences}",
                    bucket=self.name,
                    differences="; ".join(differences),
                )
        self._opened = status
        prefix = "" if self._api.prefix == DEFAULT_API_PREFIX else f"{self._api.prefix}."
        mirror = status.stream.get("mirror")
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
            return BucketStatus.of(await self._api.call(f"STREAM.INFO.{self.stream}"))
        except StreamNotFoundError:
            raise BucketNotFoundError(self.name) from None

    async def last(self, key: str) -> Entry | None:
        """See :meth:`Bucket.last`."""
        await self.open()
        assert self._opened is not None
        subject = subject_of(self._source, key)
        if not self._opened.allows_direct:
            return await self._stored({"last_by_subj": subject})
        return await self._direct(f".{subject}", b"")

    async def at(self, revision: int) -> Entry | None:
        """See :meth:`Bucket.at`."""
        await self.open()
        assert self._opened is not None
        wanted = {"seq": revision}
        if not self._opened.allows_direct:
            return await self._stored(wanted)
        return await self._direct("", json.dumps(wanted).encode())

    async def _stored(self, wanted: Mapping[str, Any]) -> Entry | None:
        """Ask the leader of the stream."""
        try:
            answer = await self._api.call(f"STREAM.MSG.GET.{self.stream}", wanted)
        except StreamNotFoundError:
            self._opened = None
            raise BucketNotFoundError(self.name) from None
        except JetStreamError as error:
            if error.err_code == _NO_MESSAGE:
                return None
            raise
        message = answer.get("message")
        if not isinstance(message, Mapping):
            raise JetStreamError(f"the answer of bucket {self.name} has no message: {answer!r}")
        return stored_entry(self.name, message)

    async def _direct(self, rest: str, payload: bytes) -> Entry | None:
        """Ask any server that has the stream."""
        subject = f"{self._api.prefix}.DIRECT.GET.{self.stream}{rest}"
        msg = await self._with_responders(subject, payload, None)
        headers = msg.headers
        if headers.status is None:
            return direct_entry(self.name, msg)
        if headers.status == _NOT_FOUND:
            return None
        raise JetStreamError(headers.description or "the server refuses to get a message", headers.status)

    async def store(self, key: str, value: bytes, headers: Mapping[str, str]) -> int:
        """See :meth:`Bucket.store`. Changes of one key are stored in the order of the calls."""
        before = self._storing.get(key)
        stored = self._storing[key] = Deferred()
        try:
            if before is not None:
                await before
            await self.open()
            subject = self._store_prefix + subject_of(self._source, key)
            msg = await self._with_responders(subject, value, headers or None)
        finally:
            if self._storing[key] is stored:
                del self._storing[key]
            stored.callback(None)
        return parse_pub_ack(msg).sequence

    async def _with_responders(self, subject: str, payload: bytes, headers: HeaderValues | None) -> Any:
        """
        Send a request; again after a while if nobody responds, which may mean that the stream elects a leader.

        :raises BucketNotFoundError: there is no such stream any more.
        :raises JetStreamUnavailableError: there is one, but nobody responds.
        """
        for _ in range(_RETRIES):
            try:
                return await self._request(subject, payload, self._timeout, headers)
            except NoRespondersError:
                await deferLater(self._clock, _RETRY_AFTER)
        try:
            return await self._request(subject, payload, self._timeout, headers)
        except NoRespondersError:
            self._opened = None
            await self.open()  # names what is wrong, if the stream is not there
            problem = f"nothing answers at {subject}"
            remedy = "The stream of the bucket has no leader, or the account must not publish there"
            raise JetStreamUnavailableError(problem, 503, remedy=remedy) from None
