"""natsroute.daemon.code.loading"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.code.loading import load_callback, load_code
from natsroute.errors import SettingError

ROUTES = """
from natsroute import EventRoutes
event_route = EventRoutes()

@event_route("nats:{name}")
def route(event):
    pass
"""


class LoadingTestCase(SynchronousTestCase):
    """A folder for files and modules."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.patch(sys, "path", sys.path[:])
        self.patch(sys, "modules", dict(sys.modules))

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)


class RoutesTests(LoadingTestCase):
    """load_code"""

    def names(self, *files: str) -> list[str]:
        return [route.name for route in load_code(files).event_routes]

    def test_a_file(self) -> None:
        self.assertEqual(self.names(self.write("routes.py", ROUTES.format(name="a"))), ["nats:a"])

    def test_a_module(self) -> None:
        self.write("natsroute_test_module.py", ROUTES.format(name="a"))
        sys.path.insert(0, str(self.folder))
        self.assertEqual(self.names("natsroute_test_module"), ["nats:a"])

    def test_a_module_beside_the_working_directory(self) -> None:
        """twistd does not look in the working directory by itself."""
        self.write("natsroute_test_here.py", ROUTES.format(name="a"))
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.folder)
        self.patch(sys, "path", [entry for entry in sys.path if entry not in ("", here)])
        self.assertEqual(self.names("natsroute_test_here"), ["nats:a"])

    def test_several_files(self) -> None:
        files = [self.write(f"{name}.py", ROUTES.format(name=name)) for name in ("first", "second")]
        self.assertEqual(self.names(*files), ["nats:first", "nats:second"])

    def test_a_file_can_import_modules_beside_it(self) -> None:
        self.write("natsroute_test_helper.py", "NAME = 'nats:a'")
        text = ROUTES.replace('"nats:{name}"', "natsroute_test_helper.NAME")
        self.assertEqual(self.names(self.write("routes.py", "import natsroute_test_helper\n" + text)), ["nats:a"])

    def test_shared_event_routes(self) -> None:
        """Two files may add to one EventRoutes; its routes are not loaded twice."""
        self.write("natsroute_test_shared.py", "from natsroute import EventRoutes\nevent_route = EventRoutes()")
        text = "from natsroute_test_shared import event_route\n@event_route('nats:{name}')\ndef f(event): pass\n"
        files = [self.write(f"{name}.py", text.format(name=name)) for name in ("first", "second")]
        self.assertEqual(self.names(*files), ["nats:first", "nats:second"])

    def test_files_with_mistakes(self) -> None:
        """The error names the file, and the line of a mistake in the code."""
        for name, text, problem in [
            ("empty.py", "", "there is no EventRoutes in it"),
            ("syntax.py", "def f(:\n    pass\n", "syntax error in line 1"),
            ("raises.py", "\n\nraise RuntimeError('no')\n", "RuntimeError: no (line 3 of"),
            ("imports.py", "import no_such_module_anywhere\n", "No module named 'no_such_module_anywhere'"),
            ("exits.py", "raise SystemExit(3)\n", "SystemExit: 3"),
            ("twice.py", ROUTES.format(name="a") + ROUTES[ROUTES.index("@") :].format(name="a"), "two event routes"),
            ("name.py", ROUTES.format(name="a b"), "white space"),
            ("line.py", "from natsroute.middleware import retry\n\nretry(0)\n", "(line 3 of"),
            ("option.py", ROUTES.format(name="a").replace('"nats:a"', '"nats:a", timeout=0'), "(line 5 of"),
            ("uncalled.py", ROUTES.format(name="a").replace('("nats:a")', ""), "Write @event_route('nats:SUBJECT')"),
            ("parameters.py", ROUTES.format(name="a").replace("(event)", "()"), "has the parameters (); it is"),
        ]:
            path = self.write(name, text)
            error = self.assertRaises(SettingError, load_code, [path])
            self.assertEqual((error.setting, error.value), ("event_routes", path))
            self.assertIn(problem, str(error))

    def test_a_missing_file_or_module(self) -> None:
        for name in ("no/such/file.py", "nofile.py", str(self.folder)):
            self.assertIn("no such file", str(self.assertRaises(SettingError, load_code, [name])))
        self.assertIn("No module named", str(self.assertRaises(SettingError, load_code, ["no_such_module"])))

    def test_script_functions(self) -> None:
        """A file may have nothing else. A function that two files import is there once."""
        own = "from natsroute.kamailio import script_function\n@script_function\ndef {name}(event, user): pass\n"
        self.write("natsroute_test_functions.py", own.format(name="shared"))
        text = "from natsroute_test_functions import shared\n" + own
        files = [self.write(f"{name}.py", text.format(name=name)) for name in ("first", "second")]
        code = load_code(files)
        self.assertEqual([one.name for one in code.script_functions], ["shared", "first", "second"])
        self.assertEqual(len(code.event_routes), 0)

    def test_a_script_function_with_a_mistake(self) -> None:
        """The error names the line."""
        text = "from natsroute.kamailio import script_function\n\n@script_function\ndef none(): pass\n"
        error = self.assertRaises(SettingError, load_code, [self.write("none.py", text)])
        self.assertIn("script function 'none': none()", str(error))
        self.assertRegex(str(error), r"\(line [34] of")  # Python 3.10 names the line of the def

    def test_the_same_route_in_two_files(self) -> None:
        files = [self.write(f"{name}.py", ROUTES.format(name="a")) for name in ("first", "second")]
        self.assertIn("two event routes 'nats:a'", str(self.assertRaises(SettingError, load_code, files)))


class CallbackTests(LoadingTestCase):
    """load_callback"""

    def test_both_spellings(self) -> None:
        for name in ("os.path:join", "os.path.join"):
            self.assertIs(load_callback(name), os.path.join)

    def test_a_method(self) -> None:
        self.assertEqual(load_callback("builtins:str.upper"), str.upper)

    def test_mistakes(self) -> None:
        for name, problem in [
            ("join", "no function in a module"),
            (":join", "no function in a module"),
            ("os:", "no function in a module"),
            ("no_such_module:f", "No module named"),
            ("os:no_such_function", "there is no 'no_such_function' in os"),
            ("os:sep", "cannot be called"),
            ("shutil:copyfile", "it is called with one argument, the event"),
            ("ast:walk", "is a generator function"),
        ]:
            error = self.assertRaises(SettingError, load_callback, name)
            self.assertEqual((error.setting, error.value), ("event_callback", name))
            self.assertIn(problem, str(error))
