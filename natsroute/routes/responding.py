"""Answering a message with what the function of its event route returns."""

from __future__ import annotations

from functools import partial

from twisted.python.failure import Failure

from natsroute.errors import NatsrouteError, Reject, RouteTimeoutError
from natsroute.routes.event import Event, RouteFunction
from natsroute.routes.results import PLAIN_TYPES, as_deferred
from natsroute.routes.route_errors import is_exit
from natsroute.text import printable
from natsroute.wire.headers import HeaderValues

#: The headers of an answer that says that there is none (NATS ADR-32): a text, and a number as in HTTP.
ERROR_HEADER, CODE_HEADER = "Nats-Service-Error", "Nats-Service-Error-Code"

_FAILED, _REJECTED = 500, 400
_MAX_TEXT = 500  # characters of a header


def responding(function: RouteFunction) -> RouteFunction:
    """
    Middleware that answers each message with what the function returns.

    Bytes are sent as they are, a string as UTF-8, anything else as JSON, and None as an empty payload. A call that
    fails is answered with an empty payload and the headers of :func:`error_headers`. It goes around all other
    middleware of a route, so the answer of a call that fails goes out after the last retry and after the dead letter. A
    message without a reply subject runs the function, and what that returns is ignored.

    The answer is written at once, and not confirmed; see :meth:`Event.respond() <natsroute.Event.respond>`. One that
    cannot be serialised, or is larger than the server accepts, fails the call, and is answered as that.
    """

    def respond(event: Event) -> object:
        reply = event.reply
        if reply is None:
            return function(event)
        try:
            result = function(event)
        except BaseException as error:
            _answer_failure(event, error)
            raise
        ending = None if type(result) in PLAIN_TYPES else as_deferred(result)
        if ending is None:
            return _answer(event, reply, result)
        return ending.addCallbacks(partial(_answer, event, reply), partial(_failed, event))

    return respond


def error_headers(error: BaseException) -> HeaderValues:
    """
    The headers that answer a call that failed.

    :class:`~natsroute.Reject` is answered with its reason and the code 400. Of most other errors, the type is in the
    answer, and the text is not: it may have anything in it, and is in the log. Their code is 500.
    """
    text = f"the event route failed: {type(error).__name__}"
    if isinstance(error, (Reject, RouteTimeoutError)):
        text = str(error)
    code = _REJECTED if isinstance(error, Reject) else _FAILED
    return {ERROR_HEADER: printable(text, _MAX_TEXT), CODE_HEADER: str(code)}


def _answer(event: Event, reply: str, result: object) -> object:
    """Answer a call that succeeded. If that is impossible, the call has failed."""
    try:
        later = event.context.respond(reply, b"" if result is None else result)
    except NatsrouteError as error:
        _answer_failure(event, error)
        raise
    return result if later is None else later.addCallbacks(lambda _: result, partial(_failed, event))


def _failed(event: Event, failure: Failure) -> Failure:
    _answer_failure(event, failure.value)
    return failure


def _answer_failure(event: Event, error: BaseException | None) -> None:
    """Answer a call that failed. If that is impossible too, the failure of the call is still in the log."""
    headers = None if error is None or is_exit(error) else error_headers(error)
    event.respond(b"", headers, confirm=False).addErrback(lambda failure: None)
