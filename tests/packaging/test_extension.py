"""The compiled hot path: when a build has it, what says so, and what runs without it"""

from __future__ import annotations

import shutil
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.packaging.builds import BUILDS, NO_COMPILER, Builds, has_compiler, run
from tests.packaging.contents import EXTENSION_SOURCE, wheel_problems
from tests.packaging.test_install import SMOKE


class SharedTests(SynchronousTestCase):
    """What the processes of trial share."""

    def test_built_once(self) -> None:
        """Whoever comes second gets what is there. The folder stays as long as somebody uses it."""
        other = Builds()
        self.assertEqual((other.source, other.wheel), (BUILDS.source, BUILDS.wheel))
        self.assertNotEqual(other.folder, BUILDS.folder)
        self.assertFalse((other.folder / "wheel").exists())
        with (other.shared / "users").open() as users:
            other.leave(other.shared, users)
        self.assertTrue(BUILDS.wheel.exists())


class BuildTests(SynchronousTestCase):
    """``NATSROUTE_EXTENSION``."""

    def test_compiled(self) -> None:
        """With a compiler, the wheel is for this Python and this platform."""
        if not has_compiler():
            raise SkipTest("there is no compiler")
        python = f"cp{sys.version_info.major}{sys.version_info.minor}"
        self.assertRegex(BUILDS.wheel.name, rf"^natsroute-[\d.]+-{python}-{python}-(linux|macosx)_\w+\.whl$")

    def test_none(self) -> None:
        """The wheel is for all Pythons and platforms, although there is a compiler and an extension that was built."""
        self.assertRegex(BUILDS.pure_wheel.name, r"^natsroute-[\d.]+-py3-none-any\.whl$")
        self.assertEqual(list(wheel_problems(BUILDS.pure_wheel, BUILDS.source)), [])

    def test_compiler_fails(self) -> None:
        """
        The wheel is for all platforms, as there is no extension in it; not even one of an earlier build in that folder.
        """
        BUILDS.wheel  # noqa: B018, builds in the folder that is copied
        source = BUILDS.folder / "changed"
        with BUILDS.lock():
            shutil.copytree(BUILDS.source, source)
        with (source / EXTENSION_SOURCE).open("a", encoding="utf-8") as file:
            file.write("# changed\n")
        wheel = BUILDS.build_wheel(source, "without-extension", **NO_COMPILER)
        self.assertEqual(wheel.name, BUILDS.pure_wheel.name)
        self.assertEqual(list(wheel_problems(wheel, source)), [])

    def test_warning(self) -> None:
        """What the build says. pip shows it with -v only."""
        source = BUILDS.copy("warning")
        said = run("bash", "-c", f"{sys.executable} -m build --wheel {source} 2>&1", cwd=BUILDS.folder, **NO_COMPILER)
        [warning] = [line for line in said.splitlines() if "the hot path cannot be compiled" in line]
        self.assertRegex(warning, r"^warning: .*: /bin/false .*\. natsroute is built without it, and is slower$")

    def test_require(self) -> None:
        """No wheel. The error says what has failed."""
        source = BUILDS.copy("require")
        for compiler, reason in (
            ("/bin/false", r"/bin/false\S* (ended|failed) with exit code 1"),
            ("/bin/gone", "/bin/gone"),
        ):
            text = self.failure(source, NATSROUTE_EXTENSION="require", CC=compiler)
            self.assertRegex(text, f"error: the hot path cannot be compiled: .*{reason}")
            self.assertIn("Without NATSROUTE_EXTENSION=require, natsroute is built without it", text)

    def test_misspelled(self) -> None:
        """A value that is not known is an error."""
        text = self.failure(BUILDS.source, NATSROUTE_EXTENSION="required")
        self.assertIn("error: NATSROUTE_EXTENSION is 'required'; it can be require, none, or empty", text)

    def failure(self, source: Path, **variables: str) -> str:
        """What a build says that must fail."""
        with self.assertRaises(AssertionError) as caught:
            BUILDS.build_wheel(source, "failed", **variables)
        self.assertFalse((BUILDS.folder / "failed").exists() and list((BUILDS.folder / "failed").iterdir()))
        return str(caught.exception)


class ChoiceTests(SynchronousTestCase):
    """What runs where natsroute was installed with the compiled hot path."""

    def setUp(self) -> None:
        if not has_compiler():
            raise SkipTest("there is no compiler")
        self.installed = BUILDS.folder / "installed"
        pip = [sys.executable, "-m", "pip", "--quiet"]
        run(*pip, "install", "--no-deps", "--target", self.installed, BUILDS.wheel, cwd=BUILDS.elsewhere)
        self.addCleanup(shutil.rmtree, self.installed)

    def smoke(self, expected: str, **variables: str) -> str:
        """Route a message; returns what it has printed."""
        return run(sys.executable, SMOKE, expected, cwd=BUILDS.elsewhere, PYTHONPATH=str(self.installed), **variables)

    def test_choice(self) -> None:
        """
        ``NATSROUTE_PURE`` decides. An extension that cannot be loaded, or was compiled from another source than the one
        that is there, is a problem; one that is missing is none.
        """
        self.assertIn(": compiled hot path\n", self.smoke("compiled"))
        self.assertIn(": compiled hot path\n", self.smoke("compiled", NATSROUTE_PURE="0"))
        self.assertIn(": pure Python hot path (NATSROUTE_PURE is set)\n", self.smoke("pure", NATSROUTE_PURE="1"))
        source = self.installed / EXTENSION_SOURCE
        shutil.copy(BUILDS.source / EXTENSION_SOURCE, source)
        self.assertIn(": compiled hot path\n", self.smoke("compiled"))
        source.write_bytes(source.read_bytes() + b"# changed\n")
        self.assertIn("it was compiled from another _compiled.pyx", self.smoke("pure"))
        source.unlink()
        extension = self.installed / "natsroute" / "hot" / f"_compiled{EXTENSION_SUFFIXES[0]}"
        extension.write_bytes(b"not an ELF file")
        said = self.smoke("pure")
        self.assertRegex(said, r": pure Python hot path \(the compiled one cannot be loaded: ImportError: .+\)\n")
        extension.unlink()
        said = self.smoke("pure")
        self.assertIn(": pure Python hot path (the compiled one is not installed)\n", said)
