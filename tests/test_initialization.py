"""natsroute.kamailio.script.initialization"""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import EventRoutes, Settings
from natsroute.daemon.code.program import Program
from natsroute.errors import ScriptError
from natsroute.kamailio.cfg.reader import read_cfg
from natsroute.kamailio.script.compiler import CompiledScript, compile_script
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.results import call_deferred
from natsroute.testing import RouteTester
from tests.support.log_recorder import LogRecorder

TABLE = 'modparam("htable", "htable", "t=>size=4;")\n'
SHOW = 'event_route[nats:a] { nats_publish("out", "$sht(t=>a) $sht(t=>b) $var(x) $vn(x) $shv(x) $avp(x)"); }\n'


class InitializationTests(SynchronousTestCase):
    """``event_route[htable:mod-init]``."""

    def file(self, body: str, more: str = SHOW) -> str:
        path = Path(self.mktemp()).absolute()
        path.write_text(f"{TABLE}event_route[htable:mod-init] {{\n{body}\n}}\n{more}")
        return str(path)

    def settings(self, body: str, more: str = SHOW) -> Settings:
        return Settings.from_environment({}, kamailio_cfg=self.file(body, more))

    def compiled(self, body: str, more: str = SHOW) -> CompiledScript:
        return compile_script(read_cfg(self.file(body, more), {}))

    def published(self, body: str, more: str = SHOW) -> bytes:
        """What a message makes the event route publish."""
        tester = RouteTester(EventRoutes(), self.settings(body, more))
        self.successResultOf(tester.deliver("a"))
        return tester.published[0].data

    def test_variables(self) -> None:
        """What lives longer than an event is there for each consumer."""
        text = '$sht(t=>a) = "A"; $sht(t=>b) = 2; $var(x) = 3; $vn(x) = 4; $shv(x) = 5; $avp(x) = 6;'
        self.assertEqual(self.published(text), b"A 2 3 4 5 <null>")

    def test_begins_with_the_values_of_modparams(self) -> None:
        more = 'modparam("pv", "varset", "x=i:7")\nmodparam("pv", "shvset", "x=s:b")\n' + SHOW
        self.assertEqual(
            self.published("$var(x) = $var(x) + 1; $shv(x) = $shv(x) + 1;", more), b"<null> <null> 8 <null> b1 <null>"
        )

    def test_calls_routes_and_ends(self) -> None:
        more = 'route[R] { $sht(t=>b) = $natsData; $sht(t=>a) = "$rm"; }\n' + SHOW
        self.assertEqual(self.published("route(R); exit; $sht(t=>a) = 1;", more), b"$rm <null> 0 <null> 0 <null>")

    def test_is_not_passed_over(self) -> None:
        more = "route[R] { exit; }\nroute[S] { exit; }\n"
        script = self.compiled("route(R);", more)
        self.assertEqual((script.passed_over, script.warnings, len(script.event_routes)), (("route[S]",), (), 0))

    def test_warns_of_tables(self) -> None:
        (warning,) = self.compiled("$sht(u=>a) = 1;").warnings
        self.assertIn("there is no htable u", warning.text)

    def test_what_cannot_run(self) -> None:
        """It is passed over, as before, and a warning says so."""
        script = self.compiled("route(DB);", 'route[DB] {\nsql_query("a", "b");\n}\n' + SHOW)
        self.assertIsNone(script.initialization)
        self.assertEqual(script.passed_over, ("event_route[htable:mod-init]", "route[DB]"))
        (warning,) = script.warnings
        self.assertEqual(warning.position.line, 2)
        self.assertIn("event_route[htable:mod-init] does not run, and tables stay empty: ", warning.text)
        self.assertIn(":6:1: unknown function sql_query()", warning.text)

    def test_failures(self) -> None:
        """They end the start, with the place."""
        for body, problem in [
            ("usleep(1);", "it waits, and nothing runs before it has ended"),
            ("while (1) { while (1) { $var(x) = 1; } }", "script_timeout"),
        ]:
            settings = self.settings(body, "max_while_loops=0\n" + SHOW)
            error = self.assertRaises(ScriptError, RouteTester, EventRoutes(), settings)
            self.assertEqual((error.line, error.column), (2, 1))
            self.assertIn(problem.replace("it waits", "waits"), error.problem)

    def test_functions_in_python(self) -> None:
        """Those that do not wait."""
        path = Path(self.mktemp()).with_suffix(".py").absolute()
        path.write_text(
            "from natsroute.kamailio import script_function\n"
            "@script_function\n"
            "def fill(event): event.set_pv('$sht(t=>a)', 'filled')\n"
            "@script_function\n"
            "def fail(event): raise ValueError('no such file')\n"
        )
        for call, expected in [("fill", b"filled"), ("fail", None)]:
            cfg = self.file(f"{call}();")
            settings = Settings.from_environment({}, kamailio_cfg=cfg, event_routes=str(path))
            if expected is None:
                error = self.assertRaises(ScriptError, RouteTester, EventRoutes(), settings)
                self.assertIn("no such file", error.problem)
                continue
            tester = RouteTester(EventRoutes(), settings)
            self.successResultOf(tester.deliver("a"))
            self.assertEqual(tester.published[0].data.split()[0], expected)

    def test_cannot_publish(self) -> None:
        """There is no connection yet. The script goes on."""
        recorder = LogRecorder(self)
        self.assertEqual(self.published('nats_publish("a", "b"); $var(x) = $rc;'), b"<null> <null> -1 <null> 0 <null>")
        (line,) = recorder.matching("nothing can be published")
        self.assertIn(":3:1", line)

    def test_a_second_one(self) -> None:
        """It is an error, as in Kamailio."""
        error = self.assertRaises(ScriptError, self.compiled, "exit;", "event_route[htable:mod-init] { exit; }\n")
        self.assertEqual(error.line, 5)
        self.assertIn("event_route[htable:mod-init] is there already", error.problem)


class ProgramTests(SynchronousTestCase):
    """In a service, and in its new versions."""

    def program(self, text: str, former: Program | None = None) -> Program:
        path = Path(self.mktemp()).absolute()
        path.write_text(text)
        reactor = Clock()
        settings = Settings.from_environment({}, kamailio_cfg=str(path))
        return Program(
            reactor,
            settings,
            None,
            call_deferred,
            CallsInFlight(reactor),
            lambda name: lambda *message: Deferred(),
            former,
        )

    def test_new_version(self) -> None:
        """A table that is still there keeps its entries; a new one is filled."""
        start = "event_route[htable:mod-init] { $sht(t=>a) = 1; $sht(u=>a) = 1; }\n"
        first = self.program(TABLE + start)
        table = first.variables.tables[b"t"]
        self.assertEqual((table.get(b"a"), list(first.variables.tables)), (1, [b"t"]))
        table.set(b"a", 5)
        second = self.program(TABLE + TABLE.replace("t=>", "u=>") + start, first)
        values = [second.variables.tables[name].get(b"a") for name in (b"t", b"u")]
        self.assertEqual(values, [5, 1])
