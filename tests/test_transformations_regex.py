"""natsroute.kamailio.transformations.regex"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError, ExpressionError
from natsroute.kamailio.evaluation import ServiceVariables
from natsroute.kamailio.expressions import compile_expression
from natsroute.kamailio.values import Value
from tests.support.expressions import make_evaluation

URI = b"sip:alice@example.com"


def subst(substitution: str, payload: bytes = URI, **how: object) -> Value:
    """A substitution in a payload."""
    evaluation = make_evaluation(payload, assignments={"$var(i)": 5, "$var(re)": b"/e/3/g"}, **how)
    return compile_expression(f"$(natsData{{re.subst,{substitution}}})").evaluate(evaluation)


class SubstTests(SynchronousTestCase):
    """``{re.subst,…}``; each of these was compared with Kamailio."""

    def test_substitutions(self) -> None:
        """Groups, flags, delimiters, escapes and variables."""
        for substitution, expected in (
            ("/alice/bob/", b"sip:bob@example.com"),
            ("/a/X/", b"sip:Xlice@example.com"),
            ("/a/X/g", b"sip:Xlice@exXmple.com"),
            ("/A/X/ig", b"sip:Xlice@exXmple.com"),
            ("/^sip:(.*)@(.*)$/\\2-\\1/", b"example.com-alice"),
            ("/nope/X/", URI),
            ("#a#b#", b"sip:blice@example.com"),
            (",a,b,", b"sip:blice@example.com"),
            ("/a/\\0\\0/g", b"sip:aalice@exaample.com"),
            ("/a/$var(i)/", b"sip:5lice@example.com"),
            ("/a/\\$\\n\\r\\t\\\\\\q/", b"sip:$\n\r\t\\qlice@example.com"),
            ("/a/\\u/", b"sip:sip:you@kamailio.orglice@example.com"),
            ("/a//", b"sip:lice@example.com"),
            ("/a/\\5/", b"sip:lice@example.com"),
            ("/al(i)?ce(x)?/[\\1][\\2]/", b"sip:[i][]@example.com"),
            ("/a/$null/", b"sip:lice@example.com"),
            ("/a/$(var(i){uri.user})/", b"sip:lice@example.com"),
            ("/l{1}/{x}/", b"sip:a{x}ice@example.com"),
            ("/a\\/b/c/", URI),
            ("$var(re)", b"sip:alic3@3xampl3.com"),
        ):
            self.assertEqual(subst(substitution), expected, substitution)

    def test_lines(self) -> None:
        """With the flag ``s`` a line feed is a character as any other."""
        for substitution, expected in (
            ("/^b/X/", b"a\nX\nc"),
            ("/a.b/X/", b"a\nb\nc"),
            ("/a.b/X/s", b"X\nc"),
            ("/^b/X/s", b"a\nb\nc"),
            ("/[^x]+/X/g", b"X\nX\nX"),
            ("/[^x]+/X/sg", b"X"),
        ):
            self.assertEqual(subst(substitution, b"a\nb\nc"), expected, substitution)

    def test_only_once_at_the_beginning(self) -> None:
        """``^`` matches at the beginning of the value, not of what is left."""
        self.assertEqual(subst("/^a/b/g", b"aaa"), b"baa")

    def test_empty_match(self) -> None:
        """It has no value."""
        for substitution in ("/x*/Y/", "/$/X/", "/^/X/g", "/()/X/"):
            self.assertRaises(EvaluationError, subst, substitution, b"abc")

    def test_refused(self) -> None:
        """What is no substitution is an error at once."""
        for substitution in ("", "a", "//", "/a/b", "/a/b/x", "/a/b/c/", "/(/x/", "\\a\\b\\", "/a/$nope/", "/[}]/x/"):
            self.assertRaises(ExpressionError, subst, substitution)

    def test_refused_in_variable(self) -> None:
        """When it comes from a variable, it has no value."""
        for text in (b"/(/x/", b"/a/b", b"", b"/a/$nope/"):
            evaluation = make_evaluation(URI, assignments={"$var(re)": text})
            expression = compile_expression("$(natsData{re.subst,$var(re)})")
            self.assertRaises(EvaluationError, expression.evaluate, evaluation)

    def test_variable_changes(self) -> None:
        """It is looked at for each event."""
        expression = compile_expression("$(natsData{re.subst,$var(re)})")
        found = [
            expression.evaluate(make_evaluation(URI, assignments={"$var(re)": text}))
            for text in (b"/a/1/", b"/i/2/", b"/a/1/")
        ]
        self.assertEqual(found, [b"sip:1lice@example.com", b"s2p:alice@example.com", b"sip:1lice@example.com"])

    def test_failing_part(self) -> None:
        """A part of the replacement that has no value is left out, and not reported."""
        service = ServiceVariables(on_failure=lambda text, error: self.fail("not a failure of the expression"))
        self.assertEqual(subst("/a/[$(natsData{s.int})]/", service=service), b"sip:[]lice@example.com")
