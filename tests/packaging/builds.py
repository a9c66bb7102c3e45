"""What the tests build, and how they run what is built."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO

from tests.support import ROOT
from tests.support.processes import start_of

#: Seconds that one command may take. pip may have to download from a slow index.
COMMAND_TIMEOUT = 600

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
    Folders with builds. Each is built when it is first used, and the folders are removed when the tests end.

    trial has no ``setUpClass``, so the tests share :data:`BUILDS`. With ``-j2``, the processes of trial share the
    wheels and the source distribution: what one of them has built, the others use.
    """

    @cached_property
    def folder(self) -> Path:
        """A temporary folder of this process."""
        self._folder = tempfile.TemporaryDirectory(prefix="natsroute-packaging-", ignore_cleanup_errors=True)
        return Path(self._folder.name)

    @cached_property
    def shared(self) -> Path:
        """The folder of all processes of this run of trial. The last one that ends removes it."""
        run_of = os.getppid() if Path(sys.argv[0]).name == "workertrial.py" else os.getpid()
        shared = Path(tempfile.gettempdir(), f"natsroute-packaging-{run_of}-{start_of(run_of)}")
        shared.mkdir(mode=0o700, exist_ok=True)
        users = (shared / "users").open("w")
        fcntl.flock(users, fcntl.LOCK_SH)
        atexit.register(self.leave, shared, users)
        return shared

    @cached_property
    def source(self) -> Path:
        """A copy of the checkout, in which building leaves its files. Hold :meth:`lock` while you read these."""
        return self._once("source", lambda: self.copy("source"))

    @cached_property
    def wheel(self) -> Path:
        """The wheel built from the checkout: with the extension, if there is a compiler."""
        return self._file("wheel", lambda: self.build_wheel(self.source, "wheel"))

    @cached_property
    def pure_wheel(self) -> Path:
        """The wheel without the extension."""
        return self._file("pure-wheel", lambda: self.build_wheel(self.source, "pure-wheel", NATSROUTE_EXTENSION="none"))

    @cached_property
    def sdist(self) -> Path:
        """The source distribution."""
        target = self.folder / "sdist"
        command = (sys.executable, "-m", "build", "--sdist", "--outdir", target, self.source)
        return self._file("sdist", lambda: run(*command, cwd=self.folder))

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

    @contextmanager
    def lock(self) -> Iterator[None]:
        """No other process builds what is shared."""
        with (self.shared / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def leave(self, shared: Path, users: IO[str]) -> None:
        """
        Remove the shared folder if no other process uses it.

        :param users: a file with a shared lock as long as this process uses the folder.
        """
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)  # gives up the shared lock in any case
        except BlockingIOError:
            return
        shutil.rmtree(shared, ignore_errors=True)

    def _file(self, name: str, build: Callable[[], object]) -> Path:
        """The only file of a shared folder."""
        self.source  # noqa: B018, the lock is not taken twice
        (file,) = self._once(name, build).iterdir()
        return file

    def _once(self, name: str, build: Callable[[], object]) -> Path:
        """A shared folder. The process that needs it first builds it in a folder of its own, which has that name."""
        with self.lock():
            shared = self.shared / name
            if not shared.exists():
                build()
                (self.folder / name).rename(shared)
        return shared


BUILDS = Builds()
