"""Middleware that skips messages which came before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from hashlib import blake2b
from typing import TypeAlias
from weakref import ref

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from natsroute.routes.event import Event, Middleware, RouteFunction
from natsroute.routes.middleware.base import check_positive
from natsroute.routes.middleware.per_clock import PerClock
from natsroute.routes.results import call_deferred
from natsroute.routes.route_errors import is_exit
from natsroute.wire.headers import MESSAGE_ID

#: For each key that was seen, when its first call began; the oldest first.
_Seen: TypeAlias = "OrderedDict[Hashable, float]"


#: Bytes or characters above which a hash is remembered instead of an identity: of payloads, it would be too much.
_MAX_IDENTITY = 64


def message_id(event: Event) -> Hashable:
    """What identifies a message: its ``Nats-Msg-Id``, or a hash of subject and payload if it has none."""
    return event.headers.get(MESSAGE_ID) or _hash(event.subject.encode("utf-8", "surrogateescape"), event.data)


def _hash(*parts: bytes) -> bytes:
    """A hash that nobody can find two messages for."""
    state = blake2b(digest_size=32)
    for part in parts:
        state.update(b"%d:%b" % (len(part), part))
    return state.digest()


def _short(identity: Hashable) -> Hashable:
    """The identity, or a hash of it if it is long."""
    if isinstance(identity, (bytes, str)) and len(identity) > _MAX_IDENTITY:
        if isinstance(identity, str):
            return _hash(b"str", identity.encode("utf-8", "surrogatepass"))
        return _hash(b"bytes", identity)
    return identity


def deduplicate(
    *, key: Callable[[Event], Hashable] = message_id, seconds: float = 120.0, max_messages: int = 10_000
) -> Middleware:
    """
    Skip a message that was handled before, or that is being handled.

    A message whose call failed is handled again when it comes again. A copy that comes while the first call is running
    is skipped even if that call fails. A message of a stream that is delivered again meanwhile ends as that call does,
    so that it is not acknowledged if it fails.

    Routes with the same middleware object share what it has seen. Connection events are never skipped.

    :param key: returns the same value for messages that are the same. Of long bytes and strings, a hash is remembered.
    :param seconds: how long a message is remembered, from the beginning of its call.
    :param max_messages: how many are remembered. Above that, the oldest is forgotten.
    :raises RouteError: ``seconds`` or ``max_messages`` is not a number above 0.
    """
    check_positive("seconds", seconds)
    check_positive("max_messages", max_messages)
    memories: PerClock[_Seen] = PerClock(OrderedDict)
    # For each first call that runs, with a message of a stream: what the calls for its copies wait for.
    running: PerClock[dict[Hashable, list[Deferred[object]]]] = PerClock(dict)

    def forget(failure: Failure, seen: _Seen, identity: Hashable, began: float) -> Failure:
        if seen.get(identity) == began and not is_exit(failure.value):
            del seen[identity]
        return failure

    def around(function: RouteFunction) -> RouteFunction:
        def once(event: Event) -> Deferred[object] | None:
            if event.server is not None:
                return call_deferred(function, event)
            clock = event.clock
            seen, now = memories[ref(clock)], clock.seconds()
            while seen and next(iter(seen.values())) + seconds <= now:
                seen.popitem(last=False)
            identity = _short(key(event))
            acknowledgement = event.acknowledgement
            calls = None if acknowledgement is None or not acknowledgement.redelivers else running[ref(clock)]
            if identity in seen:
                return _follow(calls[identity]) if calls and identity in calls else None
            seen[identity] = now
            if len(seen) > max_messages:
                seen.popitem(last=False)
            ending = call_deferred(function, event).addErrback(forget, seen, identity, now)
            if calls is not None and not ending.called:
                followers = calls[identity] = []
                ending.addBoth(_ended, calls, identity, followers)
            return ending

        return once

    return around


def _follow(followers: list[Deferred[object]]) -> Deferred[object]:
    """Fires with None when the first call has succeeded, and fails as it does. Cancelling it ends the wait only."""
    follower: Deferred[object] = Deferred(followers.remove)
    followers.append(follower)
    return follower


def _ended(
    result: object,
    calls: dict[Hashable, list[Deferred[object]]],
    identity: Hashable,
    followers: list[Deferred[object]],
) -> object:
    if calls.get(identity) is followers:  # otherwise it was forgotten, and another call has followed
        del calls[identity]
    for follower in tuple(followers):
        if not follower.called:  # cancelled by what followed the end of another one
            follower.callback(result if isinstance(result, Failure) else None)
    return result
