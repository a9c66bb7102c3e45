"""
Decide over SIP transactions that Kamailio has suspended.

Kamailio suspends a transaction with ``t_suspend()`` and publishes a question. An event route returns a
:class:`Decision`. :func:`answer_transactions` publishes it as the answer, and Kamailio continues the transaction with
``t_continue()``. Both payloads are JSON objects; docs/kamailio/transactions.md describes them, and
``examples/transaction_bridge/`` has both sides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from natsroute.errors import DecodeError, MisuseError, RouteError, RouteTimeoutError
from natsroute.routes.event import Event, Middleware, RouteFunction
from natsroute.routes.middleware.base import CancellableCall, check_positive

__all__ = ["Decision", "SipTransaction", "answer_transactions"]

#: The actions of the decisions that :class:`Decision` has methods for.
ACCEPT, REFUSE, REDIRECT = "accept", "refuse", "redirect"

#: The fields of a question that :class:`SipTransaction` reads.
_TRANSACTION, _ANSWER_TO = "transaction", "answer_to"

#: ``$T(id_index)`` and ``$T(id_label)``, both unsigned integers of 32 bits.
_ID = re.compile(r"[0-9]{1,10}:[0-9]{1,10}", re.ASCII)
#: What would end a header, and begin another one, in the reply that Kamailio makes of it.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: What cannot stand in a URI, or would end the angle brackets around it.
_NOT_URI = re.compile(r'[\x00-\x20\x7f<>"]')


@attrs.frozen
class SipTransaction:
    """
    A transaction that Kamailio has suspended, and what it said about the request.

    :ivar id: ``$T(id_index):$T(id_label)``, which ``t_continue()`` takes.
    :ivar answer_to: the subject that Kamailio reads answers from: ``answer_to`` in the payload, else the reply subject
        of the message.
    :ivar fields: the whole payload.
    """

    id: str
    answer_to: str
    fields: Mapping[str, Any]

    @classmethod
    def of(cls, event: Event) -> SipTransaction:
        """
        Read the question that an event brings.

        :raises DecodeError: it is not a JSON object, has no valid ``transaction``, or nobody would get the answer.
        """
        fields = event.json()
        if not isinstance(fields, dict):
            raise DecodeError(f"the message to {event.subject} is no question: it is not a JSON object")
        number, answer_to = fields.get(_TRANSACTION), fields.get(_ANSWER_TO, event.reply)
        if not isinstance(number, str) or not _ID.fullmatch(number):
            raise DecodeError(
                f"the question on {event.subject} has the transaction {number!r}. Publish $T(id_index):$T(id_label)"
            )
        if not isinstance(answer_to, str) or not answer_to:
            raise DecodeError(
                f"the question on {event.subject} does not say where the answer goes. Publish 'answer_to', or a reply "
                "subject"
            )
        return cls(number, answer_to, fields)

    def __getitem__(self, name: str) -> Any:
        """A field of the payload. :raises DecodeError: there is no such field."""
        try:
            return self.fields[name]
        except KeyError:
            raise DecodeError(f"the question about transaction {self.id} has no field {name!r}") from None

    def get(self, name: str, default: Any = None) -> Any:
        """A field of the payload, or the default if there is no such field."""
        return self.fields.get(name, default)


def _as_dict(fields: Mapping[str, Any]) -> dict[str, Any]:
    return dict(fields)  # a copy: what is changed later is in no answer


@attrs.frozen
class Decision:
    """
    What Kamailio is to do with a transaction.

    :meth:`accept`, :meth:`refuse` and :meth:`redirect` make the usual ones. ``Decision("voicemail")`` is one for which
    you write the action in Kamailio yourself.

    :param action: the name of the action.
    :param code: the status code of a reply.
    :param reason: its reason phrase.
    :param uri: a SIP URI, as the action needs one.
    :param fields: further fields of the answer, in a form that JSON can express.
    :raises RouteError: Kamailio could not carry it out, or a URI or reason phrase would add a header to the reply.
    """

    action: str
    code: int | None = None
    reason: str | None = None
    uri: str | None = None
    fields: Mapping[str, Any] = attrs.field(factory=dict, converter=_as_dict, hash=False)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.action, str) or not self.action:
            raise RouteError(f"action = {self.action!r}; it must be a name such as {ACCEPT!r}")
        if self.code is not None and (type(self.code) is not int or not 100 <= self.code <= 699):
            raise RouteError(f"code = {self.code!r}; it must be an integer from 100 to 699")
        if self.reason is not None and (not isinstance(self.reason, str) or _CONTROL.search(self.reason)):
            raise RouteError(f"reason = {self.reason!r}; it must be text in one line")
        if self.uri is not None and (not isinstance(self.uri, str) or not self.uri or _NOT_URI.search(self.uri)):
            raise RouteError(f"uri = {self.uri!r}; it must be a SIP URI, without angle brackets")
        wrong = {_TRANSACTION, "action", "code", "reason", "uri", "fallback"} & set(self.fields)
        if wrong:
            raise RouteError(f"the further field {min(wrong)!r} of a decision has the name of another field")

    @classmethod
    def accept(cls, uri: str | None = None, **fields: Any) -> Decision:
        """
        Let the request go on.

        :param uri: its new request URI; None keeps it as it is.
        :param fields: further fields of the answer.
        """
        return cls(ACCEPT, uri=uri, fields=fields)

    @classmethod
    def refuse(cls, code: int, reason: str, **fields: Any) -> Decision:
        """
        Refuse the request.

        :param code: the status code, from 400 to 699.
        :param reason: the reason phrase.
        :param fields: further fields of the answer.
        """
        if type(code) is not int or not 400 <= code <= 699:
            raise RouteError(f"code = {code!r}; a request is refused with a code from 400 to 699")
        return cls(REFUSE, code, reason, fields=fields)

    @classmethod
    def redirect(cls, uri: str, code: int = 302, reason: str = "Moved Temporarily", **fields: Any) -> Decision:
        """
        Ask the caller to try another URI.

        :param uri: the URI for the reply's Contact header.
        :param code: the status code, from 300 to 399.
        :param reason: the reason phrase.
        :param fields: further fields of the answer.
        """
        if type(code) is not int or not 300 <= code <= 399:
            raise RouteError(f"code = {code!r}; a request is redirected with a code from 300 to 399")
        if uri is None:
            raise RouteError("a request is redirected to a uri")
        return cls(REDIRECT, code, reason, uri, fields)

    def answer(self, transaction: SipTransaction, *, fallback: bool = False) -> dict[str, Any]:
        """
        The payload of the answer.

        :param fallback: whether the event route failed or was too late.
        """
        known = {"code": self.code, "reason": self.reason, "uri": self.uri, "fallback": fallback or None}
        answer = {_TRANSACTION: transaction.id, "action": self.action, **self.fields}
        return answer | {name: value for name, value in known.items() if value is not None}


class _Answering(Deferred[None]):
    """
    A call that decides over a transaction, and the answer.

    It fires when the call has ended and the server has the answer. Cancelling it cancels the call, and gives the
    fallback at once: when a service stops, there is no time to wait for the call to end. An answer that was given
    stays.
    """

    def __init__(self, function: RouteFunction, event: Event, fallback: Decision, timeout: float) -> None:
        super().__init__()
        self._transaction = SipTransaction.of(event)
        self._event = event
        self._fallback = fallback
        self._timeout = timeout
        self._timed_out = False
        self._answered = False
        self._timer = event.clock.callLater(timeout, self._time_out)
        self._call = CancellableCall(function, event)
        self._call.addBoth(self._ended)

    def cancel(self) -> None:
        """Cancel the call, if it has not ended."""
        self._call.cancel()
        self._give_fallback()

    def _time_out(self) -> None:
        """Give the fallback, and cancel the call. It may take its time to end, or never end."""
        self._timed_out = True
        self._give_fallback()
        self._call.cancel()

    def _ended(self, result: object) -> None:
        if self._timer.active():
            self._timer.cancel()
        if self._timed_out:
            self.errback(RouteTimeoutError(self._timeout))
        elif isinstance(result, Decision) and not self._answered:
            self._give(result).addCallbacks(self.callback, self._not_published)
        else:
            self._give_fallback()
            error = result if isinstance(result, Failure) else _no_decision(result)
            self.errback(error)

    def _not_published(self, failure: Failure) -> None:
        if failure.check(MisuseError):  # nothing was sent: the payload is too large, or cannot be serialised
            self._answered = False
            self._give_fallback()
        self.errback(failure)

    def _give_fallback(self) -> None:
        """Give the fallback, unless there was an answer. If it is not published, that is in the log."""
        if not self._answered:
            self._give(self._fallback, fallback=True)

    def _give(self, decision: Decision, *, fallback: bool = False) -> Deferred[None]:
        self._answered = True
        payload = decision.answer(self._transaction, fallback=fallback)
        return self._event.publish(self._transaction.answer_to, payload)


def _no_decision(result: object) -> Exception:
    """The error of a call that returned this."""
    if isinstance(result, Decision):
        return CancelledError()  # it decided when it was cancelled already, and the fallback was given
    return RouteError(f"it returned {result!r}; it must return a Decision")


def answer_transactions(fallback: Decision, *, timeout: float = 2.0) -> Middleware:
    """
    Middleware that answers Kamailio with the decision that an event route returns::

        @event_route(
            "nats:sip-decide",
            concurrency=200,
            middleware=[answer_transactions(Decision.refuse(503, "No Decision"), timeout=2.0)],
        )
        async def decide(event):
            call = SipTransaction.of(event)
            if await is_blocked(call["from"]):
                return Decision.refuse(403, "Forbidden")
            return Decision.accept()

    Each transaction gets exactly one answer. If the route raises an error, returns no :class:`Decision`, is cancelled
    because the service stops, or takes too long, the answer is the fallback, with the field ``"fallback": true``. The
    call then counts as failed, and its error is in the log. What a late route returns is ignored.

    A message that is no question has no answer: the call fails with :class:`~natsroute.errors.DecodeError`, and the
    function is not called.

    :param fallback: the decision where there is no other.
    :param timeout: seconds that a call may take, all of its retries included. The time begins when the route is called;
        with too little ``concurrency``, questions wait before that. Set it lower than the time after which Kamailio
        gives up, so that Kamailio acts on the fallback of this route.
    :raises RouteError: the fallback is not a decision, or ``timeout`` is not a number above 0.
    """
    check_positive("timeout", timeout)
    if not isinstance(fallback, Decision):
        raise RouteError(f"fallback = {fallback!r}; it must be a Decision")

    def around(function: RouteFunction) -> RouteFunction:
        def answering(event: Event) -> Deferred[None]:
            return _Answering(function, event, fallback, timeout)

        return answering

    return around
