"""Creates or checks the streams that the settings name, whenever a connection begins, until it succeeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.client.connection import Connection
from natsroute.client.server_pool import Backoff
from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change
from natsroute.errors import ConnectionLostError, NatsrouteError
from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.management.configs import ConsumerConfig, StreamConfig
from natsroute.jetstream.management.consumers import ConsumerInfo
from natsroute.jetstream.management.ensuring import Permission, ensure_consumer, ensure_stream
from natsroute.log import Logger

#: How long to wait before what failed is tried again.
RETRY = Backoff(wait=0.5, max_wait=30.0, jitter=0.1)


class StreamChecks:
    """
    Sees to it that there are the streams of the settings, and says which are not as they must be.

    :param connection: what ``api`` asks over.
    :param streams: what is to be there.
    :param may: what may be done about a stream or consumer that is missing or differs.
    :param retry: how long to wait before what failed is tried again.
    """

    log = Logger()

    def __init__(
        self,
        connection: Connection,
        api: JetStreamApi,
        streams: Sequence[StreamConfig],
        may: Permission,
        *,
        clock: IReactorTime,
        retry: Backoff = RETRY,
    ) -> None:
        self._api = api
        self._may = may
        self._clock = clock
        self._retry = retry
        self._problems: dict[str, NatsrouteError] = {}  # by stream
        self._streams = {config.name: config for config in streams}
        self._unknown = set(self._streams)  # those that were never looked at
        self._failures = 0
        self._checking: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        if self._streams:
            connection.observe(self._on_change)

    @property
    def problems(self) -> Iterator[tuple[str, str]]:
        """Each stream that is not as it must be, as ``stream calls``, and why, as a sentence."""
        for stream in self._streams:
            problem = self._problems.get(stream)
            if problem is not None:
                yield f"stream {stream}", f"cannot be used: {problem}"
            elif stream in self._unknown:
                yield f"stream {stream}", "has not been looked at yet"

    async def ensure_consumer(self, stream: str, config: ConsumerConfig) -> ConsumerInfo:
        """
        See to it that there is a consumer, and its stream if the settings name that.

        :raises JetStreamError: as :func:`~natsroute.jetstream.management.ensuring.ensure_consumer` does.
        """
        if stream in self._streams:
            await ensure_stream(self._api, self._streams[stream], self._may)
        return await ensure_consumer(self._api, stream, config, self._may)

    def _on_change(self, change: Change) -> None:
        if change.event is ConnectionEvent.CONNECT_FAILED:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        checking, self._checking = self._checking, None
        if checking is not None:
            checking.cancel()
        if change.event in (ConnectionEvent.CONNECTED, ConnectionEvent.REFUSED):
            self._failures = 0
            self._begin()

    def _begin(self) -> None:
        self._timer = None
        checking = Deferred.fromCoroutine(self._check())
        checking.addErrback(lambda failure: failure.trap(CancelledError))
        if not checking.called:
            self._checking = checking

    async def _check(self) -> None:
        for stream, config in self._streams.items():
            try:
                await ensure_stream(self._api, config, self._may)
            except ConnectionLostError:
                return  # the next connection looks again
            except NatsrouteError as problem:
                self._report(stream, problem)
            else:
                self._unknown.discard(stream)
                if self._problems.pop(stream, None) is not None:
                    self.log.info("The stream {stream} is as the settings say", stream=stream)
        self._checking = None
        if self._problems:
            self._failures += 1
            self._timer = self._clock.callLater(self._retry.delay(self._failures), self._begin)

    def _report(self, stream: str, problem: NatsrouteError) -> None:
        before = self._problems.get(stream)
        self._problems[stream] = problem
        if str(before) != str(problem):
            self.log.error(
                "The stream {stream} cannot be used: {problem}. It is tried again until it succeeds",
                stream=stream,
                problem=problem,
            )
