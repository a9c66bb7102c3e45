"""Middleware that publishes messages whose call failed to another subject."""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from natsroute.errors import NatsrouteError, PayloadTooLargeError, RouteError, SubjectError
from natsroute.routes.event import Event, Middleware, RouteFunction
from natsroute.routes.middleware.base import CancellableCall, readable_headers
from natsroute.routes.results import ROUTE_ERRORS
from natsroute.wire.headers import printable
from natsroute.wire.subjects import check_subject

#: The headers of a dead letter.
DEAD_LETTER_HEADERS = ("Natsroute-Route", "Natsroute-Subject", "Natsroute-Error", "Natsroute-Attempts")

_MAX_VALUE = 500  # characters of a header: an error can quote the whole payload

_log = Logger()


def dead_letter(subject: str) -> Middleware:
    """
    Publish the payload of a message whose call failed, with headers that name route, subject, error and attempts.

    The message's own headers are sent with it, except those that begin with ``Nats-``, which a stream would obey. If
    the dead letter would be too large, it is published without them.

    The call counts as failed all the same. It counts as dead-lettered when the server has the dead letter; until then
    the message is in progress. A message that is a dead letter itself is not published again, because two routes could
    send it back and forth for ever. A call that was cancelled from outside, or that was for a connection event, has no
    dead letter.

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
            except ROUTE_ERRORS as error:
                if not call.cancelled and event.server is None:
                    await _publish(event, subject, error)
                raise

        return dead_lettering

    return around


async def _publish(event: Event, subject: str, error: BaseException) -> None:
    """Publish the dead letter of a message, or log why there is none."""
    own = readable_headers(event)
    if DEAD_LETTER_HEADERS[0] in own:
        _log.error("Event route {route} failed on a dead letter, which is not dead-lettered again", route=event.name)
        return
    own = {name: values for name, values in own.items() if not name.startswith("Nats-")}
    texts = (event.name, event.subject, f"{type(error).__name__}: {error}", str(event.attempts))
    headers: dict[str, Any] = {name: printable(text[:_MAX_VALUE]) for name, text in zip(DEAD_LETTER_HEADERS, texts)}
    try:
        try:
            await event.publish(subject, event.data, None, {**own, **headers}, policy="keep")
        except PayloadTooLargeError:
            await event.publish(subject, event.data, None, headers, policy="keep")
    except NatsrouteError as problem:
        _log.error(
            "Event route {route}: the dead letter of a message to {subject!r} was not published: {reason}",
            route=event.name,
            subject=event.subject,
            reason=problem,
        )
    else:
        event.counters.dead_lettered += 1
