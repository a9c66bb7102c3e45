"""The machine and the software versions that figures come from."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from natsroute import __version__
from tests.support.nats_server import server_version

_PACKAGES = {"Twisted": "twisted", "nats-py": "nats-py", "uvloop": "uvloop", "FastStream": "faststream"}
_DEBIAN_PACKAGES = ("kamailio", "libnats-dev")


def machine() -> dict[str, str]:
    """The processor, system, versions and load average, by the names that the report shows."""
    return {
        "machine": f"{_cpu()}, {os.cpu_count()} cores; {platform.system()} {platform.release()}",
        "versions": ", ".join(_versions()),
        "load average before the run": f"{os.getloadavg()[0]:.1f}",
    }


def _versions() -> list[str]:
    found = [f"{platform.python_implementation()} {platform.python_version()}", f"natsroute {__version__}"]
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
