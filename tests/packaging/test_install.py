"""
natsroute is built from a copy of the checkout, installed in a new virtual environment, run, and removed

Twisted finds the plugin only if ``twisted/plugins/natsroute_plugin.py`` is installed beside Twisted's own plugins.
Nothing may be installed that hides Twisted, and removing natsroute must not remove a part of Twisted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from functools import cached_property
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import natsroute
from tests.support import ROOT

VERSION = natsroute.__version__
PLUGIN = "twisted/plugins/natsroute_plugin.py"

#: Seconds that one command may take. pip may have to download from a slow index.
COMMAND_TIMEOUT = 240

#: What work in a checkout leaves behind, and its copy must not have.
LEFT_BEHIND = shutil.ignore_patterns(
    ".git", ".venv*", ".nox", ".*_cache", ".hypothesis", "_trial_temp*", "__pycache__", "build", "dist", "*.egg-info",
    "dropin.cache",
)  # fmt: skip


def run(*command: str | Path, cwd: Path) -> str:
    """
    Run a command as in a new shell: its environment has nothing of this process's Python.

    :return: what it has written to standard output.
    :raises AssertionError: it failed; the message has its output.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NATSROUTE_"))}
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT,
        check=False,
    )
    if ended.returncode:
        raise AssertionError(f"{command} ended with {ended.returncode}\n{ended.stdout}\n{ended.stderr}")
    return ended.stdout


def package_files(root: Path) -> set[str]:
    """The files of the package and of its plugin, as they should be in a wheel."""
    ours = {path.relative_to(root).as_posix() for path in (root / "natsroute").rglob("*") if path.is_file()}
    return {name for name in ours if "__pycache__" not in name} | {PLUGIN}


def wheel_files(wheel: Path) -> set[str]:
    """The files in a wheel, without its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


class Builds:
    """
    A temporary folder with builds. Each is built when it is first used, and the folder is removed when the tests end.

    trial has no ``setUpClass``, so the tests share one instance in this module.
    """

    @cached_property
    def folder(self) -> Path:
        """The folder itself."""
        self._folder = tempfile.TemporaryDirectory(prefix="natsroute-packaging-", ignore_cleanup_errors=True)
        return Path(self._folder.name)

    @cached_property
    def source(self) -> Path:
        """A copy of the checkout, in which building leaves its files."""
        copy = self.folder / "source"
        shutil.copytree(ROOT, copy, ignore=LEFT_BEHIND)
        return copy

    @cached_property
    def wheel(self) -> Path:
        """The wheel built from the checkout."""
        return self.build_wheel(self.source, "wheel")

    @cached_property
    def sdist(self) -> Path:
        """The source distribution."""
        target = self.folder / "sdist"
        run(sys.executable, "-m", "build", "--sdist", "--outdir", target, self.source, cwd=self.folder)
        (sdist,) = target.iterdir()
        return sdist

    @cached_property
    def bin(self) -> Path:
        """The ``bin`` folder of a virtual environment in which the tests install and uninstall."""
        venv.create(self.folder / "venv", with_pip=True)
        return self.folder / "venv" / "bin"

    @cached_property
    def elsewhere(self) -> Path:
        """A working directory in which no natsroute is found by accident."""
        path = self.folder / "elsewhere"
        path.mkdir()
        return path

    def build_wheel(self, source: Path, name: str) -> Path:
        """Build the wheel of ``source``, in a folder of that name."""
        target = self.folder / name
        run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", target, source, cwd=self.folder)
        (wheel,) = target.glob("*.whl")
        return wheel


BUILDS = Builds()


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

    def check_life_cycle(self, what: Path) -> None:
        """Install, run and uninstall it. Twisted stays complete."""
        self.in_environment("pip", "install", what)
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
        self.assertEqual(files, package_files(BUILDS.source))
        self.assertIn("natsroute/py.typed", files)
        self.assertNotIn("twisted/__init__.py", files)
        self.assertNotIn("twisted/plugins/__init__.py", files)

    def test_wheel(self) -> None:
        """``pip install natsroute-….whl``"""
        self.check_life_cycle(BUILDS.wheel)

    def test_checkout(self) -> None:
        """``pip install .``"""
        self.check_life_cycle(BUILDS.source)


class SourceDistributionTests(SynchronousTestCase):
    """What is uploaded together with the wheel, for people who package or test natsroute."""

    def test_holds_what_builds_tests_and_explains(self) -> None:
        """The wheel built from it has the same files as the one built from the checkout."""
        sdist = BUILDS.sdist
        self.assertEqual(sdist.name, f"natsroute-{VERSION}.tar.gz")
        with tarfile.open(sdist) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
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
        wheel = BUILDS.build_wheel(sdist, "wheel-of-the-sdist")
        self.assertEqual(wheel_files(wheel), package_files(BUILDS.source))
