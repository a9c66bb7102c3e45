"""natsroute.hot.choice"""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from natsroute import hot
from natsroute.hot import pure
from natsroute.hot.choice import CHOICE, EXTENSION, PURE_VARIABLE, SOURCE, choose
from tests.support import ROOT


class ChooseTests(SynchronousTestCase):
    """What runs, by what is there and what is set."""

    def setUp(self) -> None:
        self.loaded: list[str] = []

    def load(self, name: str) -> ModuleType:
        self.loaded.append(name)
        module = ModuleType(name)
        vars(module).update(dict.fromkeys(pure.__all__), SOURCE_CHECKSUM=zlib.crc32(SOURCE.read_bytes()))
        return module

    def test_compiled(self) -> None:
        """It runs if it is there."""
        for environment in ({}, {PURE_VARIABLE: ""}, {PURE_VARIABLE: "0"}, {"NATSROUTE_EXTENSION": "none"}):
            choice = choose(environment, self.load)
            self.assertEqual((choice.implementation, choice.problem), ("compiled", ""))
            self.assertEqual(choice.describe(), "compiled hot path")
        self.assertEqual(set(self.loaded), {EXTENSION})

    def test_forced(self) -> None:
        """The variable decides before anything is loaded."""
        for value in ("1", "yes", " "):
            choice = choose({PURE_VARIABLE: value}, self.load)
            self.assertEqual((choice.extension, choice.implementation, choice.problem), (None, "pure", ""))
            self.assertEqual(choice.describe(), "pure Python hot path (NATSROUTE_PURE is set)")
        self.assertEqual(self.loaded, [])

    def test_not_installed(self) -> None:
        """That is no problem: the wheel for all platforms has none."""
        choice = choose({}, lambda name: import_module(f"{name}_of_another_python"))
        self.assertIn("ModuleNotFoundError", choice.problem)  # a module of another name is a problem
        choice = choose({}, self.not_there)
        self.assertEqual((choice.extension, choice.problem), (None, ""))
        self.assertEqual(choice.describe(), "pure Python hot path (the compiled one is not installed)")

    def not_there(self, name: str) -> ModuleType:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    def test_broken(self) -> None:
        """A file that Python's own loader refuses."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / f"broken_hot_path{EXTENSION_SUFFIXES[0]}").write_bytes(b"\x7fELF of another machine")
        self.patch(sys, "path", [str(folder), *sys.path])
        choice = choose({}, lambda name: import_module("broken_hot_path"))
        self.assertEqual(choice.implementation, "pure")
        self.assertRegex(choice.problem, r"^ImportError: .*broken_hot_path")
        self.assertEqual(
            choice.describe(), f"pure Python hot path (the compiled one cannot be loaded: {choice.problem})"
        )

    def test_of_an_earlier_natsroute(self) -> None:
        """A checkout may have one that was compiled before its source changed. It need not lack a name."""
        source = Path(self.mktemp())
        source.write_bytes(SOURCE.read_bytes() + b"\n")
        extension = self.load(EXTENSION)
        changed = choose({}, lambda name: extension, source)
        del extension.SOURCE_CHECKSUM
        before_checksums = choose({}, lambda name: extension)
        for choice in (changed, before_checksums):
            self.assertEqual(choice.implementation, "pure")
            self.assertEqual(
                choice.problem,
                "ImportError: it was compiled from another _compiled.pyx. "
                "Compile it again: python setup.py build_ext --inplace",
            )

    def test_without_its_source(self) -> None:
        """A wheel has only the extension, which was compiled from the same natsroute."""
        choice = choose({}, self.load, Path(self.mktemp()))
        self.assertEqual((choice.implementation, choice.problem), ("compiled", ""))

    def test_lacks_a_name(self) -> None:
        """Files of different versions may be mixed where the source is not at hand, too."""
        extension = self.load(EXTENSION)
        del extension.Gate
        choice = choose({}, lambda name: extension, Path(self.mktemp()))
        self.assertEqual(choice.implementation, "pure")
        self.assertEqual(choice.problem, "ImportError: it was compiled for another version: it has no Gate")

    def test_of_other_versions(self) -> None:
        """The errors of an extension itself are of any kind."""

        def load(name: str) -> ModuleType:
            raise ValueError("natsroute.x.Y size changed")

        self.assertEqual(choose({}, load).problem, "ValueError: natsroute.x.Y size changed")


class HotTests(SynchronousTestCase):
    """What was chosen here."""

    def chosen(self, **environment: str) -> list[str]:
        """What a new Python chooses: the implementation, where a name comes from, and the description."""
        program = (
            "from natsroute import hot; print(hot.IMPLEMENTATION, hot.Counts.__module__, hot.describe(), sep='\\n')"
        )
        clean = {name: value for name, value in os.environ.items() if name != PURE_VARIABLE}
        ended = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT, env=clean | environment, capture_output=True, text=True, timeout=300, check=True,
        )  # fmt: skip
        return ended.stdout.splitlines()

    def test_forced(self) -> None:
        """Whether it was compiled or not."""
        expected = ["pure", "natsroute.hot.pure", "pure Python hot path (NATSROUTE_PURE is set)"]
        self.assertEqual(self.chosen(NATSROUTE_PURE="1"), expected)

    def test_where_it_was_compiled(self) -> None:
        """The names come from the extension; without it, from Python."""
        if list((ROOT / "natsroute" / "hot").glob(f"_compiled{EXTENSION_SUFFIXES[0]}")):
            self.assertEqual(self.chosen(), ["compiled", EXTENSION, "compiled hot path"])
        else:
            expected = "pure Python hot path (the compiled one is not installed)"
            self.assertEqual(self.chosen(), ["pure", "natsroute.hot.pure", expected])

    def test_is_current(self) -> None:
        """The tests do not run in Python because the extension was compiled from another source."""
        if hot.IMPLEMENTATION == "pure" and not CHOICE.problem:
            raise SkipTest(hot.describe())
        self.assertEqual(CHOICE.problem, "")

    def test_is_required(self) -> None:
        """CI says which one its tests are to run with."""
        required = os.environ.get("REQUIRE_HOT_PATH")
        if required is None:
            raise SkipTest("REQUIRE_HOT_PATH is not set")
        self.assertEqual(hot.IMPLEMENTATION, required, hot.describe())
