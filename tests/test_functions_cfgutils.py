"""natsroute.kamailio.script.functions.cfgutils"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError, ScriptError
from natsroute.kamailio.evaluation import MAX_RANDOM, ConsumerVariables, Evaluation, ServiceVariables
from tests.support.expressions import make_evaluation
from tests.support.functions import call, compile_call, start


class SleepTests(SynchronousTestCase):
    """``sleep`` and ``usleep``."""

    def test_waits(self) -> None:
        """Seconds and microseconds of the event's clock."""
        for name, written, seconds in (("sleep", 2, 2.0), ("sleep", "$var(two)", 2.0), ("usleep", "500000", 0.5)):
            evaluation = make_evaluation(assignments={"$var(two)": 2})
            waiting = start(evaluation, name, written)
            evaluation.event.clock.advance(seconds - 0.01)
            self.assertNoResult(waiting)
            evaluation.event.clock.advance(0.02)
            self.assertEqual(self.successResultOf(waiting), 1)

    def test_at_once(self) -> None:
        """0 does not wait; a time below 0 is an error."""
        self.assertEqual(call(make_evaluation(), "sleep", 0), 1)
        self.assertRaises(EvaluationError, compile_call("sleep", "-1"), make_evaluation())
        self.assertRaises(EvaluationError, compile_call("sleep", "$null"), make_evaluation())
        self.assertRaises(ScriptError, compile_call, "sleep", "long")

    def test_cancelled(self) -> None:
        """No timer is left."""
        evaluation = make_evaluation()
        waiting = start(evaluation, "sleep", 5)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(evaluation.event.clock.getDelayedCalls(), [])


class Case(SynchronousTestCase):
    """Two events of a service."""

    def setUp(self) -> None:
        self.numbers: list[int] = []
        self.service = ServiceVariables(random_number=lambda: self.numbers.pop(0))
        self.first, self.second = self.new_event(), self.new_event()

    def new_event(self) -> Evaluation:
        """Another event."""
        return make_evaluation(consumer=ConsumerVariables(self.service))

    def call(self, name: str, *written: Any) -> int:
        """A call in the first event."""
        return call(self.first, name, *written)


class LockTests(Case):
    """``lock``, ``trylock`` and ``unlock``."""

    def test_lock(self) -> None:
        """The second event waits."""
        self.assertEqual(self.call("lock", "a$rm"), 1)
        waiting = start(self.second, "lock", "aOPTIONS")
        self.assertEqual(call(self.second, "lock", "b"), 1)
        self.assertNoResult(waiting)
        self.assertEqual(call(self.second, "unlock", "aOPTIONS"), 1)
        self.assertNoResult(waiting)
        self.assertEqual(self.call("unlock", "aOPTIONS"), 1)
        self.assertEqual(self.successResultOf(waiting), 1)

    def test_trylock(self) -> None:
        """-1 if anybody has it, as in Kamailio the event itself too."""
        self.assertEqual(self.call("trylock", "a"), 1)
        self.assertEqual(self.call("trylock", "a"), -1)
        self.assertEqual(call(self.second, "trylock", "a"), -1)
        self.call("unlock", "a")
        self.assertEqual(call(self.second, "trylock", "a"), 1)


class HashTests(Case):
    """``core_hash``, with the numbers that Kamailio gives."""

    def test_numbers(self) -> None:
        for first, second, bits, expected in [
            ("abc", "", 8, 67), ("abc", "def", 8, 114), ("abc", "def", 0, 2), ("", "", 8, 1), ("abc", "", -3, 1),
            ("abc", "", 31, 7167811), ("abc", "def", 32, 1), ("abc", "def", 33, 2), ("abc", "def", 40, 114),
            ("abcdefghijklm", "", 20, 608357), ("ab", "c", 16, 28110), ("abc", "$null", 16, 55514),
        ]:  # fmt: skip
            self.assertEqual(self.call("core_hash", first, second, bits), expected, (first, second, bits))


class ChanceTests(Case):
    """``rand_event`` and its kin."""

    def test_probability(self) -> None:
        """10 % before a script sets another one."""
        self.assertEqual(self.call("rand_get_prob"), 10)
        self.assertEqual(self.call("rand_set_prob", "35"), 1)
        self.assertEqual(call(self.second, "rand_get_prob"), 35)
        self.assertEqual(self.call("rand_reset_prob"), 1)
        self.assertEqual(self.call("rand_get_prob"), 10)
        for written in ("101", "-1", "x", ""):
            self.assertRaises(ScriptError, compile_call, "rand_set_prob", written)

    def test_event(self) -> None:
        """The random number decides, unless the probability does."""
        self.numbers = [0, MAX_RANDOM // 10 - 1, MAX_RANDOM // 10 + 1, MAX_RANDOM]
        self.assertEqual([self.call("rand_event") for _ in range(4)], [1, 1, -1, -1])
        for percentage, expected in (("0", -1), ("100", 1)):
            self.call("rand_set_prob", percentage)
            self.assertEqual(self.call("rand_event"), expected)
