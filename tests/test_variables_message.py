"""natsroute.kamailio.variables.message"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import ConsumerVariables, Evaluation, EventVariables
from natsroute.kamailio.expressions import compile_expression
from natsroute.routes.event import Event
from tests.support.expressions import evaluate, make_evaluation, make_event

HEADERS = {"One": "1", "Many": ["a", "b", "c"], "Umlaut": "é"}


class MessageTests(SynchronousTestCase):
    """What is in a message."""

    def test_payload(self) -> None:
        """All of it, NUL bytes too."""
        self.assertEqual(evaluate("$natsData", b"a\0\xffb"), b"a\0\xffb")
        self.assertEqual(evaluate("$natsData"), b"")

    def test_subject(self) -> None:
        """The subject of the message, not that of the subscription."""
        self.assertEqual(evaluate("$natsSubject", subject="calls.é"), "calls.é".encode())

    def test_reply(self) -> None:
        """The reply subject, or null."""
        self.assertEqual(evaluate("$natsReply", reply=b"_INBOX.1"), b"_INBOX.1")
        self.assertIsNone(evaluate("$natsReply"))

    def test_queue_group(self) -> None:
        """The queue group, or null."""
        self.assertEqual(evaluate("$natsQueueGroup", queue_group="2021"), b"2021")
        self.assertIsNone(evaluate("$natsQueueGroup", queue_group=None))

    def test_headers(self) -> None:
        """The first value, another one, or all."""
        for text, expected in (
            ("$natsHeader(One)", b"1"),
            ("$natsHeader(Many)", b"a"),
            ("$(natsHeader(Many)[1])", b"b"),
            ("$(natsHeader(Many)[-1])", b"c"),
            ("$(natsHeader(Many)[3])", None),
            ("$(natsHeader(Many)[*])", b"a, b, c"),
            ("$(natsHeader(One){s.len})", 1),
            ("$natsHeader(Umlaut)", "é".encode()),
            ("$natsHeader(one)", None),
            ("$(natsHeader(None)[*])", None),
            ("$natsHeader($var(name))", b"1"),
        ):
            self.assertEqual(evaluate(text, headers=HEADERS, assignments={"$var(name)": b"One"}), expected, text)

    def test_bad_headers(self) -> None:
        """A header block that is none has no values."""
        event = make_event()
        event.header_block = b"nonsense"
        evaluation = Evaluation(event, EventVariables(ConsumerVariables()))
        self.assertRaises(EvaluationError, compile_expression("$natsHeader(One)").evaluate, evaluation)

    def test_connection_event(self) -> None:
        """It has neither payload nor subject."""
        evaluation = Evaluation(Event.of_connection(make_event().context), EventVariables(ConsumerVariables()))
        names = ("$natsData", "$natsSubject", "$natsReply", "$natsHeader(One)")
        self.assertEqual([compile_expression(name).evaluate(evaluation) for name in names], [None] * 4)

    def test_cannot_be_assigned(self) -> None:
        """A message is as it came."""
        for name in ("$natsData", "$natsSubject", "$natsReply", "$natsQueueGroup", "$natsHeader(One)"):
            self.assertRaises(EvaluationError, compile_expression(name).assign, make_evaluation(), b"x")
