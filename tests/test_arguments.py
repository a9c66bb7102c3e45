"""natsroute.kamailio.script.arguments"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.script.functions.definitions import Argument, FunctionDefinition, WaitingAction
from natsroute.kamailio.values import Value
from tests.support.scripts import ScriptTestCase


class ArgumentTests(ScriptTestCase):
    """Functions ask for the kind of argument that they need."""

    def add(self, name: str, compiled: Callable[[Argument], Callable[[Evaluation], Any]]) -> None:
        """Add a function that shows what a method of its argument gives."""

        def build(argument: Argument) -> WaitingAction:
            get = compiled(argument)

            def action(evaluation: Evaluation) -> int:
                self.shown.append(get(evaluation))
                return 1

            return action

        self.functions[name] = FunctionDefinition(name, build, 1, 1)

    def setUp(self) -> None:
        super().setUp()
        self.add("constant", lambda argument: _always(argument.constant()))
        self.add("text", lambda argument: argument.text())
        self.add("number", lambda argument: argument.number())
        self.add("value", lambda argument: argument.value())
        self.add("variable", lambda argument: argument.variable().evaluate)
        self.add("text_of_variable", lambda argument: _always(argument.variable().text))
        self.add("is_number", lambda argument: _found(argument, b"^[0-9]+$"))
        self.add("finds", lambda argument: _found(argument, b"a\nBc"))

    def shown_by(self, call: str) -> Value | str:
        """What a call shows."""
        (value,) = self.run_script(f'$var(n) = 5; $vn(s) = "$var(n)"; $vn(d) = "7"; {call};')
        return value

    def test_constant(self) -> None:
        """Strings are not expanded."""
        for call, value in [('constant("$var(n)")', "$var(n)"), ("constant(5)", 5), ("constant(1 + 1)", 2)]:
            self.assertEqual(self.shown_by(call), value)
        self.assert_error("constant($var(n));", 1, 10, "a constant is needed")

    def test_text(self) -> None:
        """Strings are expanded; the value of a variable is not, or messages could read variables."""
        for call, value in [
            ('text("n=$var(n)")', b"n=5"), ("text(5)", b"5"), ("text($var(n))", b"5"), ("text($vn(s))", b"$var(n)"),
            ("text($vn(none))", b""), ('text("$vn(none)")', b"<null>"), ('text("a" + $var(n))', b"a5"),
            ("text('\\n$$')", b"\\n$"),
        ]:  # fmt: skip
            self.assertEqual(self.shown_by(call), value, call)

    def test_unknown_variable_in_text(self) -> None:
        self.assert_error(' text("$nosuch");', 1, 7, "unknown variable $nosuch", "'$$'")

    def test_number(self) -> None:
        for call, value in [
            ("number(5)", 5),
            ('number("5")', 5), ('number("-5")', -5), ("number($var(n))", 5), ('number("$var(n)")', 5),
            ("number($vn(d))", 7), ("number($var(n) + 1)", 6), ("number(-1)", -1),
        ]:  # fmt: skip
            self.assertEqual(self.shown_by(call), value, call)
        self.assertEqual(self.run_script("number($vn(none)); show($rc); number($natsData); show($rc);", b"x"), [-1, -1])
        self.assert_error('number("x");', 1, 8, "'x' is not a number")

    def test_value(self) -> None:
        for call, value in [
            ("value(5)", 5), ('value("$var(n)")', b"5"), ("value($var(n))", 5), ("value($vn(none))", None),
            ("value($vn(s))", b"$var(n)"),
        ]:  # fmt: skip
            self.assertEqual(self.shown_by(call), value, call)

    def test_variable(self) -> None:
        for call, value in [
            ("variable($var(n))", 5), ('variable("$var(n)")', 5), ("variable($(vn(d){s.len}))", 1),
            ("text_of_variable($var(n))", "$var(n)"),
        ]:  # fmt: skip
            self.assertEqual(self.shown_by(call), value, call)
        self.assert_error("variable(5);", 1, 10, "a variable is needed")
        self.assert_error('variable("x");', 1, 10, "a variable begins with")

    def test_regex(self) -> None:
        """A constant is compiled at the start; case does not matter, and lines are searched one by one."""
        for call, value in [
            ('is_number("[")', None), ('finds("^b")', 1), ('finds("x")', 0), ("finds($vn(d))", 0), ('finds("a.b")', 0),
        ]:  # fmt: skip
            if value is None:
                self.assertIn("bad regular expression", self.error_of(f"{call};").problem)
            else:
                self.assertEqual(self.shown_by(call), value, call)
        self.assertEqual(self.run_script('$var(x) = "("; finds($var(x)); show($rc);'), [-1])


def _always(value: object) -> Callable[[Evaluation], object]:
    return lambda evaluation: value


def _found(argument: Argument, text: bytes) -> Callable[[Evaluation], int]:
    pattern = argument.regex()
    return lambda evaluation: 0 if pattern(evaluation).search(text) is None else 1
