"""natsroute.kamailio.script.functions.calls"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError, ScriptError
from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.script.functions import FUNCTIONS
from natsroute.kamailio.script.functions.calls import (
    assignable,
    constant,
    filled,
    function,
    number,
    readable,
    table,
    text,
    value,
)
from tests.support.expressions import make_evaluation
from tests.support.functions import Bare, Quoted


def seen(evaluation: Evaluation, *arguments: object) -> int:
    """A function that keeps its arguments in a variable."""
    evaluation.consumer.var[b"seen"] = repr(arguments).encode()
    return len(arguments)


class FunctionTests(SynchronousTestCase):
    """``function()``."""

    def test_number_of_arguments(self) -> None:
        """As many as there are parameters, but for those that may be left out."""
        definition = function("f", seen, text, text, number, optional=2)
        self.assertEqual((definition.minimum, definition.maximum, definition.waits), (1, 3, False))
        self.assertTrue(function("f", seen, waits=True).waits)

    def test_arguments(self) -> None:
        """Any number of them, each as its parameter says."""
        written = (Quoted("$var(x)!"), Quoted("$var(x)"), Quoted(3), Bare("$null"), Quoted("$var(x)"))
        parameters = (text, filled, number, value, constant)
        values = (b"5!", b"5", 3, None, "$var(x)")
        for length in range(len(parameters) + 1):
            evaluation = make_evaluation(assignments={"$var(x)": 5})
            run = function("f", seen, *parameters[:length]).build(*written[:length])
            self.assertEqual(run(evaluation), length)
            self.assertEqual(evaluation.consumer.var[b"seen"], repr(values[:length]).encode())

    def test_variables(self) -> None:
        """The function gets the compiled variable. One that cannot be assigned to is found at the start."""
        evaluation = make_evaluation()
        for parameter in (readable, assignable):
            parameter(Quoted("$var(y)"))(evaluation).assign(evaluation, 4)
        self.assertEqual(evaluation.consumer.var, {b"y": 4})
        readable(Quoted("$rm"))
        with self.assertRaises(ScriptError) as caught:
            assignable(Quoted("$rm"))
        self.assertEqual((caught.exception.line, caught.exception.column), (7, 5))

    def test_no_value(self) -> None:
        """An argument that has no value, or is empty where that is not allowed, is an error."""
        run = function("f", seen, filled).build(Quoted("$var(x)"))
        self.assertEqual(run(make_evaluation(assignments={"$var(x)": b"x"})), 1)
        self.assertRaises(EvaluationError, run, make_evaluation(assignments={"$var(x)": b""}))
        run = function("f", seen, number).build(Quoted("$var(x)"))
        self.assertRaises(EvaluationError, run, make_evaluation(assignments={"$var(x)": b"x"}))

    def test_table(self) -> None:
        """By name."""
        one = function("one", seen)
        self.assertEqual(table(one, function("two", seen))["one"], one)

    def test_all(self) -> None:
        """Each function is found by its own name."""
        self.assertEqual({name: one.name for name, one in FUNCTIONS.items()}, {name: name for name in FUNCTIONS})
