"""
What must be in wheels and source distributions.

``python -m tests.packaging.contents dist 26.11.0`` checks the files of a release in the folder ``dist``: that none is
missing, and what is in each. It needs nothing but Python.
"""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tests.support import ROOT

PLUGIN = "twisted/plugins/natsroute_plugin.py"
#: What the extension is compiled from. Wheels do not have it.
EXTENSION_SOURCE = "natsroute/hot/_compiled.pyx"

#: For each of these Pythons, a release has a wheel for each of these platforms. It may have more.
PYTHONS = ("cp310", "cp311", "cp312", "cp313")
PLATFORMS = (
    "manylinux.*_x86_64", "manylinux.*_aarch64", "musllinux.*_x86_64", "musllinux.*_aarch64",
    "macosx.*_x86_64", "macosx.*_arm64",
)  # fmt: skip

_WHEEL = re.compile(r"natsroute-(?P<version>[^-]+)-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl")
_EXTENSION = re.compile(r"natsroute/hot/_compiled\.cpython-(?P<version>\d+)-[^/]+\.so")


def package_files(root: Path) -> set[str]:
    """The files of the package and of its plugin, as they should be in a wheel without extension."""
    ours = {path.relative_to(root) for path in (root / "natsroute").rglob("*") if path.is_file()}
    not_installed = {".c", ".pxd", ".pyc", ".pyx", ".so"}
    return {path.as_posix() for path in ours if path.suffix not in not_installed} | {PLUGIN}


def wheel_files(wheel: Path) -> set[str]:
    """The files in a wheel, without its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def sdist_files(sdist: Path) -> set[str]:
    """The files in a source distribution."""
    with tarfile.open(sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def wheel_problems(wheel: Path, root: Path = ROOT) -> Iterator[str]:
    """
    What is wrong with a wheel, by its name: one for a platform has an extension for its Python, one for all has none.

    :param root: the checkout that it was built from.
    """
    name = _WHEEL.fullmatch(wheel.name)
    if name is None:
        yield f"{wheel.name}: this is not the name of a wheel of natsroute"
        return
    files, expected = wheel_files(wheel), package_files(root)
    if name["platform"] == "any":
        found: list[str] = []
        if (name["python"], name["abi"]) != ("py3", "none"):
            yield f"{wheel.name}: a wheel for all platforms is one for all Pythons"
    else:
        found = [f"cp{match['version']}" for match in map(_EXTENSION.fullmatch, files) if match]
        if not found == [name["python"]] == [name["abi"]]:
            yield f"{wheel.name}: it has extensions for {found or 'no Python'}"
    extra = {file for file in files - expected if not (found and _EXTENSION.fullmatch(file))}
    for what, names in (("lacks", expected - files), ("has", extra)):
        if names:
            yield f"{wheel.name}: it {what} {', '.join(sorted(names))}"


def sdist_problems(sdist: Path) -> Iterator[str]:
    """What is wrong with a source distribution: what builds the extension is missing, or what was built is in it."""
    files = sdist_files(sdist)
    for name in ("setup.py", "pyproject.toml", PLUGIN, EXTENSION_SOURCE):
        if name not in files:
            yield f"{sdist.name}: it lacks {name}"
    for name in sorted(files):
        if name.endswith((".so", ".pyc")) or name.startswith("natsroute/hot/_compiled.c"):
            yield f"{sdist.name}: it has {name}"


def release_problems(folder: Path, version: str, root: Path = ROOT) -> Iterator[str]:
    """
    What is wrong with the files of a release.

    :param version: the version, as in their names.
    """
    sdists, wheels = sorted(folder.glob("*.tar.gz")), sorted(folder.glob("*.whl"))
    names = [match for match in (_WHEEL.fullmatch(wheel.name) for wheel in wheels) if match]
    if [sdist.name for sdist in sdists] != [f"natsroute-{version}.tar.gz"]:
        yield f"there is no source distribution of {version}, or there is another one"
    if not any(name["platform"] == "any" for name in names):
        yield "there is no wheel for all platforms"
    for python in PYTHONS:
        for platform in PLATFORMS:
            if not any(name["python"] == python and re.fullmatch(platform, name["platform"]) for name in names):
                yield f"there is no wheel for {python}, {platform}"
    for name in names:
        if name["version"] != version:
            yield f"{name[0]}: the version is not {version}"
    for sdist in sdists:
        yield from sdist_problems(sdist)
    for wheel in wheels:
        yield from wheel_problems(wheel, root)
    for path in sorted({*folder.iterdir()} - {*sdists, *wheels}):
        yield f"{path.name}: it does not belong to a release"


def main(folder: str, version: str) -> None:
    """Print what is in a release, or fail with what is wrong with it."""
    problems = list(release_problems(Path(folder), version))
    if problems:
        sys.exit("\n".join(f"error: {problem}" for problem in problems))
    for path in sorted(Path(folder).iterdir()):
        print(f"{path.stat().st_size:9,} {path.name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
