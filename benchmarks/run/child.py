"""A process that the benchmark starts, and that reports as lines of JSON."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from time import monotonic
from types import MappingProxyType
from typing import Any

from benchmarks.load.job import Job
from natsroute.daemon.child_guard import guarded

#: Seconds that a process has for its job.
TIMEOUT = 60.0
_MARGIN = 20.0  # seconds more in which it must start, and report that its time is over


class NoReportError(Exception):
    """A process ended without the report that was expected, or did not send it in time."""


class Child:
    """
    A running process.

    :param module: a program of :mod:`benchmarks.load` or :mod:`benchmarks.peers`.
    :param environment: variables that it has besides those of this process.

    :ivar pid: the process whose memory counts; 0 until the process is ready.
    """

    def __init__(self, module: str, job: Job, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        self.pid = 0
        self._module = module
        # Without the child guard, the process would survive a benchmark that is killed.
        self._process = subprocess.Popen(
            guarded([sys.executable, "-m", module, job.to_json()]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
        )
        self._buffer = b""

    def wait_until_ready(self) -> None:
        """
        Wait until the server has the subscriptions of the process.

        :raises NoReportError: the process did not become ready.
        """
        self.pid = self.next_report()["pid"]

    def next_report(self, timeout: float = TIMEOUT + _MARGIN) -> dict[str, Any]:
        """
        Wait for the next report.

        :param timeout: in seconds.
        :raises NoReportError: the process ended, or the time is over.
        """
        assert self._process.stdout is not None
        pipe, deadline = self._process.stdout.fileno(), monotonic() + timeout
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([pipe], [], [], max(0.0, deadline - monotonic()))
            data = os.read(pipe, 1 << 20) if readable else b""
            if not data:
                what = "ended without a report" if readable else f"sent no report in {timeout:.0f} s"
                raise NoReportError(f"{self._module} {what}")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        facts: dict[str, Any] = json.loads(line)
        return facts

    def reports_within(self, seconds: float) -> list[dict[str, Any]]:
        """The next report in a list, or an empty list if none comes in that time."""
        assert self._process.stdout is not None
        if b"\n" not in self._buffer and not select.select([self._process.stdout], [], [], seconds)[0]:
            return []
        return [self.next_report()]

    def end(self) -> None:
        """End the process, and wait until it has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
