"""natsroute.kamailio.kemi.hook_names"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ScriptError
from natsroute.kamailio.cfg.reader import read_cfg
from natsroute.kamailio.kemi.hook_names import HookNames, hook_names


class HookNamesTests(SynchronousTestCase):
    """What modparams name."""

    def names(self, *modparams: str) -> HookNames:
        self.path = Path(self.mktemp()).absolute()
        self.path.write_text("".join(f"modparam({one})\n" for one in modparams))
        return hook_names(read_cfg(str(self.path), {}))

    def test_defaults(self) -> None:
        """Without a file, and without modparams. Those of other modules and other parameters do not count."""
        for found in (hook_names(None), self.names('"app_lua", "script_init", "a"', '"app_python3", "load", "b"')):
            self.assertEqual(found, HookNames())
            names = [found.mod_init, found.child_init, found.script_init, found.script_child_init]
            self.assertEqual(
                [one.name for one in names], ["mod_init", "child_init", "script_init", "script_child_init"]
            )
            self.assertEqual({one.modparam for one in names}, {""})
            self.assertFalse(found.are_functions)

    def test_methods(self) -> None:
        """Of app_python3. The last one counts."""
        found = self.names(
            '"app_python3", "mod_init_function", "a"',
            '"app_python3", "mod_init_function", "b"',
            '"app_python3", "child_init_method", "c"',
        )
        self.assertEqual((found.mod_init.name, found.child_init.name), ("b", "c"))
        self.assertEqual(found.mod_init.modparam, f"mod_init_function ({self.path}:2:46)")
        self.assertFalse(found.are_functions)

    def test_functions(self) -> None:
        """Of app_python3s: the script is one for that module. An empty name is none."""
        found = self.names('"app_python3s", "script_init", "a"', '"app_python3s", "script_child_init", ""')
        self.assertEqual((found.script_init.name, found.script_child_init.name), ("a", ""))
        self.assertEqual(found.script_child_init.modparam, "")
        self.assertTrue(found.are_functions)

    def test_number(self) -> None:
        error = self.assertRaises(ScriptError, self.names, '"app_python3", "child_init_method", 5')
        self.assertEqual((error.line, error.column, error.remedy), (1, 46, "Write it in quotes"))
