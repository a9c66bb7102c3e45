"""
Publishing: a few workers, each with a connection of its own, and one thread pool.

Messages to one subject go to the same worker, which keeps their order. See :mod:`natsroute.publishing.worker`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from threading import get_ident
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime

from natsroute.confirmation import UnhandledFailureLog, new_confirmation_class
from natsroute.errors import NatsrouteError
from natsroute.ledger import PublisherAccount
from natsroute.publishing.batch_writer import BatchWriter
from natsroute.publishing.options import Link, PublishLimits, RunInPool, Streams
from natsroute.publishing.outlet import Outlet
from natsroute.publishing.thread_queue import ThreadQueue
from natsroute.publishing.worker import PublishWorker


class Publisher:
    """
    Publishes over several links.

    :ivar workers: one for each link, in the order of the links.
    :ivar publish: publishes a message: :meth:`Outlet.publish <natsroute.publishing.outlet.Outlet.publish>`.
    :ivar nats_publish: the same, under the name of Kamailio's function.

    :param links: a connection for each worker.
    :param run_in_pool: runs a function in the thread pool.
    :param call_from_thread: the reactor's ``callFromThread``.
    :param on_high_water: called in the reactor thread when the buffer of a worker is more than half full, so that
        producers can pause.
    :param on_low_water: called in the reactor thread after that, when the buffer of that worker is down to a quarter.
    :param on_confirmed: called when the server has confirmed messages, with the number of the worker, the first is 1,
        the seconds since the first of the messages was published, and how many they are. None if nobody wants to know.
    :param message_ids: gives the ``Nats-Msg-Id`` of messages that are published without one; None: they get none.
    :param unhandled: logs failures that nobody handles; None: a log of its own.
    :param streams: publishes to streams; None: nothing does.
    """

    def __init__(
        self,
        links: Sequence[Link],
        clock: IReactorTime,
        *,
        run_in_pool: RunInPool,
        call_from_thread: Callable[..., object],
        limits: PublishLimits = PublishLimits(),
        on_high_water: Callable[[], None] = lambda: None,
        on_low_water: Callable[[], None] = lambda: None,
        on_confirmed: Callable[[int, float, int], None] | None = None,
        message_ids: Iterator[str] | None = None,
        unhandled: UnhandledFailureLog | None = None,
        streams: Streams | None = None,
    ) -> None:
        self._unhandled = UnhandledFailureLog(clock) if unhandled is None else unhandled
        self._late_pings: set[BatchWriter] = set()
        self.workers = [
            PublishWorker(
                link,
                clock,
                run_in_pool,
                limits,
                on_high_water,
                on_low_water,
                self._unhandled,
                self._late_pings,
                None if on_confirmed is None else partial(on_confirmed, number),
            )
            for number, link in enumerate(links, 1)
        ]
        self._streams = streams
        self._parts: list[PublishWorker | Streams] = [*self.workers, *([] if streams is None else [streams])]
        self._clock = clock
        self._limits = limits
        self._message_ids = message_ids
        self._thread_queue = ThreadQueue(clock, limits, call_from_thread)
        self._new_confirmation = new_confirmation_class(self._cancelled, self._awaited)
        self._reactor_thread: int | None = None
        self._stops = 0  # that have not ended
        self._starts_again = False
        self._is_open = True
        self._outlets: dict[str, Outlet] = {}  # by route
        self.publish = self.nats_publish = self._outlet_for("").publish

    def publish_for(self, route: str) -> Callable[..., Deferred[Any]]:
        """
        A :attr:`publish` for one event route.

        :param route: its name, for the log.
        """
        return self._outlet_for(route).publish

    def reject_for(self, route: str) -> Callable[[NatsrouteError], Deferred[None]]:
        """
        What fails the Deferred of a message that an event route cannot publish: :meth:`Outlet.reject
        <natsroute.publishing.outlet.Outlet.reject>`.

        :param route: its name, for the log.
        """
        return self._outlet_for(route).reject

    def _outlet_for(self, route: str) -> Outlet:
        outlet = self._outlets.get(route)
        if outlet is None:
            outlet = self._outlets[route] = Outlet(
                route,
                self.workers,
                self._new_confirmation,
                self._thread_queue,
                self._unhandled,
                self._limits.policy,
                self._message_ids,
                self._streams,
            )
            outlet.open(self._reactor_thread)
            if not self._is_open:
                outlet.close()
        return outlet

    def worker_for(self, subject: str) -> PublishWorker:
        """The worker that publishes the messages to a subject."""
        return self._outlet_for("").worker_for(subject)

    def account(self) -> PublisherAccount:
        """What became of the messages so far, without those that other threads have just published."""
        count = sum(outlet.rejected for outlet in self._outlets.values())
        rejected = PublisherAccount(published=count, confirmed=0, failed=count, dropped=0, resent=0, in_progress=0)
        return PublisherAccount.total([rejected, *(part.account() for part in self._parts)])

    def start(self) -> None:
        """
        Accept messages, after those that were published before. Call this in the reactor thread. During a stop, this
        takes effect when the stop is done.
        """
        if self._stops:
            self._starts_again = True
            return
        self._reactor_thread = get_ident()
        self._is_open = True
        for outlet in self._outlets.values():
            outlet.open(self._reactor_thread)
        self._thread_queue.run_all()

    def _cancelled(self) -> None:
        for part in self._parts:
            part.cancelled()

    def _awaited(self) -> None:
        """Somebody waits for a confirmation, which must not be late."""
        if self._late_pings and get_ident() == self._reactor_thread:
            for writer in [*self._late_pings]:
                writer.ping()

    def flush(self) -> Deferred[None]:
        """
        Wait for all messages published so far. This is cheaper than waiting for the Deferred of each.

        Call this in the reactor thread.

        :return: fires with None when each of them is confirmed or has failed; :meth:`account` says how many failed.
        """
        flushed: Deferred[None] = Deferred()
        self._thread_queue.after_all(partial(self._flush, flushed))
        return flushed

    def _flush(self, flushed: Deferred[None]) -> None:
        # Mostly one worker has messages, and to gather the Deferreds of all takes as long as to publish many messages.
        flushes = [worker.flush() for worker in self.workers if worker.buffer.messages]
        if self._streams is not None:
            flushes.append(self._streams.flush())
        if len(flushes) == 1:
            flushes[0].chainDeferred(flushed)
        else:
            gatherResults(flushes).addCallback(lambda _: flushed.callback(None))

    def stop(self, timeout: float) -> Deferred[None]:
        """
        Accept no more messages, and wait until those published so far are confirmed or have failed.

        Without a connection they fail at once.

        :param timeout: seconds; the messages that are unconfirmed after it fail with
            :class:`~natsroute.errors.PublisherStoppedError`.
        :return: fires with None in the end.
        """
        self._thread_queue.run_all()
        self._stops += 1
        self._starts_again = self._is_open = False
        for outlet in self._outlets.values():
            outlet.close()
        give_up = self._clock.callLater(timeout, self._abandon)

        def stopped(_: object) -> None:
            self._unhandled.log_rest()
            if give_up.active():
                give_up.cancel()
            self._stops -= 1
            if self._starts_again and not self._stops:
                self._starts_again = False
                self.start()

        return gatherResults([part.drain() for part in self._parts]).addCallback(stopped)

    def _abandon(self) -> None:
        for part in self._parts:
            part.abandon()
