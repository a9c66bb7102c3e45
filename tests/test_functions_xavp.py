"""natsroute.kamailio.script.functions.xavp"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.expressions import compile_expression
from natsroute.kamailio.values import Value
from tests.support.expressions import make_evaluation
from tests.support.functions import call
from tests.support.log_recorder import LogRecorder


class XavpTests(SynchronousTestCase):
    """Functions for ``$xavp``."""

    def setUp(self) -> None:
        self.evaluation = make_evaluation()

    def call(self, name: str, *written: Any) -> int:
        """The result of a call."""
        return call(self.evaluation, name, *written)

    def get(self, *texts: str) -> list[Value]:
        """The values of expressions."""
        return [compile_expression(text).value(self.evaluation) for text in texts]

    def set(self, text: str, value: Value) -> None:
        """Assign to a variable."""
        compile_expression(text).assign(self.evaluation, value)

    def test_params(self) -> None:
        """To a list and back."""
        self.assertEqual(self.call("xavp_params_explode", 'a=1;b="x y";c;a=$rm;', "p"), 1)
        self.assertEqual(self.get("$xavp(p=>a)", "$xavp(p=>a[1])", "$xavp(p=>b)"), [b"1", b"OPTIONS", b"x y"])
        self.assertEqual(self.call("xavp_params_implode", "p", "$var(out)"), 1)
        self.assertEqual(self.get("$var(out)"), [b"a=1;b=x y;c;a=OPTIONS;"])
        self.set("$xavp(n[0]=>a)", 1)
        self.set("$xavp(n=>a)", -1)
        self.assertEqual(self.call("xavp_params_implode", "n", "$var(out)"), 1)
        self.assertEqual(self.get("$var(out)"), [b"a=4294967295;"])

    def test_no_params(self) -> None:
        """-1, and nothing is there."""
        for params in ("", "a b", ";;", "=1", 'a="x'):
            self.assertEqual(self.call("xavp_params_explode", params, "p"), -1, params)
        self.assertEqual(self.call("xavp_params_explode", "a=1", ""), -1)
        self.assertEqual(self.call("xavp_params_implode", "p", "$var(out)"), -1)
        self.assertEqual(len(self.evaluation.own.xavps), 0)

    def test_list(self) -> None:
        """Several separators; empty parts are left out."""
        self.assertEqual(self.call("xavp_slist_explode", "a, b;;c ", ",;", "t", "l"), 1)
        self.assertEqual(self.get("$xavp(l=>v[*])"), [b"a, b, c"])
        self.assertEqual(self.call("xavp_slist_explode", "a, b", ",", "", "l"), 1)
        self.assertEqual(self.get("$xavp(l=>v[1])"), [b" b"])
        self.assertEqual(self.call("xavp_slist_explode", "", ",", "", "l"), -1)

    def test_children(self) -> None:
        """A field is replaced; what has no fields is replaced as a whole."""
        self.assertEqual(self.call("xavp_child_seti", "x", "a", 1), 1)
        self.assertEqual(self.call("xavp_child_sets", "x", "a", "$rm"), 1)
        self.assertEqual(self.call("xavp_child_seti", "x", "b", "5"), 1)
        self.assertEqual(self.get("$xavp(x=>a[*])", "$xavp(x=>b)"), [b"OPTIONS", 5])
        self.assertEqual(self.call("xavp_child_rm", "x", "a"), 1)
        self.assertEqual(self.get("$xavp(x=>a)", "$xavp(x=>b)"), [None, 5])
        self.set("$xavp(y)", 7)
        self.assertEqual(self.call("xavp_child_seti", "y", "a", 1), 1)
        self.assertEqual(self.get("$xavp(y=>a)", "$xavp(y[1])"), [1, None])
        self.assertEqual(self.call("xavp_rm", "x"), 1)
        self.assertEqual(self.call("xavp_rm", "x"), 1)
        self.assertEqual(self.call("xavp_child_rm", "x", "a"), 1)
        self.assertEqual(self.get("$xavp(x)"), [None])
        self.assertEqual(self.call("xavp_child_seti", "", "a", 1), -1)

    def test_variables(self) -> None:
        """From ``$var`` and to it."""
        self.set("$var(a)", b"text")
        self.set("$var(b)", 5)
        self.set("$var(c)", b"")
        self.set("$xavp(x)", b"old")
        self.assertEqual(self.call("pv_var_to_xavp", "*", "x"), 1)
        self.assertEqual(self.get("$xavp(x=>a)", "$xavp(x=>b)", "$xavp(x=>c)", "$xavp(x[1])"), [b"text", 5, None, None])
        self.set("$var(a)", 0)
        self.assertEqual(self.call("pv_xavp_to_var", "x"), 1)
        self.assertEqual(self.get("$var(a)", "$var(b)"), [b"text", 5])
        self.assertEqual(self.call("pv_var_to_xavp", "a", "y"), 1)
        self.assertEqual(self.get("$xavp(y=>a)"), [b"text"])
        self.assertEqual(self.call("pv_var_to_xavp", "never", "y"), -1)
        self.assertEqual(self.get("$xavp(y)"), [None])
        self.assertEqual(self.call("pv_xavp_to_var", "y"), -1)
        self.evaluation.consumer.var.clear()
        self.assertEqual(self.call("pv_var_to_xavp", "*", "x"), 1)
        self.assertEqual(self.get("$xavp(x)"), [None])

    def test_copy(self) -> None:
        """Behind the others of its name, or in place of one. The copy is one of its own."""
        self.call("xavp_params_explode", "a=1;b=2", "x")
        self.assertEqual(self.call("xavp_copy", "x", 0, "y"), 1)
        self.assertEqual(self.call("xavp_child_seti", "x", "a", 7), 1)
        self.assertEqual(self.call("xavp_copy", "x", 0, "y"), 1)
        self.assertEqual(self.get("$xavp(y=>a)", "$xavp(y[1]=>a)", "$xavp(y=>b)"), [b"1", 7, b"2"])
        self.assertEqual(self.call("xavp_copy", "x", 0, "y", 0), 1)
        self.assertEqual(self.get("$xavp(y=>a)", "$xavp(y[2])"), [7, None])
        for written in (("x", 1, "y"), ("x", -1, "y"), ("x", 0, "y", 5)):
            self.assertEqual(self.call("xavp_copy", *written), -1, written)

    def test_print(self) -> None:
        """A line for each value."""
        recorder = LogRecorder(self)
        self.call("xavp_params_explode", "a=1", "x")
        self.call("xavp_child_seti", "x", "n", 5)
        self.set("$xavp(y)", b"\x1b")
        self.assertEqual(self.call("pv_xavp_print"), 1)
        lines = ['$xavp(y) = "\\x1b"', "$xavp(x=>n) = 5", '$xavp(x=>a) = "1"']
        self.assertEqual(recorder.lines("info"), lines)
