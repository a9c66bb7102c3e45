"""
natsroute is built from a copy of the checkout, installed in a new virtual environment, run, and removed

Twisted finds the plugin only if ``twisted/plugins/natsroute_plugin.py`` is installed beside Twisted's own plugins.
Nothing may be installed that hides Twisted, and removing natsroute must not remove a part of Twisted.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import natsroute
from tests.packaging.builds import BUILDS, NO_COMPILER, has_compiler, run
from tests.packaging.contents import PLUGIN, sdist_files, sdist_problems, wheel_files, wheel_problems
from tests.support import ROOT

VERSION = natsroute.__version__
SMOKE = ROOT / "tests" / "packaging" / "smoke.py"


class InstallTests(SynchronousTestCase):
    """Install in an environment, run there, and uninstall."""

    def in_environment(self, *command: str | Path) -> str:
        """Run a program of the environment."""
        program, *arguments = command
        return run(BUILDS.bin / program, *arguments, cwd=BUILDS.elsewhere)

    def plugins(self) -> set[str]:
        """The commands that ``twistd --help`` lists. twistd imports all of them for it."""
        lines = self.in_environment("twistd", "--help").partition("Commands:")[2].splitlines()
        return {line.split()[0] for line in lines if line[:4].isspace() and line[4:5].strip()}

    def check_life_cycle(self, what: Path, hot_path: str, **variables: str) -> None:
        """
        Install, run and uninstall it. Twisted stays complete.

        :param hot_path: what runs, ``compiled`` or ``pure``.
        :param variables: environment variables for the installation.
        """
        run(BUILDS.bin / "pip", "install", what, cwd=BUILDS.elsewhere, **variables)
        self.in_environment("python", SMOKE, hot_path)
        self.assertIn("natsroute", self.plugins())
        self.assertIn("web", self.plugins())
        self.assertEqual(self.in_environment("twistd", "natsroute", "--version").strip(), f"natsroute {VERSION}")
        self.assertIn("--subject_queue_group", self.in_environment("twistd", "natsroute", "--help"))
        for command in (["natsroute"], ["natsroute", "run"], ["python", "-m", "natsroute"]):
            self.assertEqual(self.in_environment(*command, "--version").strip(), f"natsroute {VERSION}")
        self.in_environment("pip", "check")
        removed = self.in_environment("pip", "uninstall", "-y", "natsroute")
        self.assertIn(f"Successfully uninstalled natsroute-{VERSION}", removed)
        self.assertNotIn("natsroute", self.plugins())
        self.assertIn("web", self.plugins())
        self.in_environment("pip", "check")
        left = [path for path in BUILDS.bin.parent.rglob("*natsroute*") if path.suffix != ".pyc"]
        self.assertEqual(left, [])

    def test_wheel_holds_the_package_and_the_plugin_and_nothing_else(self) -> None:
        """All of natsroute, with ``py.typed``, and no tests. No ``__init__.py`` that would hide Twisted's."""
        files = wheel_files(BUILDS.wheel)
        self.assertEqual(list(wheel_problems(BUILDS.wheel, BUILDS.source)), [])
        self.assertIn("natsroute/py.typed", files)
        self.assertNotIn("twisted/__init__.py", files)
        self.assertNotIn("twisted/plugins/__init__.py", files)

    def test_wheel(self) -> None:
        """``pip install natsroute-….whl``"""
        self.check_life_cycle(BUILDS.wheel, "compiled" if has_compiler() else "pure")

    def test_checkout(self) -> None:
        """``pip install .``, without a compiler. tests.packaging.test_quick_start does it with one."""
        self.check_life_cycle(BUILDS.copy("without-compiler"), "pure", **NO_COMPILER)


class SourceDistributionTests(SynchronousTestCase):
    """What is uploaded together with the wheel, for people who package or test natsroute."""

    def test_holds_what_builds_tests_and_explains(self) -> None:
        """The wheel built from it is as the one built from the checkout."""
        sdist = BUILDS.sdist
        self.assertEqual(sdist.name, f"natsroute-{VERSION}.tar.gz")
        names = sdist_files(sdist)
        explained = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "natsroute.tac"}
        built = {"setup.py", "pyproject.toml", PLUGIN}
        tests = {"tests/__init__.py", "tests/support/program.py", "tests/packaging/test_install.py"}
        examples = {
            path.relative_to(BUILDS.source).as_posix()
            for path in (BUILDS.source / "examples").rglob("*.*")
            if path.is_file() and path.suffix != ".pyc"
        }
        self.assertEqual((explained | built | tests | examples) - names, set())
        self.assertEqual([name for name in names if "__pycache__" in name or name.endswith("dropin.cache")], [])
        self.assertEqual(list(sdist_problems(sdist)), [])
        wheel = BUILDS.build_wheel(sdist, "wheel-of-the-sdist")
        self.assertEqual(list(wheel_problems(wheel, BUILDS.source)), [])
        self.assertEqual(wheel.name, BUILDS.wheel.name)
