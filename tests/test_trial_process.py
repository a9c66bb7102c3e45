"""natsroute.daemon.code.trial_process; tests.integration.test_reload runs it"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.daemon.code.trial_process import argument_of, load, names_of_code
from natsroute.errors import NatsrouteError

ROUTES = "from natsroute import EventRoutes\nevent_route = EventRoutes()\nevent_route('nats:a')(print)\n"


class LoadTests(SynchronousTestCase):
    """What is wrong with some code."""

    def setUp(self) -> None:
        before = dict(sys.modules)
        self.addCleanup(lambda: [sys.modules.pop(name) for name in sys.modules.keys() - before.keys()])

    def file(self, source: str, suffix: str = ".py") -> str:
        path = Path(self.mktemp()).resolve().with_suffix(suffix)
        path.write_text(source, encoding="utf-8")
        return str(path)

    def problem(self, variables: dict[str, str] | None = None, **settings: Any) -> str:
        """The text of the error; empty if there is none."""
        argument = argument_of(Settings.from_environment(variables or {}, **settings), 10.0)
        try:
            load(argument, {})
        except NatsrouteError as error:
            return str(error)
        return ""

    def test_nothing_is_wrong(self) -> None:
        cfg = self.file('event_route[nats:b] { xlog("$natsData\\n"); }\n', ".cfg")
        self.assertEqual(self.problem(event_routes=self.file(ROUTES), kamailio_cfg=cfg), "")
        script = self.file("def f(name): pass\n")
        self.assertEqual(self.problem(kemi_script=script, event_callback="f"), "")
        self.assertEqual(self.problem(event_callback="builtins:print"), "")

    def test_errors(self) -> None:
        """Of Python, of a kamailio.cfg, and of KEMI scripts."""
        self.assertIn("syntax error in line 1", self.problem(event_routes=self.file("a = = 1")))
        cfg = self.file("event_route[nats:b] { no_such_function(); }\n", ".cfg")
        self.assertIn("no_such_function", self.problem(kamailio_cfg=cfg))
        cfg = self.file('modparam("htable", "htable", "no")\n', ".cfg")
        settings = argument_of(Settings(), 10.0).replace('"kamailio_cfg": [""', f'"kamailio_cfg": ["{cfg}"')
        self.assertRaises(NatsrouteError, load, settings, {})
        for source in ("def f(name) pass\n", "def g(name): pass\n", "def f(name): pass\n1 / 0\n"):
            self.assertTrue(self.problem(kemi_script=self.file(source), event_callback="f"))

    def test_hooks(self) -> None:
        """Of a KEMI script, under the names that modparams give them, and with the hash tables of the file."""
        cfg = self.file(
            'modparam("app_python3s", "script_init", "begin")\nmodparam("htable", "htable", "t=>size=4;initval=7")\n',
            ".cfg",
        )
        script = self.file("import KSR\ndef begin(): KSR.pv.geti('$sht(t=>x)') / 0\ndef f(name): pass\n")
        problem = self.problem(kemi_script=script, event_callback="f", kamailio_cfg=cfg)
        self.assertIn("ZeroDivisionError", problem)
        script = self.file("def f(name): pass\n")
        problem = self.problem(kemi_script=script, event_callback="f", kamailio_cfg=cfg)
        self.assertIn(f"there is no 'begin', which script_init ({cfg}:1:", problem)

    def test_names(self) -> None:
        """For messages."""
        settings = Settings(event_routes=("/a.py", "/b.py"), kemi_script="/c.lua", event_callback="f")
        self.assertEqual(names_of_code(settings), "/a.py, /b.py, /c.lua")
        self.assertEqual(names_of_code(Settings(event_callback="a:f")), "a:f")

    def test_origin(self) -> None:
        """The error says where the setting came from."""
        problem = self.problem({"NATSROUTE_EVENT_ROUTES": self.file("1 / 0")})
        self.assertIn("(from NATSROUTE_EVENT_ROUTES)", problem)
        self.assertIn("ZeroDivisionError", problem)
