"""Locks of KEMI scripts. They are those of native scripts: each keeps the other out."""

from __future__ import annotations

from collections.abc import Hashable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.defer import TimeoutError as DeferredTimeoutError

from natsroute.errors import PublisherStoppedError
from natsroute.kamailio.kemi.context import ScriptContext

#: Seconds that a script waits for a lock. Kamailio waits for ever, also for a script that waits for itself.
LOCK_TIMEOUT = 5.0


def lock(context: ScriptContext, key: Hashable, name: str) -> int:
    """
    Wait until no other event has a lock. The event can have it several times. It is released at the end of the call.

    :param name: of the function that is called, for the log.
    :return: -1 if another event still has it after :data:`LOCK_TIMEOUT`, or the service stops; else 1.
    """
    locks, own = context.evaluation.consumer.service.locks, context.evaluation.own
    context.has_locked = True
    if locks.try_acquire(key, own):
        return 1
    clock = context.evaluation.event.clock

    def wait() -> Deferred[None]:
        waiting = locks.acquire(key, own)
        return succeed(None) if waiting is None else waiting.addTimeout(LOCK_TIMEOUT, clock)

    try:
        context.outbox.ask(wait)
    except DeferredTimeoutError:
        problem = f"another event still has the lock after {LOCK_TIMEOUT:g} s"
    except PublisherStoppedError as error:
        problem = str(error)
    else:
        return 1
    locks.release(key, own)  # it may have come just then
    context.failed(name, problem)
    return -1


def try_lock(context: ScriptContext, key: Hashable) -> int:
    """
    Get a lock without waiting.

    :return: -1 if an event has it, also if it is this one; else 1.
    """
    locks = context.evaluation.consumer.service.locks
    context.has_locked = True
    return 1 if not locks.is_held(key) and locks.try_acquire(key, context.evaluation.own) else -1


def unlock(context: ScriptContext, key: Hashable) -> int:
    """Release a lock. Without effect if the event does not have it."""
    context.evaluation.consumer.service.locks.release(key, context.evaluation.own)
    return 1
