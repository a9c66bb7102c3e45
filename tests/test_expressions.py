"""natsroute.kamailio.expressions"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError, ExpressionError, MisuseError
from natsroute.kamailio.evaluation import ServiceVariables
from natsroute.kamailio.expressions import (
    compile_expression,
    compile_format,
    compile_substitution,
)
from tests.support.expressions import evaluate, make_evaluation
from tests.support.judge.table import VALID_EXPRESSIONS

DIALOG = b'{"Event-Package":"Dialog","From":"sip:al@ex.org"}'


class ExpressionTests(SynchronousTestCase):
    """Variables with all that can be around their names."""

    def test_forms(self) -> None:
        """With and without parentheses, names, indexes and transformations."""
        assignments = {"$var(x)": b"vAlue", "$avp(a)": 1}
        for text, expected in (
            ("$natsData", DIALOG),
            ("$(natsData)", DIALOG),
            ("$var(x)", b"vAlue"),
            ("$(var(x))", b"vAlue"),
            ("$(avp(a)[0])", 1),
            ("$(var(x){s.tolower})", b"value"),
            ("$(var(x){s.tolower}{s.len})", 5),
            ("$(var(x){s.tolower} \t{s.len} )", 5),
            ("$(var(x){s. TOLOWER })", b"value"),
            ("$(avp(a)[0]{s.len})", 1),
            ("$$", b"$"),
            ("$($)", b"$"),
            ("$(natsData{json.parse,Event-Package}{s.tolower})", b"dialog"),
        ):
            self.assertEqual(evaluate(text, DIALOG, assignments=assignments), expected, text)

    def test_nested(self) -> None:
        """A parameter can be an expression, with transformations of its own."""
        assignments = {"$var(key)": b"FROM", "$var(n)": 1}
        text = "$(natsData{json.parse,$(var(key){s.tolower}{s.replace,f,F})}{s.substr,$var(n),$(var(key){s.len})})"
        self.assertEqual(evaluate(text, DIALOG, assignments=assignments), b"ip:a")

    def test_nested_too_deeply(self) -> None:
        """It is refused, however deep it is."""
        deep = "$(natsData{s.substr," * 1000 + "1" + "})" * 1000
        for compile_it, text in (
            (compile_expression, deep),
            (compile_format, f"a {deep}"),
            (compile_substitution, f"/a/{deep}/"),
        ):
            error = self.assertRaises(ExpressionError, compile_it, text)
            self.assertEqual(error.problem, "variables are nested too deeply")
            self.assertEqual(error.column, 1)

    def test_all_of_the_table_compile(self) -> None:
        """What is compared with Kamailio is compiled, not refused."""
        for text in VALID_EXPRESSIONS:
            compile_expression(text)

    def test_not_utf8(self) -> None:
        """An expression can hold any byte."""
        found = evaluate("$(natsData{s.replace,\udcff,é})", b"a\xffb")
        self.assertEqual(found, "aéb".encode())

    def test_null_and_failure(self) -> None:
        """Both are None; a failure is reported to the service."""
        failures: list[tuple[str, str]] = []
        service = ServiceVariables(on_failure=lambda text, error: failures.append((text, str(error))))
        for text in ("$null", "$vn(x)", "$(vn(x){s.len})", "$(natsData{s.int})"):
            self.assertIsNone(evaluate(text, b"text", service=service))
        self.assertEqual(
            failures,
            [("$(vn(x){s.len})", "a transformation of null"), ("$(natsData{s.int})", "not an integer")],
        )

    def test_evaluate(self) -> None:
        """Callers who want to know the reason get it as an exception."""
        expression = compile_expression("$(natsData{s.int})")
        self.assertRaises(EvaluationError, expression.evaluate, make_evaluation(b"x"))

    def test_assign(self) -> None:
        """To what can be assigned to."""
        evaluation = make_evaluation()
        expression = compile_expression("$var(x)")
        expression.assign(evaluation, b"5")
        self.assertEqual((expression.can_be_assigned, expression.value(evaluation)), (True, b"5"))
        for text in ("$natsData", "$ru", "$(var(x){s.len})", "$null", "$$"):
            expression = compile_expression(text)
            self.assertFalse(expression.can_be_assigned, text)
            error = self.assertRaises(EvaluationError, expression.assign, evaluation, 1)
            self.assertEqual(str(error), f"{text} cannot be assigned to")

    def test_remembered(self) -> None:
        """The same text is compiled once."""
        self.assertIs(compile_expression("$var(once)"), compile_expression("$var(once)"))
        self.assertIs(compile_format("a $var(once)"), compile_format("a $var(once)"))


class RefusalTests(SynchronousTestCase):
    """Expressions that are none, and where their error is."""

    def check(self, text: str, column: int, problem: str) -> None:
        error = self.assertRaises(ExpressionError, compile_expression, text)
        self.assertEqual((error.column, error.problem), (column, problem), text)
        self.assertIsInstance(error, MisuseError)
        self.assertEqual(str(error), f"{text!r}, column {column}: {problem}")

    def test_not_a_variable(self) -> None:
        """No ``$``, nothing behind it, or more than one variable."""
        for text, column in (("", 1), ("x", 1), ("$", 1)):
            self.check(text, column, "a variable begins with '$' and a name")
        self.check("$(", 2, "'(' is never closed by ')'")
        self.check("$-", 2, "the name of a variable expected")
        self.check("$null x", 6, "one variable expected, and nothing behind it")
        self.check("$natsData{s.len}", 10, "one variable expected, and nothing behind it")

    def test_names(self) -> None:
        """Unknown ones, and names in parentheses where there are none, or none where there must be."""
        self.check("$natsdata", 2, "unknown variable $natsdata (did you mean $natsData?)")
        self.check("$(nope{s.len})", 3, "unknown variable $nope")
        self.check("$natsData(x)", 10, "$natsData has no name in parentheses")
        self.check("$var", 5, "$var needs a name in parentheses")
        self.check("$var()", 6, "$var needs a name in parentheses")
        self.check("$(natsData[0])", 11, "$natsData has no index")
        self.check("$( natsData)", 3, "the name of a variable expected")
        self.check("$(natsData )", 11, "')' expected after $natsData, not ' '")

    def test_transformations(self) -> None:
        """Unknown ones, wrong parameters, braces that are not closed."""
        self.check("$(natsData{nope.len})", 12, "unknown class of transformations 'nope'")
        self.check("$(natsData{s})", 13, "'.' expected after the class of a transformation, not '}'")
        self.check("$(natsData{s.nope})", 14, "unknown transformation s.nope")
        self.check("$(natsData{json.pars,a})", 17, "unknown transformation json.pars (did you mean json.parse?)")
        self.check("$(natsData{s.len)", 11, "'{' is never closed by '}'")
        self.check("$(natsData{s.len,1})", 17, "'}' expected after {s.len, not ','")
        self.check("$(natsData{s.substr,1})", 22, "',' expected after a parameter, not '}'")
        self.check("$(natsData{s.strip})", 19, "',' expected after the name of a transformation, not '}'")
        self.check("$(natsData{s.len}x)", 18, "')' expected after $natsData{s.len}, not 'x'")

    def test_columns_of_characters(self) -> None:
        """A character counts once, however many bytes it has."""
        self.check("$(natsData{s.replace,é€,x}{s.nope})", 30, "unknown transformation s.nope")

    def test_inside(self) -> None:
        """An error in a parameter or in a name is found where it is."""
        self.check("$(natsData{json.parse,$nope})", 24, "unknown variable $nope")
        self.check("$(natsData{json.parse,a.$nope})", 26, "unknown variable $nope")
        self.check("$_s(a $(var(x){s.nope}))", 18, "unknown transformation s.nope")
        self.check("$avp($nope)", 7, "unknown variable $nope")
        self.check("$(avp(a)[$nope])", 11, "unknown variable $nope")


class FormatTests(SynchronousTestCase):
    """Texts with variables in them."""

    def check(self, text: str, expected: bytes) -> None:
        evaluation = make_evaluation(DIALOG, assignments={"$var(x)": b"v", "$var(n)": -3})
        self.assertEqual(compile_format(text).evaluate(evaluation), expected)

    def test_formats(self) -> None:
        """Variables are replaced, the rest stays."""
        self.check("", b"")
        self.check("no variable, é", "no variable, é".encode())
        self.check("received update for $(natsData{json.parse,From})", b"received update for sip:al@ex.org")
        self.check("$var(x)$var(n)", b"v-3")
        self.check("$var(x), $var(x)(y) $rm!", b"v, v(y) OPTIONS!")
        self.check("100$$ {s.len}", b"100$ {s.len}")
        self.check("$natsData{s.len}", DIALOG + b"{s.len}")

    def test_null_and_failure(self) -> None:
        """Null is shown as text. What has no value is left out, and reported."""
        self.check("[$null] [$vn(x)] [$(var(x){s.int})]", b"[<null>] [<null>] []")
        failures: list[str] = []
        service = ServiceVariables(on_failure=lambda text, error: failures.append(text))
        text = "a $(natsData{s.int})"
        compile_format(text).evaluate(make_evaluation(b"x", service=service))
        self.assertEqual(failures, [text])

    def test_refused(self) -> None:
        """Each dollar sign must begin a variable."""
        for text, column, problem in (
            ("costs 5$", 8, "a variable begins with '$' and a name"),
            ("a $nope", 4, "unknown variable $nope"),
            ("the method is $rm.", 16, "unknown variable $rm. (did you mean $rm?)"),  # a dot may be a part of a name
            ("a $(var(x)", 4, "'(' is never closed by ')'"),
            ("é $(var(x){s.nope})", 14, "unknown transformation s.nope"),
        ):
            error = self.assertRaises(ExpressionError, compile_format, text)
            self.assertEqual((error.text, error.column, error.problem), (text, column, problem))
