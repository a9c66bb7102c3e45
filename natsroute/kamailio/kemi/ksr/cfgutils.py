"""``KSR.cfgutils``: locks, waiting and chance."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import deferLater

from natsroute.errors import PublisherStoppedError
from natsroute.kamailio.evaluation import INITIAL_PROBABILITY
from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.kamailio.kemi.ksr.definitions import Result, function, table
from natsroute.kamailio.kemi.ksr.locking import lock, try_lock, unlock
from natsroute.kamailio.script.functions.cfgutils import lock_key


def _lock(context: ScriptContext, name: bytes) -> Result:
    return lock(context, lock_key(name), "cfgutils.lock")


def _try_lock(context: ScriptContext, name: bytes) -> Result:
    return try_lock(context, lock_key(name))


def _unlock(context: ScriptContext, name: bytes) -> Result:
    return unlock(context, lock_key(name))


def _sleeping(unit: float, name: str) -> Callable[[ScriptContext, int], Result]:
    """
    A function that waits. A stop of the service ends the wait; then the result is -1.

    :param unit: seconds that the argument counts.
    """

    def sleep(context: ScriptContext, count: int) -> Result:
        problem = "a time is below 0" if count < 0 else ""
        if count > 0:
            clock = context.evaluation.event.clock
            try:
                context.outbox.ask(lambda: deferLater(clock, count * unit))
            except PublisherStoppedError as error:
                problem = str(error)
        if problem:
            context.failed(name, problem)
        return -1 if problem else 1

    return sleep


def _set_probability(context: ScriptContext, percentage: int) -> Result:
    context.evaluation.consumer.service.probability = percentage
    return 1


FUNCTIONS = table(
    function("cfgutils.lock", "s", _lock),
    function("cfgutils.trylock", "s", _try_lock),
    function("cfgutils.unlock", "s", _unlock),
    function("cfgutils.sleep", "i", _sleeping(1.0, "cfgutils.sleep")),
    function("cfgutils.usleep", "i", _sleeping(1e-6, "cfgutils.usleep")),
    function("cfgutils.rand_set_prob", "i", _set_probability),
    function("cfgutils.rand_reset_prob", "", lambda context: _set_probability(context, INITIAL_PROBABILITY)),
)
