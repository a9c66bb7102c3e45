"""The check of a release's files, and the workflow that uses it"""

from __future__ import annotations

import re
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from tests.packaging.contents import (
    EXTENSION_SOURCE,
    PLUGIN,
    PYTHONS,
    package_files,
    release_problems,
    sdist_problems,
    wheel_problems,
)  # fmt: skip
from tests.support import ROOT

PURE = "natsroute-26.11.0-py3-none-any.whl"
PLATFORMS = (
    "manylinux2014_x86_64.manylinux_2_17_x86_64", "manylinux_2_28_aarch64", "musllinux_1_2_x86_64",
    "musllinux_1_2_aarch64", "macosx_10_13_x86_64", "macosx_11_0_arm64",
)  # fmt: skip


def extension(python: str) -> str:
    """The name of the extension for a Python, such as ``cp313``."""
    return f"natsroute/hot/_compiled.cpython-{python.removeprefix('cp')}-x86_64-linux-gnu.so"


class ContentsTests(SynchronousTestCase):
    """Wheels and source distributions without content."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name, "dist")
        self.folder.mkdir()

    def wheel(self, name: str, *more: str, without: str = "") -> Path:
        """A wheel with the files of the checkout."""
        files = {*package_files(ROOT), *more, "natsroute-26.11.0.dist-info/METADATA"} - {without}
        with zipfile.ZipFile(self.folder / name, "w") as archive:
            for file in files:
                archive.writestr(file, "")
        return self.folder / name

    def sdist(self, files: Iterable[str], version: str = "26.11.0") -> Path:
        """A source distribution with these files."""
        path = self.folder / f"natsroute-{version}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for file in files:
                archive.addfile(tarfile.TarInfo(f"natsroute-{version}/{file}"))
        return path

    def wheels(self) -> None:
        """All wheels of a release."""
        self.wheel(PURE)
        for python in PYTHONS:
            for platform in PLATFORMS:
                self.wheel(f"natsroute-26.11.0-{python}-{python}-{platform}.whl", extension(python))

    def test_wheels(self) -> None:
        """Right ones, and what can be wrong with others."""
        name = "natsroute-26.11.0-cp313-cp313-manylinux_2_28_x86_64.whl"
        right = extension("cp313")

        def check(expected: str, name: str, *more: str, without: str = "") -> None:
            problems = list(wheel_problems(self.wheel(name, *more, without=without)))
            self.assertEqual(problems, [f"{name}: {expected}"] if expected else [])

        check("", PURE)
        check("", name, right)
        check(f"it has {right}", PURE, right)
        check(f"it has {EXTENSION_SOURCE}", PURE, EXTENSION_SOURCE)
        check(f"it lacks {PLUGIN}", PURE, without=PLUGIN)
        check("a wheel for all platforms is one for all Pythons", "natsroute-26.11.0-cp313-none-any.whl")
        check("it has extensions for no Python", name)
        check("it has extensions for ['cp312']", name, extension("cp312"))
        check("it has twisted/__init__.py", name, right, "twisted/__init__.py")
        check("this is not the name of a wheel of natsroute", "other-1-py3-none-any.whl")

    def test_sdist(self) -> None:
        """It has what the extension is built from, and nothing that was built."""
        right = ["setup.py", "pyproject.toml", PLUGIN, EXTENSION_SOURCE]
        self.assertEqual(list(sdist_problems(self.sdist(right))), [])
        problems = list(sdist_problems(self.sdist([*right[:3], extension("cp313"), "natsroute/hot/_compiled.c"])))
        self.assertEqual(len(problems), 3, problems)

    def test_release(self) -> None:
        """It is complete."""
        self.wheels()
        self.sdist(["setup.py", "pyproject.toml", PLUGIN, EXTENSION_SOURCE])
        self.assertEqual(list(release_problems(self.folder, "26.11.0")), [])
        self.assertEqual(len(list(release_problems(self.folder, "26.11.1"))), 2 + len(PYTHONS) * len(PLATFORMS))
        (self.folder / PURE).unlink()
        (self.folder / f"natsroute-26.11.0-cp310-cp310-{PLATFORMS[0]}.whl").unlink()
        (self.folder / "notes.txt").write_text("")
        self.assertEqual(
            list(release_problems(self.folder, "26.11.0")),
            [
                "there is no wheel for all platforms",
                "there is no wheel for cp310, manylinux.*_x86_64",
                "notes.txt: it does not belong to a release",
            ],
        )


class WorkflowTests(SynchronousTestCase):
    """``.github/workflows/release.yml``"""

    def setUp(self) -> None:
        text = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
        self.jobs: dict[str, Any] = yaml.safe_load(text)["jobs"]

    def test_order(self) -> None:
        """Only what was checked is published, by the one job that may."""
        self.assertEqual(self.jobs["publish"]["needs"], "check")
        self.assertEqual(self.jobs["check"]["needs"], ["source", "wheels"])
        self.assertEqual(self.jobs["publish"]["if"], "github.event_name == 'push'")
        self.assertEqual([name for name, job in self.jobs.items() if "permissions" in job], ["publish"])

    def test_files(self) -> None:
        """The files and modules that it runs are there."""
        commands = "\n".join(step.get("run", "") for job in self.jobs.values() for step in job["steps"])
        commands += "\n".join(
            re.findall(r"^test-command = .*$", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
        )
        named = set(re.findall(r"\btests/[\w/]+\.py", commands))
        named |= {f"{module.replace('.', '/')}.py" for module in re.findall(r"-m (tests[.\w]+)", commands)}
        self.assertEqual(named, {"tests/packaging/smoke.py", "tests/packaging/contents.py"})
        for name in named:
            self.assertTrue((ROOT / name).is_file(), name)
