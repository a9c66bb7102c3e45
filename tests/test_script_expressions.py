"""natsroute.kamailio.script.expressions, with its operands."""

from __future__ import annotations

from natsroute.kamailio.values import Value
from tests.support.scripts import ScriptTestCase

#: Variables of each type.
_SET = '$var(n) = 5; $var(zero) = 0; $vn(s) = "5"; $vn(t) = "abc"; $vn(e) = "";'


class ExpressionTests(ScriptTestCase):
    """Values, as Kamailio gives them. tests.interop.test_scripts asks it."""

    def assert_values(self, *expected: tuple[str, Value]) -> None:
        """Check the values of expressions."""
        for expression, value in expected:
            self.assertEqual(self.value_of(expression, _SET), value, expression)

    def test_constants(self) -> None:
        self.assert_values(
            ("7 * 3 - 4 / 2 mod 5", 19), ('"5" + 5', b"55"), ('(int)"12abc" + 1', 1), ('"a" + 1 + 2', b"a12")
        )

    def test_variables(self) -> None:
        self.assert_values(("$vn(t)", b"abc"), ("$vn(none)", None), ("$var(none)", 0), ("$null", None))

    def test_plus(self) -> None:
        """The type of the left operand decides."""
        self.assert_values(
            ("$var(n) + $vn(s)", 10), ("$vn(s) + $var(n)", b"55"), ("$vn(none) + 5", b"5"), ('"" + $vn(none)', b""),
            ("$var(n) + $vn(none)", 5), ("$var(n) + 1 + $vn(s) + 2", 13), ("$vn(t) + $var(n) + 1", b"abc51"),
            ('"x" + $var(n) + $vn(t)', b"x5abc"), ("$var(n) - 3 + $vn(s)", 7),
        )  # fmt: skip

    def test_plus_where_an_integer_is_needed(self) -> None:
        """As in Kamailio, the sum is one of integers then."""
        self.assert_values(
            ("$vn(s) + $vn(s) - 0", 10), ("1 + ($vn(s) + 5)", 11), ("($vn(s) + 5) == 55", 1), ("5 == $vn(s) + 0", 1),
            ('"10" == $vn(s) + 5', 0), ("-($vn(s) + 5)", -10), ("$var(n) + ($vn(s) + 5) + $vn(s)", 20),
            ("$vn(t) + ($vn(s) + 5)", b"abc55"), ('(int)("5" + $vn(s))', 55), ("$vn(s) + 5 > 50", 0),
        )  # fmt: skip
        self.assertEqual(self.run_script('$vn(s) = "5"; switch ($vn(s) + 5) { case 10: show(1); }'), [1])
        self.assertEqual(
            self.run_script('$vn(s) = "5"; route(A); show($rc);', routes={"A": "return $vn(s) + 5;"}), [10]
        )

    def test_arithmetic(self) -> None:
        self.assert_values(
            ("$var(n) * $vn(s)", 25), ("-$vn(s)", -5), ("~$var(n)", -6), ("$vn(t) - 1", -1), ("$var(n) << 2", 20),
            ("$var(n) mod 3", 2), ("-$var(n) / 2", -2), ("$var(n) & 4 | 2 ^ 1", 7),
        )  # fmt: skip

    def test_equality(self) -> None:
        self.assert_values(
            ("$var(n) == $vn(s)", 1), ('$var(n) == "05"', 1), ('$vn(s) == "05"', 0), ("$vn(s) == 5", 1),
            ('"5" == 5', 1), ("$vn(none) == 0", 1), ('$vn(none) == "a"', 0), ("$vn(none) != 0", 0), ("$vn(t) != 0", 1),
            ("$vn(none) == $vn(e)", 1), ("$vn(e) == $vn(none)", 1), ("$var(n) eq $vn(s)", 1), ("$var(n) ne $vn(t)", 1),
            ("$vn(s) ieq 5", 1), ("$vn(t) ine 0", 0), ("1 + 1 == $vn(none)", 0),
        )  # fmt: skip

    def test_empty_string(self) -> None:
        """Equal to an empty string means that the text is empty, also of a number."""
        self.assert_values(
            ('$var(zero) == ""', 0), ('$vn(e) == ""', 1), ('$vn(none) == ""', 1), ('"" == $vn(none)', 1),
            ('$vn(t) == ""', 0), ('$var(zero) != ""', 0), ('$vn(t) != ""', 1),
        )  # fmt: skip

    def test_null(self) -> None:
        """Equal to $null means not defined."""
        self.assert_values(
            ("$vn(none) == $null", 1), ("$vn(e) == $null", 0), ("$vn(none) != $null", 0), ("$vn(e) != $null", 1),
            ("$var(none) == $null", 0), ("$(natsHeader(x)) == $null", 1), ("defined $vn(none)", 0),
            ("defined $vn(e)", 1), ("!defined $vn(none)", 1), ("defined $(var(n){s.substr,$vn(none),1})", 0),
            ("$(var(n){s.substr,$vn(none),1}) == $null", 1), ('defined "x"', 1), ("$null == $vn(none)", 1),
        )  # fmt: skip

    def test_comparison(self) -> None:
        """Of integers."""
        self.assert_values(
            ("$var(n) < 10", 1), ("$vn(s) <= 5", 1), ("$vn(s) > $var(n)", 0), ("$vn(t) >= 0", 1), ("10 > $vn(s)", 1)
        )

    def test_match(self) -> None:
        """Case is ignored."""
        self.assert_values(
            ('$vn(t) =~ "^A.C$"', 1), ('$vn(t) =~ "^b"', 0), ("$vn(t) =~ $vn(t)", 1), ('$var(n) =~ "5"', 1),
            ('$vn(none) =~ "^$"', 1),
        )  # fmt: skip

    def test_logic(self) -> None:
        self.assert_values(
            ("$var(n) && $vn(s)", 1), ("$var(n) && $vn(t)", 0), ("$var(zero) || $vn(s)", 1), ("$vn(t) or $vn(e)", 0),
            ("!$vn(t)", 1), ("not $var(n)", 0), ("$var(n) and $vn(s) and $var(zero)", 0),
            ("$var(zero) or $vn(t) or $vn(s)", 1), ("$var(n) and $var(n) and $var(n)", 1),
        )  # fmt: skip

    def test_short_circuit(self) -> None:
        """What cannot matter is not evaluated."""
        for expression, called in [
            ("$var(zero) && {A}", 0), ("$var(n) && {A}", 1), ("$var(n) || {A}", 0), ("$var(zero) || {A}", 1),
            ("$var(n) && $var(zero) && {A}", 0), ("$var(zero) || $var(n) || {A}", 0),
        ]:  # fmt: skip
            text = expression.format(A='show("called")')
            self.assertEqual(len(self.run_script(f"{_SET} $var(x) = {text};")), called, expression)

    def test_constants_that_decide(self) -> None:
        """As in Kamailio: with 1, ``&&`` gives the number of the other operand; with 0, it is not evaluated."""
        self.assert_values(
            ("$var(n) && 1", 5), ("1 && $vn(s)", 5), ("$var(n) || 0", 5), ("$var(n) && 2", 1), ("$var(n) || 1", 1),
            ("0 || $vn(s)", 5), ("1 && 5", 1), ("$var(n) && 1 && $vn(s)", 1), ("5 && 3 && $var(n)", 5),
            ("0 / $var(zero)", 0), ("0 mod $var(zero)", 0), ("$var(n) * 0", 0), ("$var(n) & 0", 0), ("0 & $vn(s)", 0),
        )  # fmt: skip
        self.assertEqual(self.run_script('$var(x) = show("called") && 0; $var(y) = 0 * show("called");'), [])

    def test_casts(self) -> None:
        self.assert_values(
            ("(int)$vn(s) + 1", 6), ("(str)$var(n) + 1", b"51"), ("(str)5 + 5", b"55"), ("(int)$vn(none)", 0),
            ("(str)$vn(none)", b""), ("(int)(str)$var(n)", 5), ('(int)"0x10"', 16), ("-(int)$vn(t)", 0),
        )  # fmt: skip

    def test_lengths(self) -> None:
        self.assert_values(
            ("strlen($vn(t))", 3), ("strlen($var(n))", 1), ("strlen($vn(none))", 0), ("strempty($vn(e))", 1),
            ('strempty("")', 1), ('strlen("é")', 2), ("strempty($var(zero))", 0), ("strlen($vn(t) + 1)", 4),
        )  # fmt: skip

    def test_selval(self) -> None:
        self.assert_values(
            ("selval($var(n) > 1, $vn(t), 2)", b"abc"), ("selval($var(zero), $vn(t), 2)", 2),
            ("selval($var(n), $vn(none), 2)", b""),
        )  # fmt: skip

    def test_strings_are_not_expanded(self) -> None:
        self.assert_values(('"$var(n)"', b"$var(n)"), ('$vn(s) == "$var(n)"', 0))

    def test_calls(self) -> None:
        """Inside of an expression, the result of a call is 1 or 0; assigned alone, it is what it is."""
        self.assert_values(
            ("give(5)", 5), ("give(-5)", -5), ("give(-5) + 0", -5), ("1 && give(5) * 1", 5), ("give(5) + 1", 2),
            ("give(-5) + 1", 1), ("!give(-5)", 1),
            ("($var(x) = 7) + $var(x)", 8), ("{ give(2); give(-3); }", -3), ("{ give(2); give(-3); } + 1", 1),
        )  # fmt: skip

    def test_division_by_zero(self) -> None:
        """The statement fails, and the script goes on."""
        for expression in ("1 / 0", "$var(n) / $var(zero)", "5 mod 0", "1 + 2 / $var(zero)"):
            self.assertEqual(self.value_of(expression, _SET), None, expression)

    def test_long_row(self) -> None:
        """Also when it runs, operands in a row are not nested."""
        self.assertEqual(self.value_of(" + ".join(["$var(n)"] * 3000), _SET), 15_000)
        self.assertEqual(self.value_of(" && ".join(["$var(n)"] * 3000), _SET), 1)
        self.assertEqual(self.value_of(" + ".join(["1"] * 3000)), 3000)


class TypeTests(ScriptTestCase):
    """What cannot fit is an error at the start."""

    def test_mismatch(self) -> None:
        for before, fault, after, problem in [
            ("5 + ", '"a"', "", "a string where an integer is needed"),
            ("1 + $var(x) + ", '"a"', "", "a string where an integer is needed"),
            ("", '"a"', " - 1", "a string where"),
            ("-", '"a"', "", "a string where"),
            ("5 == ", '"a"', "", "a string where"),
            ("", "5", ' =~ "a"', "an integer where a string is needed"),
            ("$var(x) && ", '"a"', "", "a string where"),
            ("strlen(", "5", ")", "an integer where"),
            ("defined ", "5", "", "an integer where"),
            ("(1 ", "+", " 1) eq 2", "an integer where"),
            ("$var(x) =~ ", "5", "", "an integer where"),
            ("!", '"a"', "", "a string where"),
        ]:
            start = f"$vn(a) = {before}"
            self.assert_error(f"{start}{fault}{after};", 1, len(start) + 1, problem, "(")

    def test_regular_expressions(self) -> None:
        self.assert_error('if ($natsData =~ "(") exit;', 1, 18, "bad regular expression")

    def test_unknown_variables(self) -> None:
        """The column is in the variable."""
        self.assert_error("\n if ($nosuch == 1) exit;", 2, 7, "unknown variable $nosuch")
        self.assert_error("$var(x) = $(natsData{s.nosuch});", 1, 24, "unknown transformation s.nosuch")
