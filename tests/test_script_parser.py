"""natsroute.kamailio.script.parser, with its nodes."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import pairwise
from random import Random
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ScriptError
from natsroute.kamailio.cfg.source import Position
from natsroute.kamailio.script import parser, syntax
from natsroute.kamailio.script.nodes import MAX_DEPTH
from natsroute.kamailio.script.parser import parse
from natsroute.testing import RouteTester
from tests.support.judge.random_scripts import RandomScripts
from tests.support.scripts import PATH, SUBJECT, ScriptTestCase, source

_POSITION = Position(PATH, 1, 1)


def parsed(text: str) -> syntax.Block:
    """The statements of a text."""
    return parse(source(text), _POSITION)


def written(node: object) -> str:
    """An expression with all its parentheses."""
    if isinstance(node, syntax.Constant):
        return repr(node.value) if isinstance(node.value, int) else node.value.decode()
    if isinstance(node, syntax.Variable):
        return node.text
    if isinstance(node, syntax.Unary):
        return f"({node.operator} {written(node.operand)})"
    assert isinstance(node, syntax.Binary), node
    return f"({written(node.left)} {node.operator} {written(node.right)})"


def expression(text: str) -> str:
    """An expression, with all parentheses that it could have."""
    (statement,) = parsed(f"$x = {text};").statements
    assert isinstance(statement, syntax.Assign)
    return written(statement.value)


class ExpressionTests(SynchronousTestCase):
    """The precedence is that of Kamailio's grammar."""

    def test_precedence(self) -> None:
        """Each operator binds tighter than those before it in this list."""
        levels = ["||", "&&", "|", "&", "^", "<<", ">>", "==", "<", "+", "*"]
        names = {"||": "or", "&&": "and"}
        for weaker, stronger in pairwise(levels):
            weak, strong = names.get(weaker, weaker), names.get(stronger, stronger)
            self.assertEqual(expression(f"1 {weaker} 2 {stronger} 3"), f"(1 {weak} (2 {strong} 3))")
            self.assertEqual(expression(f"1 {stronger} 2 {weaker} 3"), f"((1 {strong} 2) {weak} 3)")

    def test_from_the_left(self) -> None:
        for operator in ("==", "!=", "=~", "<", "<=", "+", "-", "*", "/", "mod", "|", "&", "^", "<<", ">>"):
            self.assertEqual(expression(f"1 {operator} 2 {operator} 3"), f"((1 {operator} 2) {operator} 3)")

    def test_same_level(self) -> None:
        self.assertEqual(expression("1 == 2 =~ 3 ne 4 ieq 5"), "((((1 == 2) =~ 3) ne 4) ieq 5)")
        self.assertEqual(expression("1 - 2 + 3"), "((1 - 2) + 3)")
        self.assertEqual(expression("1 / 2 mod 3 * 4"), "(((1 / 2) mod 3) * 4)")

    def test_prefixes(self) -> None:
        """They bind tighter than all operators between two operands."""
        self.assertEqual(expression("!$a == -$b * ~1"), "((! $a) == ((- $b) * (~ 1)))")
        self.assertEqual(expression('(int)"1" + (str)2'), "((int 1) + (str 2))")
        self.assertEqual(expression("not defined $a and $b"), "((! (defined $a)) and $b)")
        self.assertEqual(expression("- - 1"), "(- (- 1))")

    def test_words(self) -> None:
        self.assertEqual(expression("1 and 2 or not 3"), "((1 and 2) or (! 3))")
        self.assertEqual(expression("strlen($a) + strempty($b)"), "((strlen $a) + (strempty $b))")

    def test_parentheses(self) -> None:
        self.assertEqual(expression("(1 + 2) * ((3))"), "((1 + 2) * 3)")

    def test_selval(self) -> None:
        (statement,) = parsed("$x = selval($a > 1, 2, 3);").statements
        assert isinstance(statement, syntax.Assign)
        assert isinstance(statement.value, syntax.Choice)
        self.assertEqual(written(statement.value.condition), "($a > 1)")


class StatementTests(SynchronousTestCase):
    """Statements, and where they may stand."""

    def only(self, text: str) -> syntax.Statement:
        """The only statement of a text."""
        (statement,) = parsed(text).statements
        return statement

    def test_empty(self) -> None:
        for text in ("", "  \n", ";;"):
            self.assertEqual(parsed(text).statements, ())

    def test_if(self) -> None:
        """A condition needs no parentheses; an ``else`` belongs to the last ``if``."""
        found = self.only("if $a if ($b) f(); else g();")
        assert isinstance(found, syntax.If)
        (inner,) = found.branches[0][1].statements
        assert isinstance(inner, syntax.If)
        self.assertEqual((found.otherwise, inner.otherwise is None), (None, False))

    def test_else_if(self) -> None:
        """All branches are side by side."""
        found = self.only("if (1) f(); " + "else if (2) g(); " * 500 + "else { h(); i(); }")
        assert isinstance(found, syntax.If)
        assert found.otherwise is not None
        self.assertEqual((len(found.branches), len(found.otherwise.statements)), (501, 2))

    def test_switch(self) -> None:
        found = self.only('switch ($a) { case 1: f(); break; default: case /"re": g(); }')
        assert isinstance(found, syntax.Switch)
        self.assertEqual([(case.label is None, case.regex) for case in found.cases], [(0, 0), (1, 0), (0, 1)])
        self.assertEqual([len(case.body.statements) for case in found.cases], [2, 0, 1])

    def test_leave(self) -> None:
        """With a value, with empty parentheses, or with nothing."""
        for text, value in [("return;", None), ("return();", None), ("return -1;", "(- 1)"), ("return(2);", "2")]:
            found = self.only(text)
            assert isinstance(found, syntax.Leave)
            self.assertEqual(found.value and written(found.value), value, text)
        kinds = [statement.kind for statement in parsed("exit; drop(); exit(1); break;").statements]  # type: ignore[union-attr]
        self.assertEqual(kinds, ["exit", "drop", "exit", "break"])

    def test_route(self) -> None:
        """The name is a word, a string, a number or an expression."""
        found = parsed('route(A); route("b c"); route(1); route($var(x));').statements
        targets = [written(statement.call.target) for statement in found]  # type: ignore[union-attr]
        self.assertEqual(targets, ["A", "b c", "1", "$var(x)"])

    def test_statements_in_expressions(self) -> None:
        found = self.only("if (($a = 1) && { f(); g(); }) h();")
        assert isinstance(found, syntax.If)
        condition = found.branches[0][0]
        assert isinstance(condition, syntax.Binary)
        self.assertIsInstance(condition.left, syntax.Embedded)
        self.assertIsInstance(condition.right, syntax.Embedded)

    def test_walk(self) -> None:
        """It finds all calls, wherever they are."""
        text = """
            a(b()); if (c()) d(); else if (e()) f(); else g(); while (h()) i(); $x = -j() + (int)k();
            switch (l()) { case 1: m(); default: n(); } return(o()); $y = selval(p(), q(), r()); if ({ s(); }) t();
        """
        calls = [node.name for node in syntax.walk(parsed(text)) if isinstance(node, syntax.Call)]
        self.assertEqual("".join(sorted(calls)), "abcdefghijklmnopqrst")


class ErrorTests(SynchronousTestCase):
    """Errors say where they are, and what to do."""

    def error(self, text: str) -> ScriptError:
        """The error of a text."""
        return self.assertRaises(ScriptError, parsed, text)

    def test_errors(self) -> None:
        for text, line, column, remedy in [
            ("f()\ng();", 2, 1, "Write ';' before it"),
            ("f();\ng()", 2, 3, "Write ';' at its end"),
            ("if (1) { exit }", 1, 15, "Write ';' before it"),
            ("$a == 1;", 1, 4, "Write '=' to assign"),
            ("if (1) f(); elseif (2) { f(); }", 1, 24, "Write else if"),
            ("foreach ($a) { f(); }", 1, 14, "foreach() has no block"),
            ("$a = $natsData{s.len};", 1, 15, "$(name{transformation})"),
            ("f(1;", 1, 4, "')'"),
            ("if (1) {", 1, 8, "'}'"),
            ("switch ($a) { f(); }", 1, 15, "'case'"),
            ("$a += 1;", 1, 4, "no '+='"),
            ('if ($a !~ "b") f();', 1, 8, "no '!~'"),
            ("$a := 1;", 1, 4, "no ':='"),
            ('if (method == "INVITE") f();', 1, 12, "Write $rm instead"),
            ('if (other == "INVITE") f();', 1, 11, "parentheses"),
            ("force_rport;", 1, 12, "parentheses"),
            ('$a = "b" . "c";', 1, 10, "'+'"),
            ("else f();", 1, 1, ""),
            ("{ f(); }", 1, 1, ""),
            ("5;", 1, 1, ""),
        ]:
            error = self.error(text)
            self.assertEqual((error.line, error.column), (line, column), str(error))
            self.assertIn(remedy, error.remedy, text)

    def test_too_deep(self) -> None:
        """What is nested too deeply is an error, whatever it is, and none that Python raises."""
        for before, inside, after in [
            ("if ($a) {", "f();", "}"),
            ("while ($a) {", "f();", "}"),
            ("switch ($a) { case 1:", "f();", "}"),
            ("if ((", "1", ") == 2) f();"),
            ("$x = ", "1", ";"),
        ]:
            many = 3 * MAX_DEPTH
            if before == "$x = ":
                text = before + "-" * many + inside + after
            elif before == "if ((":
                text = "if " + "(1 == " * many + inside + ")" * many + " f();"
            else:
                text = before * many + inside + after * many
            self.assertIn("levels deep", self.error(text).problem)
        fits = "if ($a) {" * (MAX_DEPTH - 2) + "f();" + "}" * (MAX_DEPTH - 2)
        self.assertEqual(len(parsed(fits).statements), 1)

    def test_many_parentheses(self) -> None:
        self.assertEqual(expression("(" * 5000 + "1" + ")" * 5000), "1")

    def test_rows(self) -> None:
        """Operands in a row are not nested."""
        for operator in ("+", "&&", "or"):
            text = f"$x = {f' {operator} '.join(['$a'] * 1000)};"
            (statement,) = parsed(text).statements
            self.assertLess(statement.depth, 5)

    def test_without_lark(self) -> None:
        """Only a script that is not empty needs it; the error says how to install it."""
        parser._build_parser.cache_clear()
        self.addCleanup(parser._build_parser.cache_clear)
        with patch.dict(sys.modules, {"lark": None}):
            error = self.assertRaises(ScriptError, parse, source("f();"), Position(PATH, 7, 3))
            self.assertEqual(parse(source(" "), _POSITION).statements, ())
        self.assertEqual((error.file, error.line, error.column), (PATH, 7, 3))
        self.assertIn("pip install 'natsroute[kamailio]'", error.remedy)


#: What random texts are made of, besides the parts of scripts.
_PARTS = [
    "if",
    "else",
    "while",
    "switch",
    "case",
    "default",
    "route",
    "return",
    "exit",
    "drop",
    "break",
    "$nosuch",
    "$(",
    "08",
    "f",
    "xlog",
    "(",
    ")",
    "{",
    "}",
    ";",
    ",",
    ":",
    "=",
    "==",
    "=~",
    "!",
    ".",
    "@",
    "%",
    "(int)",
    "#",
    "//",
    "/*",
    "*/",
    "\\",
    '"',
    "'",
    "é",
    "�",
    "\x00",
]


class AnyTextTests(ScriptTestCase):
    """Any text is a script, or an error with a position; no other exception is raised."""

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(st.text(max_size=40))
    def test_text(self, text: str) -> None:
        self.check(text)

    def test_mistakes(self) -> None:
        """Random scripts in which words are missing, swapped or replaced."""
        random, scripts = Random(1), RandomScripts(1)
        kinds = Counter[bool]()
        for number in range(160):
            words = scripts.script().body.replace("@", "").replace('"1" "2"', '"12"').split()
            for _ in range(number % 4):
                at, other = random.randrange(len(words)), random.randrange(len(words))
                words[at] = random.choice([words[other], random.choice(_PARTS), "", words[at] + ";"])
            kinds[self.check(" ".join(words))] += 1
        self.assertGreater(min(kinds.values()), 35, kinds)

    def check(self, text: str) -> bool:
        """Compile a text; if it is a script, run it. Returns whether it is one."""
        try:
            script = self.compile(text, {"R": "return 3;", "N": "return -2;", "P": "exit;"})
        except ScriptError as error:
            self.assertEqual(error.file, PATH)
            self.assertGreaterEqual((error.line, error.column), (1, 1))
            self.assertTrue(error.problem)
            self.assertTrue(error.remedy)
            return False
        self.successResultOf(RouteTester(script.event_routes).deliver(SUBJECT, "x"))
        return True
