"""natsroute.daemon.code.own_modules"""

from __future__ import annotations

import importlib
import json
import os
import sys
import textwrap
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

import natsroute
from natsroute import Settings
from natsroute.daemon.code import own_modules
from natsroute.daemon.code.own_modules import OwnFiles, Reimport, named_modules, own_files


class OwnModulesTestCase(SynchronousTestCase):
    """Modules in a folder, which are gone after the test."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)
        before = dict(sys.modules)
        self.patch(sys, "path", [str(self.folder), *sys.path])
        self.patch(own_modules, "_of_program", frozenset(before))

        def restore() -> None:
            for name in sys.modules.keys() - before.keys():
                del sys.modules[name]

        self.addCleanup(restore)

    def write(self, name: str, source: str = "") -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        importlib.invalidate_caches()
        return str(path)

    def settings(self, **settings: Any) -> Settings:
        return Settings(**{"event_routes": self.write("own_routes.py"), **settings})

    def value(self, name: str, attribute: str) -> Any:
        return getattr(importlib.import_module(name), attribute)


class OwnFilesTests(OwnModulesTestCase):
    """Which files belong to the event routes."""

    def test_files(self) -> None:
        """Those beside the routes; not the standard library, installed packages, natsroute."""
        own = OwnFiles(self.settings())
        self.assertIn(str(self.folder / "package" / "a.py"), own)
        self.assertNotIn(json.__file__, own)
        self.assertNotIn(importlib.import_module("twisted.web").__file__ or "", own)
        self.assertNotIn(natsroute.__file__, own)

    def test_a_virtual_environment_in_the_folder(self) -> None:
        installed = self.folder / "venv" / "lib" / "site-packages"
        self.patch(sys, "path", [*sys.path, str(installed)])
        own = OwnFiles(self.settings())
        self.assertNotIn(str(installed / "a.py"), own)
        self.assertIn(str(self.folder / "venv.py"), own)

    def test_the_working_directory(self) -> None:
        """It counts, unless it is the root: everything would be in it."""
        other = Path(self.mktemp()).resolve()
        other.mkdir(parents=True)
        for folder, expected in ((other, True), (Path("/"), False)):
            before = Path.cwd()
            os.chdir(folder)
            try:
                self.assertEqual(str(other / "a.py") in OwnFiles(self.settings()), expected)
            finally:
                os.chdir(before)

    def test_a_package_that_is_named(self) -> None:
        """It belongs to the routes although it is installed, all of it; a module that is named alone does not more."""
        installed = self.folder / "site-packages"
        self.write("site-packages/own_package/__init__.py")
        self.write("site-packages/own_package/deep/__init__.py")
        self.write("site-packages/own_package/deep/routes.py")
        self.write("site-packages/own_single.py")
        self.patch(sys, "path", [str(installed), *sys.path])
        importlib.import_module("own_package.deep.routes")
        importlib.import_module("own_single")
        own = OwnFiles(Settings(event_routes=["own_package.deep.routes", "own_single"]))
        self.assertIn(str(installed / "own_package" / "other.py"), own)
        self.assertIn(str(installed / "own_single.py"), own)
        self.assertNotIn(str(installed / "another.py"), own)

    def test_named_modules(self) -> None:
        self.assertEqual(named_modules(Settings(event_routes=["a.b", "c.py"])), ["a.b"])
        self.assertEqual(named_modules(Settings(event_callback="a.b:c.d")), ["a.b"])
        self.assertEqual(named_modules(Settings(event_callback="a.b.c")), ["a.b"])
        self.assertEqual(named_modules(Settings(kemi_script="x.py", event_callback="c")), [])


class ReimportTests(OwnModulesTestCase):
    """Modules that are loaded anew."""

    def test_changed_within_a_second(self) -> None:
        """As long as before, and with the same time: ``__pycache__`` would have the former one."""
        path = self.write("own_a.py", "VALUE = 1\n")
        self.assertEqual(self.value("own_a", "VALUE"), 1)
        times = os.stat(path)
        self.write("own_a.py", "VALUE = 2\n")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        reimport = Reimport(self.settings())
        self.assertEqual(self.value("own_a", "VALUE"), 2)
        reimport.end()
        self.assertEqual(self.value("own_a", "VALUE"), 2)

    def test_the_name_of_a_builtin_module(self) -> None:
        """A file of that name is not found, as elsewhere."""
        self.write("time.py", "1 / 0\n")
        reimport = Reimport(self.settings())
        with mock.patch.dict(sys.modules):
            del sys.modules["time"]
            self.assertFalse(hasattr(importlib.import_module("time"), "__file__"))
        reimport.end()

    def test_undo(self) -> None:
        """Everything is as it was, whatever was imported meanwhile."""
        self.write("own_a.py", "VALUE = 1\n")
        self.write("own_b.py")
        first, before, finders = self.value("own_a", "__dict__"), dict(sys.modules), list(sys.meta_path)
        reimport = Reimport(self.settings())
        self.assertNotIn("own_a", sys.modules)
        self.assertIsNot(self.value("own_a", "__dict__"), first)
        importlib.import_module("own_b")
        reimport.undo()
        self.assertEqual((sys.modules, sys.meta_path), (before, finders))
        self.assertIs(self.value("own_a", "__dict__"), first)

    def test_packages(self) -> None:
        """With and without an ``__init__.py``."""
        for name in ("own_with/__init__.py", "own_with/a.py", "own_without/a.py"):
            self.write(name)
        for name in ("own_with.a", "own_without.a"):
            importlib.import_module(name)
        Reimport(self.settings()).end()
        self.assertEqual([name for name in sys.modules if name.startswith("own_")], [])

    def test_what_stays(self) -> None:
        """What the program had imported before, unless the settings name it, and what is not of the routes."""
        for name in ("own_a", "own_b"):
            self.write(f"{name}.py")
            importlib.import_module(name)
        self.patch(own_modules, "_of_program", frozenset(sys.modules))
        before = dict(sys.modules)
        Reimport(self.settings(event_routes=["own_b"])).end()
        self.assertEqual(before.keys() - sys.modules.keys(), {"own_b"})

    def test_own_files(self) -> None:
        """What a change of changes the routes."""
        routes = self.write("own_routes.py")
        helper = self.write("own_a.py")
        self.write("own_unused.py")
        importlib.import_module("own_a")
        included = self.write("included.cfg")
        cfg = self.write("kamailio.cfg", 'include_file "included.cfg"\n')
        settings = Settings.from_environment({}, event_routes=routes, kamailio_cfg=cfg)
        self.assertEqual(own_files(settings), {routes, helper, cfg, included})
        script = self.write("own_script.lua")
        settings = Settings(kemi_script=script, event_callback="f")
        self.assertEqual(own_files(settings), {helper, script})
