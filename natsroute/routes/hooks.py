"""Hooks: functions of a program that run when its service starts, and when it stops."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar
from typing import Protocol as Interface

import attrs
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from natsroute.ledger import Ledger
from natsroute.log import Logger
from natsroute.routes.outgoing import Publish
from natsroute.routes.results import as_deferred


class RunningService(Interface):
    """What a hook is given: the service that starts or stops, or that of a test."""

    @property
    def publish(self) -> Publish:
        """Publishes a message; see :meth:`natsroute.publishing.publisher.Publisher.publish`."""

    @property
    def publish_all(self) -> Callable[..., Deferred[Any]]:
        """Publishes a batch; see :meth:`natsroute.daemon.sending.batch_publish.BatchPublish.publish_all`."""

    @property
    def request(self) -> Callable[..., Deferred[Any]]:
        """Sends a request; see :meth:`natsroute.daemon.sending.requesting.Requesting.request`."""

    @property
    def request_many(self) -> Callable[..., Deferred[Any]]:
        """Sends one, and takes several answers: :meth:`natsroute.daemon.sending.requesting.Requesting.request_many`."""

    @property
    def settings(self) -> Any:
        """The :class:`~natsroute.Settings` of the service."""

    @property
    def key_value(self) -> Callable[..., Any]:
        """Gives a key-value bucket; see :meth:`natsroute.daemon.sending.key_values.KeyValues.key_value`."""

    def flush(self) -> Deferred[None]:
        """Wait for what was published so far; fires when each message is confirmed or has failed."""

    def ledger(self) -> Ledger:
        """What became of each message so far."""


#: A hook. It returns a coroutine or a Deferred to wait for, or anything else, which is ignored.
HookFunction = Callable[[Any], "Deferred[Any] | Coroutine[Any, Any, Any] | object"]
AnyHook = TypeVar("AnyHook", bound=HookFunction)


@attrs.define(eq=False)
class Hooks:
    """
    The hooks of one collection of event routes, in the order of their decoration.

    :ivar on_start: run when the service starts.
    :ivar on_stop: run when the service stops.
    """

    on_start: list[HookFunction] = attrs.Factory(list)
    on_stop: list[HookFunction] = attrs.Factory(list)


class HookRunner:
    """
    Runs the hooks of several collections, such as one for each routes file: at the start in order, at the stop in
    reverse.

    The ``on_stop`` hooks of a collection run only if its ``on_start`` hooks have all succeeded. They may then rely on
    what those have opened.

    :param collections: the hooks of each collection.
    :param slow_after: seconds after which an ``on_start`` hook that is still running is logged.
    """

    log = Logger()

    def __init__(self, collections: Sequence[Hooks], clock: IReactorTime, *, slow_after: float = 30.0) -> None:
        self._collections = collections
        self._clock = clock
        self._slow_after = slow_after
        self._started: list[Hooks] = []
        self._reloads = False
        self._cancelled = False
        self._starting: tuple[HookFunction, float] | None = None  # the on_start hook that runs, and since when
        self._stopping: HookFunction | None = None  # the on_stop hook that runs
        self._running: Deferred[None] = succeed(None)

    @property
    def has_on_start(self) -> bool:
        """Whether there is an ``on_start`` hook."""
        return any(hooks.on_start for hooks in self._collections)

    @property
    def pending(self) -> tuple[str, float] | None:
        """The ``on_start`` hook that has not ended, and for how many seconds it has been running; None if none runs."""
        if self._starting is None:
            return None
        function, since = self._starting
        return _name(function), self._clock.seconds() - since

    def in_common(self, other: HookRunner) -> list[Hooks]:
        """The collections that were started here, and that another runner has, too."""
        return [hooks for hooks in self._started if hooks in other._collections]

    def leave(self, collections: Sequence[Hooks]) -> None:
        """Do not run the ``on_stop`` hooks of some collections: they have not stopped."""
        self._started = [hooks for hooks in self._started if hooks not in collections]

    def start(self, service: RunningService, running: Sequence[Hooks] | None = None) -> Deferred[None]:
        """
        Run the ``on_start`` hooks, one after the other.

        :param service: is given to each hook.
        :param running: at a reload, the collections that run already: their hooks do not run again. None at a start.
        :return: fires in the reactor's thread when all have succeeded. Fails with the error of the first that fails,
            which is logged. Cancelling it cancels the hook that runs, and does not wait for it.
        """
        self._started = []
        self._reloads = running is not None
        return self._run(self._start(service, running or ()))

    def stop(self, service: RunningService) -> Deferred[None]:
        """
        Run the ``on_stop`` hooks, one after the other, once a cancelled ``on_start`` hook has ended. An error is
        logged, and the next hook runs.

        :param service: is given to each hook.
        :return: fires in the reactor's thread when all have ended. Cancelling it cancels the hook that runs, and does
            not wait for it; no other begins.
        """
        return self._run(self._stop(service, self._running))

    def _run(self, hooks: Coroutine[Deferred[Any], Any, None]) -> Deferred[None]:
        self._cancelled = False
        running = self._running = Deferred.fromCoroutine(hooks)

        def cancel(_: object) -> None:
            self._cancelled = True
            if self._stopping is not None:
                self.log.error("on_stop hook {hook} was cancelled: it took too long", hook=_name(self._stopping))
            running.cancel()

        ended: Deferred[None] = Deferred(cancel)

        def report(result: Failure | None) -> None:
            if ended.called:
                return
            if isinstance(result, Failure):
                ended.errback(result)
            else:
                ended.callback(None)

        running.addBoth(report)
        return ended

    async def _start(self, service: RunningService, running: Sequence[Hooks]) -> None:
        for hooks in self._collections:
            for function in hooks.on_start if hooks not in running else ():
                if self._cancelled:
                    return
                await self._start_one(function, service)
            self._started.append(hooks)

    async def _start_one(self, function: HookFunction, service: RunningService) -> None:
        slow = self._clock.callLater(self._slow_after, self._log_slow, function)
        self._starting = function, self._clock.seconds()
        try:
            await _call(function, service)
        except GeneratorExit:  # nobody has a reference to the hook any more
            raise
        except BaseException:  # SystemExit too: a hook that calls sys.exit() does not want the service to start
            if not self._cancelled:
                self.log.failure(
                    "on_start hook {hook} failed: {consequence}",
                    hook=_name(function),
                    consequence="the former code goes on" if self._reloads else "the service does not start",
                )
            raise
        finally:
            self._starting = None
            if slow.active():
                slow.cancel()

    async def _stop(self, service: RunningService, starting: Deferred[None]) -> None:
        await gatherResults([starting])
        while self._started:
            for function in reversed(self._started.pop().on_stop):
                if self._cancelled:
                    return
                await self._stop_one(function, service)

    async def _stop_one(self, function: HookFunction, service: RunningService) -> None:
        self._stopping = function
        try:
            await _call(function, service)
        except GeneratorExit:
            raise
        except BaseException:
            if not self._cancelled:
                self.log.failure("on_stop hook {hook} failed", hook=_name(function))
        finally:
            self._stopping = None

    def _log_slow(self, function: HookFunction) -> None:
        self.log.warn(
            "on_start hook {hook} is still running after {seconds:.0f} s. {consequence} before it has ended",
            hook=_name(function),
            seconds=self._slow_after,
            consequence="The new code is not used" if self._reloads else "No message is handled",
        )


async def _call(function: HookFunction, service: RunningService) -> None:
    ending = as_deferred(function(service))
    if ending is not None:
        await ending


def _name(function: HookFunction) -> str:
    """The name of a hook, and where it is."""
    name = getattr(function, "__qualname__", repr(function))
    code = getattr(function, "__code__", None)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"
