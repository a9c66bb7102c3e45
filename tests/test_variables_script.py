"""natsroute.kamailio.variables.script"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError, ExpressionError
from natsroute.kamailio.evaluation import ConsumerVariables, Evaluation, EventVariables, ServiceVariables
from natsroute.kamailio.expressions import compile_expression
from natsroute.kamailio.tables import HashTable
from natsroute.kamailio.values import CodedText, NumberText, Value
from tests.support.expressions import make_evaluation, make_event


class Case(SynchronousTestCase):
    """What the tests below share."""

    def setUp(self) -> None:
        tables = {b"seen": HashTable(), b"counts": HashTable(initial=0), b"short": HashTable(expire=60, now=lambda: 0)}
        self.service = ServiceVariables(tables=tables)
        self.evaluation = make_evaluation(service=self.service)

    def get(self, text: str) -> Value:
        """The value of an expression."""
        return compile_expression(text).evaluate(self.evaluation)

    def set(self, text: str, value: Value) -> None:
        """Assign to a variable."""
        compile_expression(text).assign(self.evaluation, value)

    def next_event(self, *, same_consumer: bool = True) -> None:
        """Another event comes."""
        consumer = self.evaluation.consumer if same_consumer else ConsumerVariables(self.service)
        self.evaluation = Evaluation(make_event(), EventVariables(consumer))


class ScriptVariableTests(Case):
    """``$var``, ``$vn`` and ``$shv``."""

    def test_initial(self) -> None:
        """0 but for ``$vn``, which is null."""
        self.assertEqual([self.get(text) for text in ("$var(x)", "$vz(x)", "$vn(x)", "$shv(x)")], [0, 0, None, 0])

    def test_unset(self) -> None:
        """Unset is as before it was set."""
        for text in ("$var(x)", "$vn(x)", "$shv(x)"):
            before = self.get(text)
            self.set(text, b"value")
            self.assertEqual(self.get(text), b"value")
            self.set(text, None)
            self.assertEqual(self.get(text), before)
            self.set(text, None)

    def test_same_and_different(self) -> None:
        """``$vz`` is ``$var``, the others are apart."""
        self.set("$var(x)", 1)
        self.set("$vn(x)", 2)
        self.set("$shv(x)", 3)
        self.assertEqual([self.get(text) for text in ("$var(x)", "$vz(x)", "$vn(x)", "$shv(x)")], [1, 1, 2, 3])

    def test_lifetime(self) -> None:
        """``$var`` and ``$vn`` stay with the consumer, ``$shv`` with the service."""
        for text in ("$var(x)", "$vn(x)", "$shv(x)"):
            self.set(text, b"kept")
        self.next_event()
        self.assertEqual([self.get(text) for text in ("$var(x)", "$vn(x)", "$shv(x)")], [b"kept"] * 3)
        self.next_event(same_consumer=False)
        self.assertEqual([self.get(text) for text in ("$var(x)", "$vn(x)", "$shv(x)")], [0, None, b"kept"])

    def test_plain_values(self) -> None:
        """A number loses the text that it was made of, a text its number."""
        self.set("$var(n)", NumberText(7, b"007"))
        self.set("$var(t)", CodedText(b"udp", 1))
        self.assertEqual([self.get("$(var(n){s.len})"), self.get("$var(t)")], [1, b"udp"])
        self.assertEqual([type(self.evaluation.consumer.var[name]) for name in (b"n", b"t")], [int, bytes])

    def test_return_code(self) -> None:
        """Under three names."""
        self.evaluation.own.return_code = -3
        self.assertEqual([self.get(text) for text in ("$rc", "$retcode", "$?")], [-3] * 3)


class AvpTests(Case):
    """``$avp``."""

    def test_stack(self) -> None:
        """The newest is seen first; unsetting removes it, with ``[*]`` all."""
        for value in (b"first", 2, b"third"):
            self.set("$avp(a)", value)
        self.assertEqual([self.get("$avp(a)"), self.get("$(avp(a)[*])"), self.get("$cnt($avp(a))")],
                         [b"third", b"third, 2, first", 3])  # fmt: skip
        self.set("$avp(a)", None)
        self.assertEqual(self.get("$avp(a)"), 2)
        self.set("$(avp(a)[*])", b"only")
        self.assertEqual(self.get("$(avp(a)[*])"), b"only")
        self.set("$(avp(a)[*])", None)
        self.set("$avp(a)", None)
        self.assertEqual([self.get("$avp(a)"), self.get("$(avp(a)[*])"), self.get("$cnt($avp(a))")], [None, None, 0])

    def test_all(self) -> None:
        """No delimiter comes before the first value that is not empty, as in Kamailio."""
        for variable in ("$avp(all)", "$xavp(all[0]=>f)"):
            if "xavp" in variable:
                self.set("$xavp(all=>other)", 1)
            whole = "$(avp(all)[*])" if "avp(all)" in variable and "xavp" not in variable else "$xavp(all=>f[*])"
            for value, expected in ((b"", b""), (b"", b""), (b"a", b"a, , "), (b"", b"a, , "), (5, b"5, , a, , ")):
                self.set(variable, value)
                self.assertEqual(self.get(whole), expected, whole)

    def test_names(self) -> None:
        """Numbers and texts are apart."""
        self.set("$avp(i:7)", b"number")
        self.set("$avp(7)", b"text")
        self.set("$avp(s:s)", b"also text")
        self.assertEqual([self.get("$avp(I:7)"), self.get("$avp(s:7)"), self.get("$avp(s)")],
                         [b"number", b"text", b"also text"])  # fmt: skip
        for text in ("$avp(i:x)", "$avp(s:)", "$avp(x:y)", "$cnt($var(x))", "$cnt($avp(x)", "$cnt(a)"):
            self.assertRaises(ExpressionError, compile_expression, text)

    def test_gone_with_the_event(self) -> None:
        """The next event has none."""
        self.set("$avp(a)", 1)
        self.next_event()
        self.assertIsNone(self.get("$avp(a)"))


class XavpTests(Case):
    """``$xavp``."""

    def test_single_values(self) -> None:
        """As a stack."""
        for value in (b"old", 5):
            self.set("$xavp(a)", value)
        found = [self.get(text) for text in ("$xavp(a)", "$xavp(a[1])", "$xavp(a[-1])", "$xavp(a[2])", "$xavp(a=>b)")]
        self.assertEqual(found, [5, b"old", b"old", None, None])
        self.set("$xavp(a[1])", b"changed")
        self.set("$xavp(a[7])", b"nowhere")
        self.set("$xavp(a[*])", b"ignored")
        self.assertEqual(
            [self.get("$xavp(a)"), self.get("$xavp(a[1])"), self.get("$xavp(a[7])")], [5, b"changed", None]
        )
        self.set("$xavp(a)", None)
        self.assertEqual(self.get("$xavp(a)"), b"changed")
        self.set("$xavp(a[*])", None)
        self.assertIsNone(self.get("$xavp(a)"))

    def test_fields(self) -> None:
        """Without an index a list is added, with one a field to a list that is there."""
        self.set("$xavp(x=>a)", 1)
        self.set("$xavp(x=>a)", 2)
        self.set("$xavp(x[0]=>b)", b"bee")
        self.set("$xavp(x[0]=>a)", 3)
        self.set("$xavp(x[1]=>a[0])", b"replaced")
        self.set("$xavp(x[9]=>a)", b"nowhere")
        for text, expected in (
            ("$xavp(x=>a)", 3),
            ("$xavp(x=>a[1])", 2),
            ("$xavp(x=>a[-1])", 2),
            ("$xavp(x=>a[*])", b"3, 2"),
            ("$xavp(x=>b)", b"bee"),
            ("$xavp(x[1]=>a)", b"replaced"),
            ("$xavp(x[-1]=>a)", b"replaced"),
            ("$xavp(x[2]=>a)", None),
            ("$xavp(x=>nope)", None),
            ("$xavp(x=>nope[*])", None),
            ("$xavp( x [0]=> b )", b"bee"),
            ("$xavp(x)", b"<<xavp>>"),
            ("$(xavp(x=>b){s.toupper})", b"BEE"),
        ):
            self.assertEqual(self.get(text), expected, text)

    def test_remove_fields(self) -> None:
        """One, all of a name, and in all lists."""
        for value in (1, 2):
            self.set("$xavp(x=>a)", value)
            self.set("$xavp(x[0]=>a)", value + 10)
        self.set("$xavp(x=>a)", None)
        self.assertEqual([self.get("$xavp(x=>a)"), self.get("$xavp(x[1]=>a)")], [2, 11])
        self.set("$xavp(x[1]=>a[1])", None)
        self.assertEqual(self.get("$xavp(x[1]=>a[*])"), b"11")
        self.set("$xavp(x[*]=>a[*])", None)
        self.assertEqual([self.get("$xavp(x=>a)"), self.get("$xavp(x[1]=>a)")], [None, None])

    def test_index_from_variable(self) -> None:
        """Inside and outside."""
        self.set("$xavp(x=>a)", 1)
        self.set("$var(i)", 0)
        self.assertEqual(self.get("$xavp(x[$var(i)]=>a[$var(i)])"), 1)

    def test_refused(self) -> None:
        """Forms that are none."""
        for text in (
            "$xavp(x=a)",
            "$xavp(x[a])",
            "$xavp(x[0)",
            "$xavp([0])",
            "$xavp(x=>)",
            "$xavp(x[]=>a)",
            "$xavp(x y)",
        ):
            self.assertRaises(ExpressionError, compile_expression, text)


class TableTests(Case):
    """``$sht`` and its kin."""

    def test_entries(self) -> None:
        """The key is a format string."""
        self.set("$var(x)", b"one")
        self.set("$sht(seen=>key-$var(x))", b"value")
        self.assertEqual(self.get("$sht(seen=>key-one)"), b"value")
        self.set("$sht(seen=>key-one)", None)
        self.assertIsNone(self.get("$sht(seen=>key-one)"))

    def test_initial_value(self) -> None:
        """Of a table that has one."""
        self.assertEqual([self.get("$sht(counts=>x)"), self.get("$shtinc(counts=>x)"), self.get("$shtinc(counts=>x)"),
                          self.get("$shtdec(counts=>x)")], [0, 1, 2, 1])  # fmt: skip

    def test_expiry(self) -> None:
        """It can be seen and set."""
        self.set("$sht(short=>x)", 1)
        self.assertEqual(self.get("$shtex(short=>x)"), 60)
        self.set("$shtex(short=>x)", 5)
        self.assertEqual(self.get("$shtex(short=>x)"), 5)
        self.set("$shtex(short=>x)", b"a string")
        self.assertEqual(self.get("$shtex(short=>x)"), 0)

    def test_counting(self) -> None:
        """By name and by value."""
        self.set("$sht(seen=>one)", 1)
        self.set("$sht(seen=>two)", b"eins")
        found = [self.get(text) for text in ("$shtcn(seen=>~~^o)", "$shtcv(seen=>eq1)", "$shtcv(seen=>~~N)")]
        self.assertEqual(found, [1, 1, 1])

    def test_no_such_table(self) -> None:
        """It is null, and cannot be set."""
        self.assertIsNone(self.get("$sht(nope=>x)"))
        error = self.assertRaises(EvaluationError, self.set, "$sht(nope=>x)", 1)
        self.assertEqual(str(error), "there is no hash table nope")

    def test_shared(self) -> None:
        """By all consumers."""
        self.set("$sht(seen=>x)", 1)
        self.next_event(same_consumer=False)
        self.assertEqual(self.get("$sht(seen=>x)"), 1)


class FormatTests(Case):
    """``$_s``."""

    def test_format(self) -> None:
        """A format string as a variable."""
        self.set("$var(x)", b"v")
        self.assertEqual([self.get("$_s(a $var(x) b)"), self.get("$(_s($var(x)$null){s.toupper})")],
                         [b"a v b", b"V<NULL>"])  # fmt: skip
