"""Runs the messages of a recording through event routes, without a server: as the service would, and on its reactor."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.python.failure import Failure

from natsroute.daemon.code.program import ConnectionCode, Program
from natsroute.daemon.memory.publisher import MemoryPublisher, MemoryService, Published
from natsroute.daemon.memory.requests import MemoryRequests
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.daemon.settings.settings import Settings
from natsroute.daemon.threads import Threads
from natsroute.routes.event import Event, RouteFunction
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.results import PLAIN_TYPES, as_deferred
from natsroute.routes.route import Route
from natsroute.routes.route_errors import describe, is_exit
from natsroute.routes.runner import Runner, RunnerContext
from natsroute.wire.frames import Address
from natsroute.wire.subjects import overlaps


@attrs.frozen
class Outcome:
    """
    What became of a message.

    :ivar number: its number.
    :ivar subject: its subject.
    :ivar route: the name of the event route; empty if no route matched.
    :ivar seconds: how long the call took.
    :ivar error: why the call failed; empty if it did not.
    :ivar published: what the call published until it ended.
    """

    number: int
    subject: str
    route: str = ""
    seconds: float = 0.0
    error: str = ""
    published: tuple[Published, ...] = ()

    @property
    def word(self) -> str:
        """``succeeded``, ``failed`` or ``unrouted``."""
        if not self.route:
            return "unrouted"
        return "failed" if self.error else "succeeded"


class _Message(Event):
    """A message that knows its number, and what was published for it."""

    __slots__ = ("number", "published")

    number: int
    published: list[Published]


class _Entry:
    """One ``subject_queue_group``: its code, and its runner."""

    def __init__(self, entry: QueueEntry, code: ConnectionCode, context: RunnerContext) -> None:
        self.entry = entry
        self._find = code.find
        self.runner = Runner(
            self.find, context, subject=entry.subject, queue_group=entry.queue_group, expressions=code.expressions
        )

    def find(self, subject: str) -> Route | None:
        """
        The route for a subject. A KEMI script gets its messages one by one: in batches, nobody could tell what it has
        published for which of them.
        """
        route = self._find(subject)
        return route if route is None or route.new_calls is None else attrs.evolve(route, new_calls=None)


class Rehearsal:
    """
    Runs messages through the event routes and scripts of some settings.

    Routes, concurrency, keys, threads, middleware, hooks and scripts work as in a service. Each message goes to every
    ``subject_queue_group`` that matches it, or if there is none, to the routes that match it. Connection events do not
    happen.

    :param on_outcome: called when a call has ended, or a message matches no route.
    :raises SettingError: something cannot be loaded.
    :raises ScriptError: a script is malformed.

    :ivar others: how many messages were published outside calls: by hooks, by what calls had left behind, and by a
        script at its start.
    """

    def __init__(self, reactor: Any, settings: Settings, on_outcome: Callable[[Outcome], object]) -> None:
        self.others = 0
        self._reactor = reactor
        self._settings = settings
        self._on_outcome = on_outcome
        self._published = 0
        self._playing: set[_Message] = set()  # those whose calls have begun
        self._by_script: dict[str, _Message] = {}  # by entry
        self._idle: Deferred[None] | None = None
        self._threads = Threads(
            reactor, "natsroute routes", settings.route_threads, max_queue=settings.route_thread_queue
        )
        self._in_flight = CallsInFlight(reactor, slow_after=settings.slow_route_warning)
        self._program = Program(reactor, settings, None, self._threads.run, self._in_flight, self._publish_for)
        nobody = MemoryRequests(reactor, lambda request: None)
        context = RunnerContext(
            MemoryPublisher(partial(self._keep, None)).publish,
            reactor,
            self._threads.run,
            self._in_flight,
            thread_space=self._threads.space,
            outermost=self._observed,
            requests=nobody,
        )
        entries = settings.subject_queue_group or (QueueEntry(">"),)
        self._entries = [_Entry(entry, self._program.for_consumer(entry), context) for entry in entries]
        others = MemoryPublisher(partial(self._keep, None))
        self._service = MemoryService(others, nobody, settings, lambda: self._published)

    async def start(self) -> None:
        """
        Load the scripts, and run the ``on_start`` hooks.

        :raises Exception: what a script or hook raises. What was started is stopped.
        """
        self._threads.startService()
        try:
            await self._program.scripts.load()
            await self._program.hooks.start(self._service)
        except BaseException:
            await self._stop_threads()
            raise
        self._program.scripts.resume()

    def play(
        self, number: int, subject: str, payload: bytes, reply: str | None = None, header_block: bytes = b""
    ) -> Deferred[None] | None:
        """
        Run the routes for a message.

        :param number: for the outcome.
        :return: None if the next message may follow at once, else a Deferred that fires when it may.
        """
        waiting = []
        reply_to = None if reply is None else reply.encode("utf-8", "surrogateescape")
        matching = [
            entry
            for entry in self._entries
            if overlaps(entry.entry.subject, subject) and entry.find(subject) is not None
        ]
        for entry in matching:
            message = _Message(Address(subject, 1), payload, header_block, reply_to)
            message.number, message.published = number, []
            self._by_script[str(entry.entry)] = message
            ended = entry.runner.on_msg(message)
            if ended is not None:
                waiting.append(ended)
        if not matching:
            self._on_outcome(Outcome(number, subject))
        return gatherResults(waiting).addCallback(lambda _: None) if waiting else None

    async def stop(self, *, wait: bool = True) -> None:
        """
        Wait for the calls up to ``drain_timeout`` seconds, cancel the others, and run the ``on_stop`` hooks.

        :param wait: whether to wait for them.
        """
        if wait and not self._in_flight.idle:
            self._idle = Deferred()
            self._idle.addTimeout(self._settings.drain_timeout, self._reactor, onTimeoutCancel=lambda *_: None)
            self._idle.addErrback(lambda failure: None)
            await self._idle
        self._in_flight.stop()
        await self._program.hooks.stop(self._service)
        await self._stop_threads()

    async def _stop_threads(self) -> None:
        await self._program.scripts.stopService()
        await self._threads.stopService()

    # -- calls --------------------------------------------------------------------------------------------------------

    def _observed(self, function: RouteFunction) -> RouteFunction:
        """Middleware that sees each call, and what it publishes."""

        def observed(event: Any) -> object:
            began = self._reactor.seconds()
            self._playing.add(event)
            publisher = MemoryPublisher(partial(self._keep, event))
            event.context = attrs.evolve(event.context, publish=publisher.publish)
            try:
                result = function(event)
            except BaseException:
                self._end(event, began, Failure())
                raise
            if type(result) not in PLAIN_TYPES:
                ending = as_deferred(result, self._in_flight.context.copy())
                if ending is not None:
                    return ending.addBoth(self._ended, event, began)
            self._end(event, began, None)
            return result

        return observed

    def _ended(self, result: object, event: _Message, began: float) -> object:
        self._end(event, began, result if isinstance(result, Failure) else None)
        return result

    def _end(self, event: _Message, began: float, failure: Failure | None) -> None:
        error = ""
        if failure is not None and failure.value is not None and not is_exit(failure.value):
            error = describe(failure.value)
            if failure.check(CancelledError) and self._in_flight.stopped:
                error = f"it had not ended {self._settings.drain_timeout:g} s after the last message"
        self._playing.discard(event)
        seconds = self._reactor.seconds() - began
        self._on_outcome(Outcome(event.number, event.subject, event.name, seconds, error, tuple(event.published)))
        if not self._playing:
            self._reactor.callLater(0, self._fire_if_idle)

    def _fire_if_idle(self) -> None:
        if self._idle is not None and not self._idle.called and self._in_flight.idle:
            self._idle.callback(None)

    def _publish_for(self, name: str) -> Callable[..., Deferred[None]]:
        """What publishes for the KEMI script of an entry: it has one message at a time."""

        def keep(published: Published) -> None:
            self._keep(self._by_script.get(name), published)

        return MemoryPublisher(keep).publish

    def _keep(self, event: _Message | None, published: Published) -> None:
        self._published += 1
        if event is not None and event in self._playing:
            event.published.append(published)
        else:
            self.others += 1
