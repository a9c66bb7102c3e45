"""natsroute.kamailio.transactions"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes
from natsroute.errors import DecodeError, PayloadTooLargeError, PublishExpiredError, RouteError, RouteTimeoutError
from natsroute.kamailio.transactions import Decision, SipTransaction, answer_transactions
from natsroute.ledger import RouteCounters
from natsroute.routes.event import EventContext
from natsroute.routes.results import call_deferred
from natsroute.testing import RouteTester
from natsroute.wire.frames import Address

QUESTION = {"transaction": "17:4294967295", "answer_to": "sip-decided", "from": "sip:alice@example.com"}
FALLBACK = Decision.refuse(503, "No Decision")
FALLBACK_ANSWER = {
    "transaction": "17:4294967295",
    "action": "refuse",
    "code": 503,
    "reason": "No Decision",
    "fallback": True,
}


def a_question(fields: object = QUESTION, reply: bytes | None = None) -> Event:
    """The event that brings a question."""
    data = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    context = EventContext(lambda *message, **options: succeed(None), Clock(), RouteCounters("nats:sip-decide"))
    return Event.of_message(context, Address("sip-decide", 1), data, b"", reply)


class SipTransactionTests(SynchronousTestCase):
    """SipTransaction"""

    def test_fields(self) -> None:
        transaction = SipTransaction.of(a_question())
        self.assertEqual((transaction.id, transaction.answer_to), ("17:4294967295", "sip-decided"))
        self.assertEqual(transaction.fields, QUESTION)
        self.assertEqual(transaction["from"], "sip:alice@example.com")
        self.assertEqual(transaction.get("from"), "sip:alice@example.com")
        self.assertEqual((transaction.get("to"), transaction.get("to", "nobody")), (None, "nobody"))

    def test_missing_field(self) -> None:
        """Kamailio leaves out a field whose value is not UTF-8."""
        error = self.assertRaises(DecodeError, SipTransaction.of(a_question()).__getitem__, "to")
        self.assertEqual(str(error), "the question about transaction 17:4294967295 has no field 'to'")

    def test_reply_subject(self) -> None:
        """It is used if the payload names no subject."""
        self.assertEqual(SipTransaction.of(a_question({"transaction": "1:2"}, b"_INBOX.1")).answer_to, "_INBOX.1")
        self.assertEqual(SipTransaction.of(a_question(reply=b"_INBOX.1")).answer_to, "sip-decided")

    def test_no_question(self) -> None:
        """The error says what the publisher has to change."""
        for fields, expected in [
            (b"not JSON", "is not JSON"),
            (["17:1"], "is not a JSON object"),
            ({"answer_to": "a"}, r"has the transaction None. Publish \$T\(id_index\):\$T\(id_label\)"),
            ({"answer_to": "a", "transaction": 17}, "has the transaction 17"),
            ({"answer_to": "a", "transaction": "17"}, "has the transaction '17'"),
            ({"answer_to": "a", "transaction": "17:1\n"}, "has the transaction"),
            ({"answer_to": "a", "transaction": "-1:1"}, "has the transaction"),
            ({"answer_to": "a", "transaction": "12345678901:1"}, "has the transaction"),
            ({"answer_to": "a", "transaction": "٣:1"}, "has the transaction"),
            ({"transaction": "17:1"}, "does not say where the answer goes"),
            ({"transaction": "17:1", "answer_to": ""}, "does not say where the answer goes"),
            ({"transaction": "17:1", "answer_to": 7}, "does not say where the answer goes"),
        ]:
            error = self.assertRaises(DecodeError, SipTransaction.of, a_question(fields))
            self.assertRegex(str(error), expected)


class DecisionTests(SynchronousTestCase):
    """Decision"""

    def answer(self, decision: Decision) -> dict[str, Any]:
        """The payload of the answer, without the transaction."""
        answer = decision.answer(SipTransaction.of(a_question()))
        self.assertEqual(answer.pop("transaction"), "17:4294967295")
        return answer

    def test_accept(self) -> None:
        self.assertEqual(self.answer(Decision.accept()), {"action": "accept"})
        self.assertEqual(
            self.answer(Decision.accept("sip:bob@10.0.0.7", header="x")),
            {"action": "accept", "uri": "sip:bob@10.0.0.7", "header": "x"},
        )

    def test_refuse(self) -> None:
        self.assertEqual(
            self.answer(Decision.refuse(486, "Busy Here", retry=5)),
            {"action": "refuse", "code": 486, "reason": "Busy Here", "retry": 5},
        )

    def test_redirect(self) -> None:
        self.assertEqual(
            self.answer(Decision.redirect("sip:carol@example.net")),
            {"action": "redirect", "code": 302, "reason": "Moved Temporarily", "uri": "sip:carol@example.net"},
        )
        self.assertEqual(self.answer(Decision.redirect("sip:c@d", 305, "Use Proxy"))["code"], 305)

    def test_action_of_ones_own(self) -> None:
        self.assertEqual(self.answer(Decision("voicemail", fields={"box": 7})), {"action": "voicemail", "box": 7})

    def test_fallback(self) -> None:
        self.assertEqual(FALLBACK.answer(SipTransaction.of(a_question()), fallback=True), FALLBACK_ANSWER)

    def test_what_kamailio_could_not_do(self) -> None:
        """Codes of another class, a second header in a reason phrase or URI, and fields that overwrite others."""
        wrong: list[tuple[Callable[..., Decision], tuple[Any, ...]]] = [
            (Decision.refuse, (200, "OK")),
            (Decision.refuse, (302, "Moved")),
            (Decision.refuse, (700, "Too Much")),
            (Decision.refuse, (True, "True")),
            (Decision.refuse, ("486", "Busy")),
            (Decision.refuse, (486, "Busy\r\nContact: <sip:eve@example.net>")),
            (Decision.refuse, (486, b"Busy")),
            (Decision.redirect, ("sip:a@b", 486)),
            (Decision.redirect, (None,)),
            (Decision.redirect, ("",)),
            (Decision.redirect, ("sip:a@b>\r\nX: y",)),
            (Decision.redirect, ("sip:a b@c",)),
            (Decision.redirect, ("<sip:a@b>",)),
            (Decision.accept, (7,)),
            (Decision, ("",)),
            (Decision, (None,)),
            (Decision, ("accept", 42)),
            (Decision, ("accept", None, None, None, {"fallback": 1})),
            (Decision, ("accept", None, None, None, {"transaction": "1:2"})),
        ]
        for make, arguments in wrong:
            self.assertRaises(RouteError, make, *arguments)


class AnswerTransactionsTests(SynchronousTestCase):
    """answer_transactions()"""

    def make(self, function: Callable[[Event], Any], timeout: float = 2.0, **options: Any) -> RouteTester:
        """A tester for a route with that function."""
        event_route = EventRoutes()
        around = [answer_transactions(FALLBACK, timeout=timeout)]
        event_route("nats:sip-decide", middleware=around, **options)(function)
        self.tester = RouteTester(event_route)
        return self.tester

    def ask(self, fields: object = QUESTION, **options: Any) -> Deferred[object]:
        """Deliver a question."""
        return self.tester.deliver("sip-decide", fields, **options)

    def answers(self) -> list[tuple[str, dict[str, Any]]]:
        """What was published: subject and payload."""
        return [(message.subject, json.loads(message.data)) for message in self.tester.published]

    def assert_fallback(self) -> None:
        """The fallback was published, and nothing else."""
        self.assertEqual(self.answers(), [("sip-decided", FALLBACK_ANSWER)])

    def test_decision(self) -> None:
        """Of a function, and of a coroutine."""

        def at_once(event: Event) -> Decision:
            return Decision.refuse(403, "Forbidden")

        async def later(event: Event) -> Decision:
            await succeed(None)
            return at_once(event)

        for function in (at_once, later):
            self.make(function)
            self.successResultOf(self.ask())
            self.assertEqual(
                self.answers(),
                [
                    (
                        "sip-decided",
                        {
                            "transaction": "17:4294967295",
                            "action": "refuse",
                            "code": 403,
                            "reason": "Forbidden",
                        },
                    )
                ],
            )
            self.assertEqual(self.tester.clock.getDelayedCalls(), [])

    def test_in_a_thread(self) -> None:
        self.make(lambda event: Decision.accept(), thread=True)
        self.successResultOf(self.ask())
        self.assertEqual(self.answers(), [("sip-decided", {"transaction": "17:4294967295", "action": "accept"})])

    def test_reply_subject(self) -> None:
        self.make(lambda event: Decision.accept())
        self.successResultOf(self.ask({"transaction": "1:2"}, reply="_INBOX.1"))
        self.assertEqual(self.answers(), [("_INBOX.1", {"transaction": "1:2", "action": "accept"})])

    def test_error(self) -> None:
        """The caller gets the fallback, and the call fails with the route's error."""
        self.make(lambda event: fail(ZeroDivisionError()))
        self.failureResultOf(self.ask(), ZeroDivisionError)
        self.assert_fallback()
        self.assertEqual(self.tester.clock.getDelayedCalls(), [])

    def test_sys_exit(self) -> None:
        def leave(event: Event) -> None:
            raise SystemExit

        self.make(leave)
        self.failureResultOf(self.ask(), SystemExit)
        self.assert_fallback()

    def test_no_decision(self) -> None:
        for result in (None, True, {"action": "accept"}):
            self.make(partial(self._return, result))
            error = self.failureResultOf(self.ask(), RouteError).value
            self.assertEqual(str(error), f"it returned {result!r}; it must return a Decision")
            self.assert_fallback()

    def _return(self, result: object, event: Event) -> object:
        return result

    def test_too_late(self) -> None:
        """The fallback goes out at the timeout, and the call is cancelled."""
        cancelled: list[object] = []
        self.make(lambda event: Deferred(cancelled.append), timeout=1.5)
        ended = self.ask()
        self.tester.clock.advance(1.4)
        self.assertNoResult(ended)
        self.assertEqual(self.answers(), [])
        self.tester.clock.advance(0.1)
        self.assertEqual(self.failureResultOf(ended, RouteTimeoutError).value.seconds, 1.5)
        self.assertEqual(len(cancelled), 1)
        self.assert_fallback()

    def test_ignores_that_it_is_cancelled(self) -> None:
        """The fallback does not wait for the function, and what that returns later is ignored."""
        going_on: Deferred[None] = Deferred()

        async def stubborn(event: Event) -> Decision:
            try:
                await Deferred()
            except CancelledError:
                await going_on
            return Decision.accept()

        self.make(stubborn)
        ended = self.ask()
        self.tester.clock.advance(2)
        self.assert_fallback()
        self.assertNoResult(ended)
        going_on.callback(None)
        self.failureResultOf(ended, RouteTimeoutError)
        self.assert_fallback()

    def test_cancelled_from_outside(self) -> None:
        """As when the service stops."""
        self.make(lambda event: Deferred())
        ended = self.ask()
        ended.cancel()
        self.failureResultOf(ended, CancelledError)
        self.assert_fallback()
        self.assertEqual(self.tester.clock.getDelayedCalls(), [])

    def test_cancelled_and_does_not_end(self) -> None:
        """The fallback goes out at once; what the function returns later is ignored."""
        going_on: Deferred[None] = Deferred()

        async def stubborn(event: Event) -> Decision:
            try:
                await Deferred()
            except CancelledError:
                await going_on
            return Decision.accept()

        self.make(stubborn)
        ended = self.ask()
        ended.cancel()
        self.assert_fallback()
        going_on.callback(None)
        self.failureResultOf(ended, CancelledError)
        self.assert_fallback()

    def test_decides_when_it_is_cancelled(self) -> None:
        """The decision counts, because there was no answer yet."""

        async def quick(event: Event) -> Decision:
            try:
                await Deferred()
            except CancelledError:
                pass
            return Decision.refuse(480, "Not Now")

        self.make(quick)
        ended = self.ask()
        ended.cancel()
        self.successResultOf(ended)
        self.assertEqual([answer["code"] for _, answer in self.answers()], [480])

    def test_retries(self) -> None:
        """The fallback is for the last attempt; the time is for all of them."""
        results = [fail(ZeroDivisionError()), fail(ZeroDivisionError()), succeed(Decision.accept())]
        self.make(lambda event: results.pop(0), retries=2)
        ended = self.ask()
        self.tester.clock.pump([0.1, 0.2])
        self.successResultOf(ended)
        self.assertEqual(self.answers(), [("sip-decided", {"transaction": "17:4294967295", "action": "accept"})])

    def test_no_question(self) -> None:
        """There is nobody to answer, and nothing to decide."""
        called: list[Event] = []
        self.make(called.append)
        self.failureResultOf(self.ask({"transaction": "17:1"}), DecodeError)
        self.assertEqual((called, self.answers()), ([], []))

    def test_arguments(self) -> None:
        self.assertRaises(RouteError, answer_transactions, FALLBACK, timeout=0)
        error = self.assertRaises(RouteError, answer_transactions, {"action": "accept"})
        self.assertEqual(str(error), "fallback = {'action': 'accept'}; it must be a Decision")


class PublishingTests(SynchronousTestCase):
    """answer_transactions(), where publishing fails"""

    def ask(self, decision: Decision, *errors: Exception) -> tuple[Deferred[object], list[dict[str, Any]]]:
        """A call with that decision. The errors are those of the first messages that are published."""
        published: list[dict[str, Any]] = []
        failing = list(errors)

        def publish(subject: str, payload: Any, *more: object, **options: object) -> Deferred[None]:
            published.append(payload)
            return fail(failing.pop(0)) if failing else succeed(None)

        event = a_question()
        event.context = EventContext(publish, Clock(), RouteCounters("nats:sip-decide"))
        return call_deferred(answer_transactions(FALLBACK)(lambda event: decision), event), published

    def test_decision_is_too_large(self) -> None:
        """Nothing was sent, so the fallback is the only answer."""
        call, published = self.ask(Decision.accept(note="x"), PayloadTooLargeError(11, 10))
        self.failureResultOf(call, PayloadTooLargeError)
        self.assertEqual([answer["action"] for answer in published], ["accept", "refuse"])

    def test_cancelled_before_it_is_confirmed(self) -> None:
        """The answer is not withdrawn."""
        withdrawn: list[object] = []
        unconfirmed: Deferred[None] = Deferred(withdrawn.append)
        event = a_question()
        event.context = EventContext(lambda *message, **options: unconfirmed, Clock(), RouteCounters("nats:sip-decide"))
        ended = call_deferred(answer_transactions(FALLBACK)(lambda event: Decision.accept()), event)
        ended.cancel()
        self.assertNoResult(ended)
        self.assertEqual(withdrawn, [])
        unconfirmed.callback(None)
        self.successResultOf(ended)

    def test_no_confirmation(self) -> None:
        """It is not known whether it was sent. A second answer could contradict it."""
        call, published = self.ask(Decision.accept(), PublishExpiredError(3600.0))
        self.failureResultOf(call, PublishExpiredError)
        self.assertEqual([answer["action"] for answer in published], ["accept"])
