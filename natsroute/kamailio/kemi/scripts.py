"""All instances of the script of a service: one for each consumer, and one for the publish connections together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults

from natsroute.errors import ScriptError
from natsroute.kamailio.evaluation import ConsumerVariables
from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.kamailio.kemi.hook_names import HookNames
from natsroute.kamailio.kemi.instance import CONSUMER_RANK, Instance
from natsroute.kamailio.kemi.lua_script import LuaScript
from natsroute.kamailio.kemi.python_script import PythonScript
from natsroute.kamailio.kemi.script_thread import ScriptThread
from natsroute.kamailio.kemi.worker import Worker
from natsroute.ledger import RouteCounters
from natsroute.log import Logger
from natsroute.routes.event import Event, EventContext
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.outgoing import Publish


class Script(Protocol):
    """A script in any language that was read and compiled."""

    def load(self, context: ScriptContext, rank: int | None) -> Instance:
        """Run the script in the current thread, and call its hooks."""


def read_script(path: str, callback: str, hooks: HookNames = HookNames()) -> Script:
    """
    Read a script, and compile it. It does not run yet.

    :param path: the path, which ends in ``.py`` or ``.lua``.
    :param callback: the name of the event callback.
    :param hooks: the names of its hooks. Kamailio calls none in Lua.
    :raises ScriptError: it cannot be read, is in no known language, or has a syntax error.
    """
    suffix = Path(path).suffix
    if suffix == ".py":
        return PythonScript(path, callback, hooks)
    if suffix == ".lua":
        return LuaScript(path, callback)
    raise ScriptError(path, 1, 1, f"scripts in {suffix or 'no language'!r} are not known", "Name a .py or a .lua file")


class Scripts(Service):
    """
    The instances of one script; none, if there is no script.

    :param path: the path of the script; empty: there is none.
    :param callback: the name of the event callback.
    :param hooks: the names of its hooks.
    :param slow_after: seconds. A call that takes longer is logged once, and so is loading the script.
    :param patience: seconds that a stop waits for the script.
    :raises ScriptError: as :func:`read_script`.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        path: str,
        callback: str,
        in_flight: CallsInFlight,
        *,
        hooks: HookNames = HookNames(),
        slow_after: float = 30.0,
        patience: float = 5.0,
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._script = read_script(path, callback, hooks) if path else None
        self._in_flight = in_flight
        self._slow_after = slow_after
        self._patience = patience
        self._threads: list[ScriptThread] = []

    def new_thread(
        self, name: str, consumer: ConsumerVariables, publish_for: Callable[[str], Publish], *, consumes: bool
    ) -> ScriptThread | None:
        """
        A further instance, in a thread of its own; None, if there is no script.

        :param name: what it is for, for the log.
        :param consumer: the variables that its events have in common.
        :param publish_for: gives what publishes for it, with its name in the log.
        :param consumes: whether it is for a consumer, and its hook for those is called.
        """
        if self._script is None:
            return None
        script, rank, publish = self._script, CONSUMER_RANK if consumes else None, publish_for(name)
        no_event = Event.of_connection(EventContext(publish, self._reactor, RouteCounters("(no event)")))

        def new_instance(worker: Worker) -> Instance:
            return script.load(ScriptContext(consumer, worker, no_event), rank)

        thread = ScriptThread(
            self._reactor,
            name,
            self._path,
            new_instance,
            publish,
            self._in_flight,
            slow_after=self._slow_after,
            patience=self._patience,
        )
        self._threads.append(thread)
        return thread

    def load(self) -> Deferred[None]:
        """
        Load all instances, each in its thread. If that takes too long, the log says so, and where the script is.

        :return: fires when all are loaded; fails with the :class:`~natsroute.errors.ScriptError` of the first that
            cannot be.
        """
        started = gatherResults([thread.start() for thread in self._threads], consumeErrors=True)
        warning = None if started.called else self._reactor.callLater(self._slow_after, self._warn_of_slow_load)

        def end(result: Any) -> Any:
            if warning is not None and warning.active():
                warning.cancel()
            return result

        return started.addBoth(end).addCallbacks(lambda _: None, lambda failure: failure.value.subFailure)

    def _warn_of_slow_load(self) -> None:
        places = [where for where in (thread.loading_at for thread in self._threads) if where]
        self.log.warn(
            "The script {script} is still being loaded after {seconds:.0f} s{where}. Nothing is consumed meanwhile",
            script=self._path,
            seconds=self._slow_after,
            where=places[0] if places else "",
        )

    def resume(self) -> None:
        """Calls may begin."""
        self._each(ScriptThread.resume)

    def hold(self) -> None:
        """The publisher has no space: publish nothing more until :meth:`release` has been called as often as this."""
        self._each(ScriptThread.hold)

    def release(self) -> None:
        """Undo one :meth:`hold`."""
        self._each(ScriptThread.release)

    def stopService(self) -> Deferred[None]:
        """
        End all threads.

        :return: fires when they have ended, or are left alone.
        """
        super().stopService()
        return gatherResults([thread.stop() for thread in self._threads]).addCallback(lambda _: None)

    def forget(self) -> None:
        """All threads have ended, and none starts again."""
        self._each(ScriptThread.forget)

    def _each(self, act: Callable[[ScriptThread], None]) -> None:
        for thread in self._threads:
            act(thread)
