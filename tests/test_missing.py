"""natsroute.kamailio.kemi.missing"""

from __future__ import annotations

from pathlib import Path

from natsroute.errors import ScriptError
from natsroute.kamailio.kemi.missing import missing_functions
from tests.support.kemi_scripts import ScriptCase

#: Kamailio's own example, which Debian's package has. It is under the GPL, so there is no copy of it here.
EXAMPLES = Path("/usr/share/doc/kamailio/examples/kemi")


class MissingTests(ScriptCase):
    """What a script uses and natsroute does not have."""

    def missing(self, source: str, suffix: str = ".py") -> list[tuple[str, int, int, int]]:
        """Name, line, column and number of uses."""
        found = missing_functions(self.script(source, suffix))
        return [(one.name, one.position.line, one.position.column, one.uses) for one in found]

    def test_python(self) -> None:
        source = """\
            import KSR as K
            def f(KSR):
                if K.pv.get("$rm") and hasattr(K, "tm") and K.is_INVITE():
                    K.tm.t_relay().x.y
                    K.tm.t_relay()
                K.setbflag(1); KSR.nothing.at_all()
                K.sl
                K.pv
                self.KSR.x.y
            """
        self.assertEqual(self.missing(source), [("tm.t_relay", 4, 9, 2), ("setbflag", 6, 5, 1), ("sl", 7, 5, 1)])

    def test_python_under_its_own_name(self) -> None:
        self.assertEqual(self.missing("import KSR\nKSR.sl.send_reply(200, 'OK')\n"), [("sl.send_reply", 2, 1, 1)])
        self.assertEqual(self.missing("import KSR, os\nKSR.info('x')\n"), [])

    def test_lua(self) -> None:
        source = """\
            -- KSR.tm.a()
            --[[ KSR.tm.b()
            ]] local x = "KSR.tm.c()" .. 'KSR.tm.d' .. [==[ KSR.tm.e() ]==] .. "\\"KSR.tm.f()"
            if KSR.is_INVITE() then KSR.x.exit() end
            KSR.tm.t_relay() KSR . tm . t_relay()
            if KSR.auth_db and KSR.pv then KSR.pv.get("x") end
            NOTKSR.x.y() z.KSR.a.b()
            """
        self.assertEqual(self.missing(source, ".lua"), [("tm.t_relay", 5, 1, 2), ("auth_db", 6, 4, 1)])

    def test_exit_is_for_lua(self) -> None:
        self.assertEqual(self.missing("import KSR\nKSR.x.exit()\n"), [("x.exit", 2, 1, 1)])

    def test_encodings(self) -> None:
        """Python's source says its encoding; Lua's has none."""
        sources = {
            ".py": b"# -*- coding: latin-1 -*-\nimport KSR\nx = '\xe9'\nKSR.tm.t_relay()\n",
            ".lua": b"local x = '\xe9' KSR.tm.t_relay()\n",
        }
        for suffix, source in sources.items():
            path = self.script("", suffix)
            Path(path).write_bytes(source)
            self.assertEqual([one.name for one in missing_functions(path)], ["tm.t_relay"])

    def test_errors(self) -> None:
        error = self.assertRaises(ScriptError, self.missing, "import KSR\nx = (\n")
        self.assertEqual(error.line, 2)
        error = self.assertRaises(ScriptError, missing_functions, "/nosuch.lua")
        self.assertIn("/nosuch.lua:1:1: it cannot be read", str(error))

    def test_examples_of_kamailio(self) -> None:
        """Their SIP functions are missing, and nothing else is."""
        for name in ("python.py", "lua.lua"):
            path = EXAMPLES / f"kamailio-basic-kemi-{name}"
            if not path.exists():
                continue
            found = {one.name for one in missing_functions(str(path))}
            self.assertLessEqual({"tm.t_relay", "sl.sl_send_reply", "rr.record_route", "hdr.append"}, found)
            self.assertEqual({one for one in found if one.split(".")[0] in ("pv", "info", "xlog", "is_INVITE")}, set())
