"""Functions of the module ``cfgutils``: waiting, locks, chance and hashes."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import INITIAL_PROBABILITY, MAX_RANDOM, Evaluation
from natsroute.kamailio.script.functions.calls import function, number, table, text
from natsroute.kamailio.script.functions.definitions import Argument
from natsroute.kamailio.transformations.strings import core_hash


def _sleeping(unit: float) -> Callable[[Evaluation, int], int | Deferred[int]]:
    """
    A function that waits. Other events go on meanwhile; the next one of this route waits.

    :param unit: seconds that the argument counts.
    """

    def run(evaluation: Evaluation, count: int) -> int | Deferred[int]:
        if count < 0:
            raise EvaluationError("a time is below 0")
        return deferLater(evaluation.event.clock, count * unit, lambda: 1) if count else 1

    return run


def lock_key(name: bytes) -> tuple[str, bytes]:
    """What the lock of this name is among all locks."""
    return ("cfgutils", name)


def _lock(evaluation: Evaluation, name: bytes) -> int | Deferred[int]:
    """Wait until no other event has the lock."""
    waiting = evaluation.consumer.service.locks.acquire(lock_key(name), evaluation.own)
    return 1 if waiting is None else waiting.addCallback(lambda _: 1)


def _trylock(evaluation: Evaluation, name: bytes) -> int:
    locks = evaluation.consumer.service.locks
    return 1 if not locks.is_held(lock_key(name)) and locks.try_acquire(lock_key(name), evaluation.own) else -1


def _unlock(evaluation: Evaluation, name: bytes) -> int:
    evaluation.consumer.service.locks.release(lock_key(name), evaluation.own)
    return 1


def _percentage(argument: Argument) -> Callable[[Evaluation], int]:
    """
    A number from 0 to 100.

    :raises ScriptError: it is another one.
    """
    written = argument.constant()
    try:
        known = int(written)
    except ValueError:
        known = -1
    if not 0 <= known <= 100:
        raise argument.position.error(f"{written!r} is not a probability", "Write a number from 0 to 100")
    return lambda evaluation: known


def _set_prob(evaluation: Evaluation, percentage: int) -> int:
    evaluation.consumer.service.probability = percentage
    return 1


def _reset_prob(evaluation: Evaluation) -> int:
    evaluation.consumer.service.probability = INITIAL_PROBABILITY
    return 1


def _get_prob(evaluation: Evaluation) -> int:
    return evaluation.consumer.service.probability


def _rand_event(evaluation: Evaluation) -> int:
    """1 with the probability that ``rand_set_prob`` set, else -1."""
    service = evaluation.consumer.service
    if service.probability in (0, 100):
        return 1 if service.probability else -1
    return 1 if service.random_number() / MAX_RANDOM < service.probability / 100 else -1


def _core_hash(evaluation: Evaluation, first: bytes, second: bytes, bits: int) -> int:
    """A number from 1 to 2 to the power of the bits, the same for the same texts."""
    return (core_hash(first, second) & ((1 << (bits % 32 if bits > 0 else 1)) - 1)) + 1


def _of_the_compiler(evaluation: Evaluation, name: bytes) -> int:
    raise AssertionError("the compiler makes these calls itself: it has the routes")


FUNCTIONS = table(
    function("sleep", _sleeping(1.0), number, waits=True),
    function("usleep", _sleeping(1e-6), number, waits=True),
    function("lock", _lock, text, waits=True),
    function("trylock", _trylock, text),
    function("unlock", _unlock, text),
    function("rand_set_prob", _set_prob, _percentage),
    function("rand_reset_prob", _reset_prob),
    function("rand_get_prob", _get_prob),
    function("rand_event", _rand_event),
    function("core_hash", _core_hash, text, text, number),
    function("check_route_exists", _of_the_compiler, text),
    function("route_if_exists", _of_the_compiler, text),
)
