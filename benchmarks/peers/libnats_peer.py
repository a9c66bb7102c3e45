"""The C library libnats (Debian: libnats-dev). Compiles ``libnats_peer.c`` and runs it with the job as arguments."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from time import perf_counter_ns

from benchmarks.load.job import QUEUE_GROUP, RELAY_SUBJECT, Job
from benchmarks.peers import Peer

_SOURCE = Path(__file__).with_suffix(".c")
_PROGRAM = Path(__file__).parents[2] / "build" / "benchmarks" / "libnats_peer"
_COMPILER = "cc"


def _build() -> str:
    """Compile the program if it is missing or older than its source; return why that failed, or an empty string."""
    if _PROGRAM.exists() and _PROGRAM.stat().st_mtime > _SOURCE.stat().st_mtime:
        return ""
    if shutil.which(_COMPILER) is None:
        return "there is no C compiler (apt-get install gcc libnats-dev)"
    _PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    new = _PROGRAM.with_suffix(f".{os.getpid()}")
    command = [_COMPILER, "-O2", "-Wall", "-o", str(new), str(_SOURCE), "-lnats"]
    compiled = subprocess.run(command, capture_output=True, text=True)
    if compiled.returncode:
        lines = [line for line in compiled.stderr.splitlines() if "error" in line] or ["cc failed"]
        return f"it cannot be compiled (apt-get install libnats-dev): {lines[0]}"
    new.replace(_PROGRAM)
    return ""


PEER = Peer(
    "the C library libnats without pending limits",
    # Not tls: version 3.4 uses TLS only with a server that requires it.
    roles=("consume", "relay", "respond", "publish", "subscriptions", "step"),
    missing=_build,
)

if __name__ == "__main__":
    job = Job.read()
    subjects = job.subject_names if job.role == "subscriptions" else [job.pattern]
    # The start of Python does not count.
    began = perf_counter_ns()
    arguments = [job.role, job.url, job.count, job.first_report, job.size, job.traffic, job.ca_file or "-", job.timeout]
    names = [QUEUE_GROUP, RELAY_SUBJECT, job.batch, began]
    os.execv(_PROGRAM, [str(_PROGRAM), *map(str, [*arguments, *names, *subjects])])
