"""Middleware that passes a correlation id on to what a route publishes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

import attrs
from twisted.internet.defer import Deferred

from natsroute.errors import RouteError
from natsroute.routes.event import Event, Middleware, RouteFunction
from natsroute.routes.middleware.base import readable_headers
from natsroute.routes.outgoing import Answer
from natsroute.wire.headers import HeaderValues, all_values


def correlation(header: str = "Correlation-Id") -> Middleware:
    """
    Add the message's correlation id to everything that its call publishes, and to its answer. A message without one
    gets a new id.

    :param header: the header that holds the id. A header of this name that the route sets itself is kept.
    :raises RouteError: ``header`` is not a string.
    """
    if not isinstance(header, str):
        raise RouteError(f"correlation: header = {header!r}; it must be the name of a header")

    def around(function: RouteFunction) -> RouteFunction:
        def correlated(event: Event) -> object:
            identity = readable_headers(event).get(header) or [uuid4().hex]
            context, added = event.context, {header: identity}
            answer = None if context.answer is None else partial(_answer_with, context.answer, added)
            publish = partial(_publish_with, context.publish, added)
            event.context = attrs.evolve(context, publish=publish, answer=answer)
            return function(event)

        return correlated

    return around


def _publish_with(
    publish: Callable[..., Deferred[None]],
    added: HeaderValues,
    subject: str,
    payload: object,
    reply: str | None = None,
    headers: HeaderValues | None = None,
    **options: Any,
) -> Deferred[None]:
    return publish(subject, payload, reply, {**added, **all_values(headers or {})}, **options)


def _answer_with(
    answer: Answer, added: HeaderValues, reply: str, payload: object, headers: HeaderValues | None = None
) -> Deferred[None] | None:
    return answer(reply, payload, {**added, **all_values(headers or {})})
