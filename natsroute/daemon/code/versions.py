"""The versions of the code that a service runs: the current one, and former ones whose calls have not ended."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from natsroute.client.connection import Connection
from natsroute.client.subscription import PendingLimits
from natsroute.daemon.code.program import ConnectionCode, Program
from natsroute.daemon.connection_events import ConnectionEvents
from natsroute.daemon.consuming.consumer import Consumer
from natsroute.daemon.settings.bucket_entry import KeyValueEntry
from natsroute.daemon.settings.jetstream_entries import AnyEntry
from natsroute.daemon.settings.settings import Settings
from natsroute.errors import PendingLimitError
from natsroute.ledger import RouteCounters
from natsroute.log import Logger
from natsroute.routes.hooks import RunningService
from natsroute.routes.in_flight import Call, CallsInFlight
from natsroute.routes.runner import RunnerContext
from natsroute.routes.unrouted import UnroutedMessages

#: Seconds that a call may take to end once it was cancelled.
CANCEL_TIMEOUT = 5.0
#: Seconds between two looks at whether calls have ended: at first, and at most.
_LOOK, _MAX_LOOK = 0.01, 0.25


@attrs.define(eq=False)
class _Connection:
    """
    A connection, and the version that it runs.

    :ivar code: what it runs.
    :ivar events: its connection events.
    :ivar consumer: None for a publish worker.
    """

    code: ConnectionCode
    events: ConnectionEvents
    consumer: Consumer | None

    def go_over(self, code: ConnectionCode) -> None:
        """Run another version from now on."""
        self.code = code
        self.events.go_over(code.find_event, code.expressions, code.version)
        if self.consumer is not None:
            self.consumer.runner.go_over(code.find, code.get, code.expressions, code.version)

    def has_left(self, version: object) -> bool:
        """Whether nothing will begin in a version any more."""
        consumer = self.consumer
        return self.events.has_left(version) and (consumer is None or consumer.runner.has_left(version))


@attrs.frozen(eq=False)
class PreparedProgram:
    """
    A version that could become the current one.

    :ivar program: the version.
    """

    program: Program
    _codes: list[ConnectionCode]


class Versions(Service):
    """
    Lets all connections of a service go over from one version of the code to the next, and ends the former ones.

    :param program: the first version.
    :param in_flight: the calls that have not ended.
    :param unrouted: warns of messages without a route.
    :param settings: ``drain_timeout`` is how long calls in a former version may still take, and ``hook_timeout`` how
        long its ``on_stop`` hooks may take. Then they are cancelled.

    :ivar current: the version that the next message runs in.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        program: Program,
        in_flight: CallsInFlight,
        unrouted: UnroutedMessages,
        settings: Settings,
    ) -> None:
        self.current = program
        self._reactor = reactor
        self._in_flight = in_flight
        self._unrouted = unrouted
        self._drain_timeout = settings.drain_timeout
        self._hook_timeout = settings.hook_timeout
        self._programs = [program]
        self._connections: list[_Connection] = []
        self._holds = 0
        self._stopping = False
        self._ending: list[Deferred[None]] = []  # of former versions, and of those that did not become current

    def add_publish_worker(self, connection: Connection, context: RunnerContext) -> None:
        """
        Let the connection of a publish worker run its events in the first version.

        :param context: for the events.
        """
        code = self.current.for_publish_worker()
        events = ConnectionEvents(connection, code.new_event_runner(context))
        self._connections.append(_Connection(code, events, None))

    def new_consumer(
        self,
        entry: AnyEntry,
        connection: Connection,
        context: RunnerContext,
        event_context: RunnerContext,
        limits: PendingLimits,
        on_overflow: Callable[[PendingLimitError], object],
        new: Callable[..., Consumer] = Consumer.subscribe,
    ) -> Consumer:
        """
        Make a consumer that runs its messages and events in the first version.

        :param context: for its messages.
        :param event_context: for the events of its connection.
        :param limits: how much may wait for its routes.
        :param on_overflow: called when more waits, before ``nats:slow_consumer`` runs.
        :param new: makes the consumer: see :meth:`natsroute.daemon.consuming.consumer.Consumer.subscribe`.
        """
        code = self.current.for_consumer(entry)
        events = ConnectionEvents(connection, code.new_event_runner(event_context, entry.queue_group))

        def overflows(error: PendingLimitError) -> None:
            on_overflow(error)
            events.on_overflow(error)

        consumer = new(entry, connection, code.new_runner(context, entry), limits, overflows)
        self._connections.append(_Connection(code, events, consumer))
        return consumer

    @property
    def events(self) -> list[ConnectionEvents]:
        """The events of each connection."""
        return [one.events for one in self._connections]

    def route_counters(self) -> tuple[RouteCounters, ...]:
        """The counters of each route that has had a message or an event, in any version: the sum over all of them."""
        found: dict[str, list[RouteCounters]] = {}
        parts: list[list[RouteCounters]] = [events.route_counters for events in self.events]
        parts += [one.consumer.runner.route_counters for one in self._connections if one.consumer is not None]
        for counters in chain.from_iterable(parts):
            found.setdefault(counters.route, []).append(counters)
        return tuple(RouteCounters.total(route, several) for route, several in found.items())

    # -- all versions -----------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """The publisher has no space: let no script publish until :meth:`release` has been called as often as this."""
        self._holds += 1
        for program in self._programs:
            program.scripts.hold()

    def release(self) -> None:
        """Undo one :meth:`hold`."""
        self._holds -= 1
        for program in self._programs:
            program.scripts.release()

    def hold_events(self) -> None:
        """Run no connection events before :meth:`resume`; the last ones are kept for it."""
        for events in self.events:
            events.hold()

    def resume(self) -> None:
        """The start is over: calls of the script may begin, and connection events run."""
        self.current.scripts.resume()
        for events in self.events:
            events.release()

    def startService(self) -> None:
        """A new start of the service."""
        super().startService()
        self._stopping = False

    def stop_hooks(self, service: RunningService) -> Deferred[None]:
        """
        Run the ``on_stop`` hooks of all versions; no call runs any more.

        :return: fires when all have ended. Cancelling it cancels the hooks that run.
        """
        self._stopping = True
        stopped = gatherResults([*self._ending, self.current.hooks.stop(service)], consumeErrors=True)
        return stopped.addCallback(lambda _: None)

    def stopService(self) -> Deferred[None]:
        """
        End the threads of all scripts.

        :return: fires when they have ended, or are left alone.
        """
        super().stopService()
        return gatherResults([program.scripts.stopService() for program in self._programs]).addCallback(lambda _: None)

    # -- a new version ----------------------------------------------------------------------------------------------

    def prepare(self, program: Program) -> PreparedProgram:
        """Make what the connections run in a new version: the instances of its script. Nothing runs in it yet."""
        codes = [
            program.for_publish_worker() if one.consumer is None else program.for_consumer(one.consumer.entry)
            for one in self._connections
        ]
        for _ in range(self._holds):
            program.scripts.hold()
        self._programs.append(program)
        return PreparedProgram(program, codes)

    def warn_of_buckets(self, prepared: PreparedProgram) -> None:
        """Name the routes for changes of buckets that a new version has and no consumer reaches."""
        entries = [one.consumer.entry for one in self._connections if one.consumer is not None]
        missing = prepared.program.routing.needs_restart(e for e in entries if isinstance(e, KeyValueEntry))
        if missing:
            self.log.warn(
                "These event routes need a restart, since natsroute begins to read a bucket, or other keys of it, only "
                "at its start: {routes}",
                routes=", ".join(missing),
            )

    def discard(self, prepared: PreparedProgram, service: RunningService) -> None:
        """
        Give up a version that has not become the current one. The ``on_stop`` hooks of its collections whose
        ``on_start`` hooks have succeeded run.
        """
        self._keep(self._end(prepared.program, service))

    def go_over(self, prepared: PreparedProgram, service: RunningService) -> Deferred[None]:
        """
        Let each connection go over, between two messages. The calls that run end as they began. When all have ended, at
        the latest after ``drain_timeout``, the ``on_stop`` hooks of the former version run.

        :return: fires when all connections have gone over: at once, unless the calls of a route must end first.
            Cancelling it only ends the wait.
        """
        former, self.current = self.current, prepared.program
        former.hooks.leave(former.hooks.in_common(self.current.hooks))
        self._in_flight.failures.begin_anew()
        self._unrouted.begin_anew()
        self.current.scripts.resume()
        since = self._reactor.seconds()
        gone_over = gatherResults(
            [
                Deferred.fromCoroutine(self._let_go_over(one, code, since)).addErrback(self._log_unless_cancelled)
                for one, code in zip(self._connections, prepared._codes)
            ]
        ).addCallback(lambda _: None)
        self._keep(self._retire(former, gone_over, since, service))
        waiting: Deferred[None] = Deferred()
        gone_over.addCallback(waiting.callback)
        return waiting

    async def _let_go_over(self, connection: _Connection, code: ConnectionCode, since: float) -> None:
        consumer = connection.consumer
        if consumer is None or not consumer.runner.must_wait(code.get):
            connection.go_over(code)
            return
        consumer.source.hold()
        try:
            if not await self._wait(lambda: not consumer.runner.must_wait(code.get), since + self._drain_timeout):
                if connection.code.script is not None:
                    await connection.code.script.stop()
                self._cancel(self._calls_of(connection.code.version, consumer.runner.route_counters))
                give_up = self._reactor.seconds() + CANCEL_TIMEOUT
                await self._wait(lambda: not consumer.runner.must_wait(code.get), give_up)
        finally:
            connection.go_over(code)
            consumer.source.release()

    async def _wait(self, is_over: Callable[[], bool], until: float) -> bool:
        """Wait for something, until a time or a stop. Returns whether it has come."""
        look = _LOOK
        while not is_over():
            if self._stopping or self._reactor.seconds() >= until:
                return False
            await deferLater(self._reactor, look)
            look = min(2 * look, _MAX_LOOK)
        return True

    # -- the end of a version ---------------------------------------------------------------------------------------

    async def _retire(self, former: Program, gone_over: Deferred[None], since: float, service: RunningService) -> None:
        has_gone_over: Deferred[None] = Deferred()
        gone_over.addCallback(has_gone_over.callback)
        await has_gone_over
        if not await self._wait(lambda: self._has_ended(former), since + self._drain_timeout):
            give_up = self._reactor.seconds() + CANCEL_TIMEOUT
            while not self._stopping:
                # Calls that begin only now, because they have waited behind others with their key, have their own time.
                now = self._reactor.seconds()
                running = self._calls_of(former.version)
                self._cancel([call for call in running if call.started + self._drain_timeout <= now])
                if any(not call.cancelled for call in running):
                    give_up = now + CANCEL_TIMEOUT
                if await self._wait(lambda: self._has_ended(former), now + _MAX_LOOK) or now >= give_up:
                    break
        await self._end(former, service)

    async def _end(self, program: Program, service: RunningService) -> None:
        try:
            stopped = program.hooks.stop(service)
            stopped.addTimeout(self._hook_timeout, self._reactor)
            stopped.addErrback(lambda cancelled: None)  # which is logged
            await stopped
        finally:
            self._programs.remove(program)
            await program.scripts.stopService()
            program.scripts.forget()

    def _keep(self, ending: Any) -> None:
        """Let a coroutine run, and a stop of the service wait for it."""
        ended: Deferred[None] = Deferred.fromCoroutine(ending)
        ended.addErrback(self._log_unless_cancelled)
        self._ending.append(ended)
        ended.addBoth(lambda _: self._ending.remove(ended))

    def _log_unless_cancelled(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self.log.failure("A version of the code was not ended in order", failure)

    def _has_ended(self, program: Program) -> bool:
        version = program.version
        return all(one.has_left(version) for one in self._connections) and not self._calls_of(version)

    def _calls_of(self, version: object, routes: Any = None) -> list[Call]:
        """The running calls of a version; those of some counters only."""
        return [
            call
            for call in self._in_flight.running
            if call.event.context.version is version
            and (routes is None or any(call.event.context.counters is one for one in routes))
        ]

    def _cancel(self, calls: list[Call]) -> None:
        subjects = [call.event.subject or call.event.name for call in calls if not call.cancelled]
        if subjects:
            self.log.error(
                "Calls in the former code that did not end within {seconds:g} s of the reload, and are cancelled: "
                "{count}; subjects: {subjects}",
                seconds=self._drain_timeout,
                count=len(subjects),
                subjects=", ".join(sorted(set(subjects))[:10]),
            )
        self._in_flight.cancel(calls)
