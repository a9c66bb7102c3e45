"""What the tests build, and how they run what is built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from functools import cached_property
from pathlib import Path

from tests.support import ROOT

#: Seconds that one command may take. pip may have to download from a slow index.
COMMAND_TIMEOUT = 240

#: What work in a checkout leaves behind, and its copy must not have.
LEFT_BEHIND = shutil.ignore_patterns(
    ".git", ".venv*", ".nox", ".*_cache", ".hypothesis", "_trial_temp*", "__pycache__", "build", "dist", "*.egg-info",
    "dropin.cache", "*.so", "_compiled.c",
)  # fmt: skip


#: Variables for a build that finds no compiler.
NO_COMPILER = {"CC": "/bin/false"}


def has_compiler() -> bool:
    """Whether there is a compiler here. CI has one."""
    return bool(os.environ.get("CI") or shutil.which("cc"))


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """
    Run a command as in a new shell: its environment has nothing of this process's Python.

    :param variables: what its environment has in addition.
    :return: what it has written to standard output.
    :raises AssertionError: it failed; the message has its output.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NATSROUTE_"))}
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT,
        check=False,
    )
    if ended.returncode:
        raise AssertionError(f"{command} ended with {ended.returncode}\n{ended.stdout}\n{ended.stderr}")
    return ended.stdout


class Builds:
    """
    A temporary folder with builds. Each is built when it is first used, and the folder is removed when the tests end.

    trial has no ``setUpClass``, so the tests share :data:`BUILDS`.
    """

    @cached_property
    def folder(self) -> Path:
        """The folder itself."""
        self._folder = tempfile.TemporaryDirectory(prefix="natsroute-packaging-", ignore_cleanup_errors=True)
        return Path(self._folder.name)

    @cached_property
    def source(self) -> Path:
        """A copy of the checkout, in which building leaves its files."""
        return self.copy("source")

    @cached_property
    def wheel(self) -> Path:
        """The wheel built from the checkout: with the extension, if there is a compiler."""
        return self.build_wheel(self.source, "wheel")

    @cached_property
    def pure_wheel(self) -> Path:
        """The wheel without the extension."""
        return self.build_wheel(self.source, "pure-wheel", NATSROUTE_EXTENSION="none")

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

    def copy(self, name: str) -> Path:
        """Another copy of the checkout, in which nothing has been built. Its folder has that name."""
        copy = self.folder / name
        shutil.copytree(ROOT, copy, ignore=LEFT_BEHIND)
        return copy

    def build_wheel(self, source: Path, name: str, **variables: str) -> Path:
        """
        Build the wheel of ``source``, in a folder of that name.

        :param variables: environment variables for the build.
        """
        target = self.folder / name
        pip = [sys.executable, "-m", "pip"]
        run(*pip, "wheel", "--no-deps", "--wheel-dir", target, source, cwd=self.folder, **variables)
        (wheel,) = target.glob("*.whl")
        return wheel


BUILDS = Builds()
