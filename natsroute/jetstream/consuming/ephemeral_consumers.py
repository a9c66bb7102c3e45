"""The ephemeral consumers that read a stream: each begins behind the last message of the one before."""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.client.server_pool import Backoff
from natsroute.errors import NatsrouteError
from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.errors import JetStreamError
from natsroute.jetstream.management.configs import ConsumerConfig, DeliverPolicy
from natsroute.jetstream.management.consumers import ConsumerInfo, create_consumer, delete_consumer
from natsroute.jetstream.management.streams import stream_info
from natsroute.jetstream.times import format_time
from natsroute.log import Logger

#: How long to wait before another consumer is created, if the last ones brought nothing.
RETRY = Backoff(wait=0.25, max_wait=10.0, jitter=0.1)
#: Seconds without a pull after which the server deletes the consumer.
INACTIVE_THRESHOLD = 300.0


@attrs.frozen
class Start:
    """
    Where a consumer begins.

    :ivar policy: ``all``, ``new``, ``last``, ``last_per_subject``, ``by_start_sequence`` or ``by_start_time``.
    :ivar sequence: the first sequence, with ``by_start_sequence``.
    :ivar time: the first moment, with ``by_start_time``, in nanoseconds since 1970 (UTC).
    """

    policy: DeliverPolicy = "all"
    sequence: int | None = None
    time: int | None = None

    def config(self, **more: Any) -> ConsumerConfig:
        """The configuration of a consumer that begins here."""
        time = None if self.time is None else format_time(self.time)
        return ConsumerConfig(deliver_policy=self.policy, opt_start_seq=self.sequence, opt_start_time=time, **more)


class EphemeralConsumers:
    """
    Creates a consumer, and another one when that is of no more use. There is at most one at a time.

    :param start: where the first one begins.
    :param on_created: called with each new consumer.
    :param on_problem: called with the reason when none can be created, and with None when that is over.
    :param retry: how long to wait before another one is created, if the last ones brought nothing.
    :param filter_subjects: only messages of these subjects; empty: all.
    :param headers_only: messages come without their payloads.

    :ivar name: the name of the consumer; empty while there is none.
    :ivar created: consumers that were created so far.
    :ivar last_sequence: the sequence of the last message that arrived; 0 before the first.
    :ivar problem: why none can be created, or None.
    """

    log = Logger()

    def __init__(
        self,
        api: JetStreamApi,
        stream: str,
        *,
        clock: IReactorTime,
        start: Start,
        on_created: Callable[[ConsumerInfo], object],
        on_problem: Callable[[JetStreamError | None], object],
        retry: Backoff,
        filter_subjects: tuple[str, ...],
        headers_only: bool,
    ) -> None:
        self.name = ""
        self.created = self.last_sequence = 0
        self.problem: JetStreamError | None = None
        self._api = api
        self._stream = stream
        self._stream_created = ""
        self._clock = clock
        self._start = self._next_start = start
        self._on_created = on_created
        self._on_problem = on_problem
        self._retry = retry
        self._filter_subjects = filter_subjects
        self._headers_only = headers_only
        self._failures = 0
        self._creating: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None

    def arrived(self, sequence: int) -> None:
        """A message has arrived: the next consumer begins behind it."""
        self._failures = 0
        self.last_sequence = sequence

    def rewind(self, sequence: int) -> None:
        """The message of this sequence has arrived and is to come again: the next consumer begins with it."""
        self.last_sequence = sequence - 1
        self._next_start = Start("by_start_sequence", sequence)

    def works(self) -> None:
        """The consumer is there."""
        self._failures = 0

    def begin(self) -> None:
        """Create one now, unless there is one."""
        if not self.name and self._creating is None and self._timer is None:
            self._failures = 0
            self._create()

    def begin_again(self, reason: str) -> None:
        """Create another one: at once after the first failure in a row, later and later after others."""
        self.log.debug(
            "Reading {stream} on with another consumer behind sequence {sequence}: {reason}",
            stream=self._stream,
            sequence=self.last_sequence,
            reason=reason,
        )
        self.give_up(delete=True)
        self._failures += 1
        if self._failures == 1:
            self._create()
        else:
            self._timer = self._clock.callLater(self._retry.delay(self._failures - 1), self._wait_is_over)

    def give_up(self, *, delete: bool) -> None:
        """
        Create no more, and use the one that there is no more.

        :param delete: ask the server to delete it. Otherwise it does so after :data:`INACTIVE_THRESHOLD`.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        creating, self._creating = self._creating, None
        if creating is not None:
            creating.cancel()
        name, self.name = self.name, ""
        if name and delete:
            deleted = Deferred.fromCoroutine(delete_consumer(self._api, self._stream, name))
            deleted.addErrback(lambda failure: failure.trap(NatsrouteError))  # it is not there any more, or goes later

    def _wait_is_over(self) -> None:
        self._timer = None
        self._create()

    def _create(self) -> None:
        creating = Deferred.fromCoroutine(self._try_to_create())
        creating.addErrback(lambda failure: failure.trap(CancelledError))
        if not creating.called:
            self._creating = creating

    async def _try_to_create(self) -> None:
        try:
            await self._look_at_stream()
            info = await create_consumer(self._api, self._stream, self._config())
        except NatsrouteError as error:
            self._creating = None
            if isinstance(error, JetStreamError):  # otherwise there is no connection
                self._report(error)
            self._failures = max(1, self._failures)
            self.begin_again(str(error))
            return
        self._creating = None
        self.created += 1
        self.name = info.name
        if self._next_start.policy in ("new", "last"):  # what comes from now on must not be lost with this consumer
            self._next_start = Start("by_start_sequence", info.delivered_sequence + 1)
        self._report(None)
        self._on_created(info)

    async def _look_at_stream(self) -> None:
        """A stream that was deleted and created again has other messages with the same sequences."""
        created = (await stream_info(self._api, self._stream)).created
        if self._stream_created not in ("", created):
            self.log.warn(
                "The stream {stream} was deleted and created again: it is read from its beginning", stream=self._stream
            )
            self.last_sequence = 0
            self._next_start = self._start if self._start.policy == "last_per_subject" else Start()
        self._stream_created = created

    def _config(self) -> ConsumerConfig:
        if self.last_sequence:
            self._next_start = Start("by_start_sequence", self.last_sequence + 1)
        filters = self._filter_subjects
        if not filters and self._next_start.policy == "last_per_subject":
            filters = (">",)  # the server wants one
        return self._next_start.config(
            name=token_hex(8),
            ack_policy="none",
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=INACTIVE_THRESHOLD,
            filter_subjects=filters or None,
            headers_only=self._headers_only or None,
        )

    def _report(self, problem: JetStreamError | None) -> None:
        before, self.problem = self.problem, problem
        if (problem and problem.description) == (before and before.description):  # the text has the consumer's name
            return
        if problem is None:
            self.log.info("Reading the stream {stream} again", stream=self._stream)
        else:
            self.log.error(
                "The stream {stream} cannot be read: {problem}. It is tried again until it succeeds",
                stream=self._stream,
                problem=problem,
            )
        self._on_problem(problem)
