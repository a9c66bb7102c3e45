"""Whether a consumer exists: asks the server, and asks again until it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.client.server_pool import Backoff
from natsroute.errors import NatsrouteError
from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.errors import (
    ConsumerNotFoundError,
    JetStreamError,
    StreamNotFoundError,
)
from natsroute.jetstream.management.consumers import ConsumerInfo, consumer_info
from natsroute.log import Logger

#: How long to wait before the consumer is looked for again.
RETRY = Backoff(wait=0.25, max_wait=10.0, jitter=0.1)


#: Creates or checks a consumer; raises :class:`~natsroute.jetstream.errors.JetStreamError` if it cannot be used.
Prepare: TypeAlias = Callable[[], "Awaitable[object]"]


async def nothing_to_prepare() -> None:
    """The consumer is created and checked by others."""


class ConsumerLookup:
    """
    Knows what the server says of a consumer, and why nothing can be consumed from it.

    :param retry: how long to wait before the consumer is looked for again.
    :param on_found: called when the consumer exists, after each :meth:`begin`, and not after a :meth:`refresh`.
    :param on_info: called with each :class:`ConsumerInfo`.
    :param on_missing: called when a :meth:`refresh` finds that the consumer is gone. It is being looked for.
    :param on_problem: called with the reason when nothing can be consumed, and with None when that is over.
    :param prepare: called before the consumer is looked for, and not before a :meth:`refresh`.

    :ivar name: stream and consumer, for the log.
    :ivar info: what the server said last; None before it has.
    :ivar problem: why nothing is consumed, or None.
    :ivar failures: attempts in a row after which nothing could be consumed.
    """

    log = Logger()

    def __init__(
        self,
        api: JetStreamApi,
        stream: str,
        durable: str,
        *,
        clock: IReactorTime,
        retry: Backoff,
        on_found: Callable[[], object],
        on_info: Callable[[ConsumerInfo], object],
        on_missing: Callable[[], object],
        on_problem: Callable[[JetStreamError | None], object],
        prepare: Prepare,
    ) -> None:
        self.name = f"{stream}:{durable}"
        self.info: ConsumerInfo | None = None
        self.problem: JetStreamError | None = None
        self.failures = 0
        self._api = api
        self._stream = stream
        self._durable = durable
        self._clock = clock
        self._retry = retry
        self._on_found = on_found
        self._on_info = on_info
        self._on_missing = on_missing
        self._on_problem = on_problem
        self._prepare = prepare
        self._asking: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._is_refresh = False

    def begin(self) -> None:
        """Look for the consumer until it is there."""
        self.cancel()
        self._is_refresh = False
        self._ask()

    def refresh(self) -> None:
        """Ask once how the consumer stands, unless that is being asked."""
        if self._asking is None and self._timer is None:
            self._is_refresh = True
            self._ask()

    def begin_again(self) -> None:
        """The same as :meth:`begin`: at once for the first failure in a row, later and later after others."""
        self.cancel()
        self.failures += 1
        if self.failures == 1:
            self.begin()
        else:
            self._timer = self._clock.callLater(self._retry.delay(self.failures - 1), self._wait_is_over)

    def refuse(self, problem: JetStreamError) -> None:
        """Nothing can be consumed: report why, and look for the consumer later."""
        if str(problem) != str(self.problem):
            self.problem = problem
            self.log.error(
                "Nothing is consumed from {consumer}: {problem}. It is tried again until it succeeds",
                consumer=self.name,
                problem=problem,
            )
            self._on_problem(problem)
        self.failures = max(1, self.failures)
        self.begin_again()

    def works(self) -> None:
        """Messages can be consumed."""
        self.failures = 0
        if self.problem is not None:
            self.problem = None
            self.log.info("Consuming from {consumer} again", consumer=self.name)
            self._on_problem(None)

    def cancel(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()

    def _wait_is_over(self) -> None:
        self._timer = None
        self.begin()

    def _ask(self) -> None:
        asking = Deferred.fromCoroutine(self._look_up())
        if not asking.called:
            self._asking = asking

    async def _look_up(self) -> None:
        try:
            if not self._is_refresh:
                await self._prepare()
            info = await consumer_info(self._api, self._stream, self._durable)
        except CancelledError:
            return
        except NatsrouteError as error:
            self._asking = None
            self._failed(error)
            return
        except Exception:
            self.log.failure("Looking up {consumer} failed because of a fault in natsroute", consumer=self.name)
            self._asking = None
            self._failed(JetStreamError("the consumer was not looked up because of a fault in natsroute"))
            return
        self._asking = None
        self.info = info
        self._on_info(info)
        if info.is_push:
            where = info.config.deliver_subject
            remedy = "natsroute needs a pull consumer: create one without deliver_subject"
            self._missing(JetStreamError(f"the consumer delivers to {where!r} by itself", remedy=remedy))
        elif not self._is_refresh:
            self._on_found()

    def _failed(self, error: NatsrouteError) -> None:
        is_missing = isinstance(error, (ConsumerNotFoundError, StreamNotFoundError))
        if is_missing or not self._is_refresh:
            self._missing(error if isinstance(error, JetStreamError) else JetStreamError(str(error)))

    def _missing(self, error: JetStreamError) -> None:
        if self._is_refresh:
            self._on_missing()
        self.refuse(error)
