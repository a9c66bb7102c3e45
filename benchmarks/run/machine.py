"""The machine and the software versions that figures come from."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.load.hot_path import implementation
from natsroute import __version__
from tests.support.nats_server import server_version

_PACKAGES = {"Twisted": "twisted", "nats-py": "nats-py", "uvloop": "uvloop", "FastStream": "faststream"}
_DEBIAN_PACKAGES = ("kamailio", "libnats-dev")
#: The processors for which Debian builds Python with a profile, according to its changelog.
_DEBIAN_PROFILES = ("x86_64", "aarch64")


def machine() -> dict[str, str]:
    """The processor, system, versions and load average, by the names that the report shows."""
    return {
        "machine": f"{_cpu()}, {os.cpu_count()} cores; {platform.system()} {platform.release()}",
        "Python": python(),
        "versions": ", ".join(_versions()),
        "load average before the run": f"{os.getloadavg()[0]:.1f}",
    }


def python() -> str:
    """This Python, and whether its interpreter was built with a profile: without one it is 10 to 30 % slower."""
    return f"{platform.python_implementation()} {platform.python_version()}, {_build()}"


def _build() -> str:
    words = [str(sysconfig.get_config_var(name)) for name in ("CONFIG_ARGS", "PY_CORE_CFLAGS", "PY_CFLAGS_NODIST")]
    if sysconfig.get_config_var("Py_DEBUG"):
        return "a debug build"
    if any("--enable-optimizations" in text or "-fprofile-use" in text for text in words):
        return "built with a profile"
    if _is_of_debian():
        # Its sysconfig does not say so, but its changelog does: the flags are left out there, and used in the build.
        return "Debian's build, which is optimized with a profile"
    return "built without a profile" if sysconfig.get_config_var("CONFIG_ARGS") else "its build is unknown"


def _is_of_debian() -> bool:
    """Whether the interpreter is from a package of Debian, or of its relatives, for a processor with a profile."""
    if shutil.which("dpkg-query") is None or platform.machine() not in _DEBIAN_PROFILES:
        return False
    command = ["dpkg-query", "--search", os.path.realpath(sys.executable)]
    return subprocess.run(command, capture_output=True).returncode == 0


def _versions() -> list[str]:
    found = [f"natsroute {__version__} ({implementation()})"]
    for name, package in _PACKAGES.items():
        try:
            found.append(f"{name} {version(package)}")
        except PackageNotFoundError:
            pass
    return [*found, *_debian_versions(), f"nats-server {server_version()}"]


def _debian_versions() -> list[str]:
    if shutil.which("dpkg-query") is None:
        return []
    command = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n", *_DEBIAN_PACKAGES]
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
