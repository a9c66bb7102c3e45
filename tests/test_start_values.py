"""natsroute.kamailio.cfg.start_values"""

from __future__ import annotations

from natsroute.errors import ScriptError
from natsroute.kamailio.cfg.start_values import go_on_from, service_variables
from natsroute.kamailio.evaluation import ConsumerVariables
from tests.support.cfg_files import CfgTestCase
from tests.support.expressions import evaluate


class ServiceVariablesTests(CfgTestCase):
    """The variables of a service at its start."""

    def test_from_cfg(self) -> None:
        """Tables, shared variables, those of the script, and definitions."""
        service = service_variables(
            self.read(
                '#!define A 5\nmodparam("htable", "htable", "t=>initval=3")\n'
                'modparam("pv", "shvset", "a=s:x=y")\nmodparam("pv", "shvset", "b=I:-5")\n'
                'modparam("pv", "varset", "a=i:7")\nmodparam("pv", "varset", "b=S:")\n'
                'modparam("pv", "avp_aliases", "x")'
            )
        )
        for text, value in [
            ("$sht(t=>x)", 3),
            ("$shv(a)", b"x=y"),
            ("$shv(b)", -5),
            ("$var(a)", 7),
            ("$var(b)", b""),
            ("$var(c)", 0),
            ("$def(A)", b"5"),
        ]:
            self.assertEqual(evaluate(text, service=service), value, text)

    def test_each_consumer_has_its_own(self) -> None:
        """A consumer that sets $var does not change that of another."""
        service = service_variables(self.read('modparam("pv", "varset", "a=i:7")'))
        ConsumerVariables(service).var[b"a"] = 8
        self.assertEqual(ConsumerVariables(service).var, {b"a": 7})

    def test_without_cfg(self) -> None:
        """Nothing is set. Other arguments are passed on."""
        failures: list[object] = []
        service = service_variables(None, on_failure=lambda text, error: failures.append(text))
        self.assertEqual((service.shared, service.tables, service.definitions), ({}, {}, {}))
        service.on_failure("$x", None)  # type: ignore[arg-type]
        self.assertEqual(failures, ["$x"])

    def test_errors(self) -> None:
        """Each has the position of its modparam."""
        for value in ("5", '"a"', '"a=5"', '"a=x:5"', '"a=i:x"', '"=i:5"', '"a=i:5x"', f'"a=i:{"9" * 5000}"'):
            cfg = self.read(f'\nmodparam("pv", "shvset", {value})')
            error = self.assertRaises(ScriptError, service_variables, cfg)
            self.assertEqual((error.line, error.column, error.problem), (2, 26, "shvset sets no variable"), value)

    def test_go_on(self) -> None:
        """Of two versions: values and equal tables stay, what is new begins, what has changed begins anew."""
        text = 'modparam("htable", "htable", "same=>size=4")\nmodparam("htable", "htable", "other=>initval={0}")\n'
        text += 'modparam("pv", "shvset", "x=i:{0}")\nmodparam("pv", "shvset", "y{0}=i:{0}")\n'
        former, new = (service_variables(self.read(text.format(number))) for number in (1, 2))
        former.tables[b"same"].set(b"a", b"kept")
        former.shared[b"x"] = 5
        go_on_from(former, new)
        self.assertEqual(new.shared, {b"x": 5, b"y1": 1, b"y2": 2})
        self.assertIs(new.shared, former.shared)
        self.assertIs(new.locks, former.locks)
        self.assertEqual((new.tables[b"same"].get(b"a"), new.tables[b"other"].initial), (b"kept", 2))
