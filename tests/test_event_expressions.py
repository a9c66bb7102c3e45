"""natsroute.kamailio.event_expressions"""

from __future__ import annotations

import gc
import sys
import threading

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import DecodeError, EvaluationError, ExpressionError
from natsroute.kamailio.evaluation import ConsumerVariables, Evaluation, EventVariables, ServiceVariables
from natsroute.kamailio.event_expressions import EventExpressions
from natsroute.kamailio.expressions import compile_expression
from natsroute.ledger import RouteCounters
from natsroute.routes.event import Event, EventContext, Expressions
from natsroute.wire.frames import Address

DIALOG = b'{"Event-Package":"dialog","From":"sip:al@ex.org","To":"\xff"}'
THREADS = 8


def event_of(expressions: Expressions | None, payload: bytes = DIALOG, subject: str = "a.b") -> Event:
    """A message for a route of a consumer."""
    context = EventContext(
        lambda *message, **how: Deferred(), Clock(), RouteCounters("nats:a.b"), "q", expressions=expressions
    )
    return Event.of_message(context, Address(subject, 1), payload)


class ValueTests(SynchronousTestCase):
    """What ``event.pv()`` and ``event.format()`` give."""

    def setUp(self) -> None:
        self.failures: list[tuple[str, str]] = []

        def failed(expression: str, error: EvaluationError) -> None:
            self.failures.append((expression, str(error)))

        self.consumer = ConsumerVariables(ServiceVariables(on_failure=failed))
        self.event = event_of(EventExpressions(self.consumer))

    def test_types(self) -> None:
        """Integers, text and None; of a value that is both, Kamailio's type decides, as in KEMI."""
        self.consumer.var[b"digits"] = b"007"
        for expression, expected in (
            ("$(natsData{json.parse,From}{uri.user})", "al"),
            ("$(natsData{json.parse,nope})", ""),
            ("$(natsSubject{s.len})", 3),
            ("$(var(digits){s.int})", 7),
            ("$var(nobody_set_it)", 0),
            ("$rm", "OPTIONS"),
            ("$null", None),
            ("$natsReply", None),
        ):
            value = self.event.pv(expression)
            self.assertEqual(value, expected, expression)
            self.assertIs(type(value), type(expected), expression)
        self.assertEqual(self.failures, [])

    def test_format(self) -> None:
        """Null is shown, what has no value is left out and reported."""
        text = "for $(natsData{json.parse,From}) $$ $(natsReply) [$(natsReply{s.len})] é"
        self.assertEqual(self.event.format(text), "for sip:al@ex.org $ <null> [] é")
        self.assertEqual(self.failures, [(text, "a transformation of null")])

    def test_no_value(self) -> None:
        """The reason is reported."""
        self.assertIsNone(self.event.pv("$(natsReply{s.len})"))
        self.assertEqual(self.failures, [("$(natsReply{s.len})", "a transformation of null")])

    def test_not_utf8(self) -> None:
        """It is refused, and the error does not show the bytes."""
        for call, text in (
            (self.event.pv, "$(natsData{json.parse,To})"),
            (self.event.format, "to $(natsData{json.parse,To})"),
        ):
            error = self.assertRaises(DecodeError, call, text)
            self.assertIn(f"the value of {text!r} is not UTF-8: byte", str(error))
            self.assertIsNone(error.__cause__)
        self.assertEqual(self.event.pv("$(natsData{json.parse,To}{s.encode.hexa})"), "ff")

    def test_refused(self) -> None:
        """Each time, with the column."""
        for _ in range(2):
            self.assertEqual(self.assertRaises(ExpressionError, self.event.pv, "$nope").column, 2)
            self.assertEqual(self.assertRaises(ExpressionError, self.event.format, "a $nope").column, 4)


class VariablesTests(SynchronousTestCase):
    """Which events share what."""

    def setUp(self) -> None:
        self.made: list[EventVariables] = []
        made = self.made

        class Watched(EventExpressions):
            def new_variables(self) -> EventVariables:
                made.append(super().new_variables())
                return made[-1]

        self.service = ServiceVariables()
        self.consumer = ConsumerVariables(self.service)
        self.expressions = Watched(self.consumer)

    def test_made_at_first_use(self) -> None:
        """An event that evaluates nothing has none; the others have theirs as long as they live."""
        event = event_of(self.expressions)
        self.assertEqual(self.made, [])
        self.assertEqual([event.pv("$mi"), event.format("$mi"), event.pv("$mi")], [1, "1", 1])
        compile_expression("$avp(a)").assign(Evaluation(event, self.made[0]), 5)
        self.assertEqual(event.pv("$avp(a)"), 5)
        self.assertEqual(len(self.made), 1)
        other = event_of(self.expressions)
        self.assertEqual([other.pv("$mi"), other.pv("$avp(a)")], [2, None])

    def test_reset(self) -> None:
        """A script begins with new ones."""
        event = event_of(self.expressions)
        event.set_pv("$avp(a)", 5)
        self.assertIs(event.reset_variables(), self.made[1])
        self.assertIs(event.variables, self.made[1])
        self.assertIs(event.pv("$avp(a)"), None)

    def test_assigned(self) -> None:
        """By a program; a script sees the same variables."""
        event = event_of(self.expressions)
        for value, expected in ((5, 5), ("é", "é"), (b"x", "x"), (None, 0)):
            event.set_pv("$var(x)", value)
            self.assertEqual(event.pv("$var(x)"), expected)
        event.set_pv("$var(x)", "\udcff")
        self.assertEqual(self.consumer.var, {b"x": b"\xff"})
        event.set_pv("$avp(a)", 1)
        self.assertEqual(event.pv("$avp(a)"), 1)
        self.assertRaises(EvaluationError, event.set_pv, "$rm", "INVITE")
        self.assertRaises(ExpressionError, event.set_pv, "$nothing", 1)

    def test_consumers(self) -> None:
        """``$var`` is of a consumer, ``$shv`` of all."""
        one, other = (event_of(EventExpressions(ConsumerVariables(self.service))) for _ in range(2))
        mine = EventVariables(ConsumerVariables(self.service))
        self.consumer.var[b"x"] = 1
        self.service.shared[b"x"] = 2
        self.assertEqual(event_of(self.expressions).format("$var(x) $shv(x)"), "1 2")
        for event in (one, other):
            self.assertEqual(event.format("$var(x) $shv(x) $mi"), "0 2 1")
        self.assertEqual(mine.number, 1)

    def test_no_cycle(self) -> None:
        """An event goes when nobody has it, and with it the payload. A cycle would wait for the garbage collector."""
        payload = b"payload of a test" + bytes(1000)
        gc.disable()
        self.addCleanup(gc.enable)
        event = event_of(self.expressions, payload)
        event.pv("$(natsData{s.len})")
        self.made.clear()
        before = sys.getrefcount(payload)
        del event
        self.assertEqual(sys.getrefcount(payload), before - 1)

    def test_threads(self) -> None:
        """Threads that have the same event at the same time have the same variables."""
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        self.addCleanup(sys.setswitchinterval, interval)
        for _ in range(50):
            event = event_of(self.expressions)
            start = threading.Barrier(THREADS)
            numbers: list[object] = []

            def evaluate(event: Event, start: threading.Barrier, numbers: list[object]) -> None:
                start.wait()
                numbers.append(event.pv("$mi"))

            threads = [threading.Thread(target=evaluate, args=(event, start, numbers)) for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(numbers, [len(self.made)] * THREADS)
