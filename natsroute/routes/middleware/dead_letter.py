"""Middleware that publishes messages whose call failed to another subject."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from natsroute.errors import NatsrouteError, PayloadTooLargeError, RouteError, SubjectError
from natsroute.log import Logger
from natsroute.routes.event import Event, Middleware, RouteFunction
from natsroute.routes.middleware.base import CancellableCall, readable_headers
from natsroute.routes.results import as_deferred
from natsroute.routes.route_errors import describe, is_exit
from natsroute.routes.signatures import RETURNS_COROUTINES
from natsroute.text import printable
from natsroute.wire.headers import HeaderValues
from natsroute.wire.subjects import check_subject

#: The headers of a dead letter.
DEAD_LETTER_HEADERS = ("Natsroute-Route", "Natsroute-Subject", "Natsroute-Error", "Natsroute-Attempts")

#: The reply subject of a dead letter without headers. It takes nothing of ``max_payload``, and marks the dead letter.
BARE_REPLY = "_NATSROUTE.DEAD_LETTER"

#: Seconds until a message of a stream comes again whose dead letter could not be published.
RETRY_AFTER = 30.0

_MAX_VALUE = 500  # characters of a header

_log = Logger()


def dead_letter(subject: str) -> Middleware:
    """
    Publish the payload of a message whose call failed, with headers that name route, subject, error and attempts.

    The message's own headers are sent with it, except those that begin with ``Nats-``, which a stream would obey. If
    the dead letter would be larger than the server's ``max_payload``, headers give way: first the message's own, then
    the error, then all but the route, then that too. Without headers, a dead letter has the reply subject
    ``_NATSROUTE.DEAD_LETTER`` to tell it by.

    The call counts as failed all the same. It counts as dead-lettered when the server has the dead letter; until then
    the message is in progress. If it cannot be published, the call counts as not dead-lettered, and the log says why.
    A message that is a dead letter itself is not published again, because two routes could
    send it back and forth for ever. A call that was cancelled from outside, or that was for a connection event, has no
    dead letter.

    A message of a stream has its dead letter when its last call has failed: after the retries of its route, or the
    ``max_deliver`` of its consumer. It is terminated when the server has the dead letter. If that cannot be published,
    the message comes again after 30 s.

    :param subject: where dead letters are published.
    :raises RouteError: ``subject`` is not a valid subject, or has wildcards.
    """
    try:
        check_subject(subject)
    except SubjectError as error:
        raise RouteError(f"dead_letter: {error}") from None

    def around(function: RouteFunction) -> RouteFunction:
        async def dead_lettering(event: Event) -> object:
            call = CancellableCall(function, event)
            try:
                return await call
            except BaseException as error:
                if not call.ends_with(error) and event.server is None:
                    await _publish(event, subject, error)
                raise

        def dead_lettered(event: Event) -> object:
            acknowledgement = event.acknowledgement
            if acknowledgement is None or not acknowledgement.redelivers:
                return dead_lettering(event)
            # A coroutine for each message of a stream would cost more than everything else.
            try:
                result = function(event)
            except BaseException as error:
                if not _is_last(Failure(), event):
                    raise
                return Deferred.fromCoroutine(_publish_and_fail(event, subject, error))
            ending = as_deferred(result)
            return result if ending is None else ending.addErrback(failed, event)

        def failed(failure: Failure, event: Event) -> Failure | Deferred[None]:
            if not _is_last(failure, event) or failure.value is None:
                return failure
            return Deferred.fromCoroutine(_publish_and_fail(event, subject, failure.value))

        setattr(dead_lettered, RETURNS_COROUTINES, True)
        return dead_lettered

    return around


def _is_last(failure: Failure, event: Event) -> bool:
    """Whether the call that failed is the last one for its message."""
    error, acknowledgement = failure.value, event.acknowledgement
    if error is None or acknowledgement is None or is_exit(error):
        return False
    if failure.check(CancelledError, asyncio.CancelledError) and acknowledgement.was_cancelled(event):
        return False
    return not acknowledgement.comes_again(event, error)


async def _publish_and_fail(event: Event, subject: str, error: BaseException) -> None:
    try:
        await _publish(event, subject, error)
        raise error
    finally:
        del error  # its traceback has this frame


async def _publish(event: Event, subject: str, error: BaseException) -> None:
    """Publish the dead letter of a message, or count it and log why there is none."""
    own = readable_headers(event)
    if DEAD_LETTER_HEADERS[0] in own or event.reply == BARE_REPLY:
        event.counters.not_dead_lettered += 1
        _log.error("Event route {route} failed on a dead letter, which is not dead-lettered again", route=event.name)
        return
    own = {name: values for name, values in own.items() if not name.startswith("Nats-")}
    texts = (event.name, event.subject, describe(error), str(event.attempts))
    headers = {name: printable(text, _MAX_VALUE) for name, text in zip(DEAD_LETTER_HEADERS, texts)}
    problem: BaseException | None = None
    for fewer in _fewer_and_fewer(own, headers):
        try:
            await event.publish(subject, event.data, None if fewer else BARE_REPLY, fewer or None, policy="keep")
        except PayloadTooLargeError as too_large:
            problem = too_large.with_traceback(None)  # which has this frame
        except NatsrouteError as other:
            problem = other.with_traceback(None)
            break
        else:
            event.counters.dead_lettered += 1
            if event.span is not None:
                event.span.add_event("dead letter", {"messaging.destination.name": subject})
            return
    event.counters.not_dead_lettered += 1
    if event.acknowledgement is not None and event.acknowledgement.redelivers:
        event.acknowledgement.retry_in(event, RETRY_AFTER)
    _log.error(
        "Event route {route}: the dead letter of a message to {subject!r} was not published: {reason}",
        route=event.name,
        subject=event.subject,
        reason=problem,
    )


def _fewer_and_fewer(own: HeaderValues, headers: dict[str, str]) -> Iterator[HeaderValues]:
    """The headers of a dead letter, and what is left of them each time that they are too large."""
    route, subject, _, attempts = DEAD_LETTER_HEADERS
    if own:
        yield {**own, **headers}
    yield headers
    yield {name: headers[name] for name in (route, subject, attempts)}
    yield {route: headers[route]}
    yield {}
