"""
Kamailio with its ``nats`` module. This program starts Kamailio and reports for it.

Kamailio runs the configuration of :mod:`~benchmarks.peers.kamailio_script`, and publishes its counts to this program.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, perf_counter_ns, sleep

from benchmarks.load.job import SUBJECT, Job, report, report_ready
from benchmarks.peers import Peer
from benchmarks.peers.kamailio_script import CONNECTED, COUNTS, REPLIES, TARGETS, write
from benchmarks.peers.process_tree import children
from natsroute.daemon.child_guard import guarded
from tests.support.kamailio import PUBLISH_WORKERS, START_TIMEOUTS, find, reserve_udp_port
from tests.support.plain_client import PlainClient

_MAX_ERRORS = 3  # lines of its log that are shown


def missing(*, lua: bool = False) -> str:
    """What must be installed; empty if nothing."""
    packages = f"kamailio kamailio-nats-modules{' kamailio-lua-modules' if lua else ''}"
    if find("kamailio") is None:
        return f"Kamailio is not installed (apt-get install {packages})"
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        command = _command(Path(folder), Job("consume", "nats://127.0.0.1:4222", 1, 1), 5060, lua)
        checked = subprocess.run([*command, "-c"], capture_output=True, text=True)
    return "" if checked.returncode == 0 else f"Kamailio refuses its configuration (apt-get install {packages})"


def _command(folder: Path, job: Job, port: int, lua: bool) -> list[str]:
    script = write(folder, job, port, lua=lua)
    sizes = ["-m", "1024", "-M", "64"]
    return [
        find("kamailio") or "kamailio",
        "-f",
        str(script),
        "-DD",
        "-E",
        *sizes,
        "-w",
        str(folder),
        "-Y",
        str(folder),
    ]


class _Kamailio:
    """Kamailio under a child guard, which also ends the processes that Kamailio forks."""

    def __init__(self, folder: Path, job: Job, lua: bool) -> None:
        self._job = job
        self._workers = 0
        self._errors = 0
        self._reserved = reserve_udp_port()
        self.began = perf_counter_ns()
        command = _command(folder, job, self._reserved.getsockname()[1], lua)
        self._process = subprocess.Popen(
            guarded(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        threading.Thread(target=self._read_log, daemon=True).start()

    @property
    def pid(self) -> int:
        """The main process, or the child guard if that has not started Kamailio yet."""
        return next(iter(children(self._process.pid)), self._process.pid)

    def is_ready(self, seconds: float) -> bool:
        """Wait until the workers are connected and the server has the subscription; False if that takes too long."""
        deadline = monotonic() + seconds
        while monotonic() < deadline and self._process.poll() is None:
            if self._workers == PUBLISH_WORKERS and self._is_subscribed():
                return True
            sleep(0.02)
        return False

    def end(self) -> None:
        """End Kamailio, and wait until all its processes have ended."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._reserved.close()

    def _is_subscribed(self) -> bool:
        with urllib.request.urlopen(f"{self._job.monitor}/subsz?subs=1&test={SUBJECT}") as answer:
            return bool(json.load(answer).get("subscriptions_list"))

    def _read_log(self) -> None:
        for line in self._process.stderr or ():
            self._workers += CONNECTED in line
            if re.search(r"(ERROR|CRITICAL): nats", line) and self._errors < _MAX_ERRORS:
                self._errors += 1
                print(line.strip(), file=sys.stderr)


@contextmanager
def _running(job: Job, lua: bool) -> Iterator[_Kamailio]:
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        for seconds in START_TIMEOUTS:
            kamailio = _Kamailio(Path(folder), job, lua)
            try:
                # The start-up scenario has one message, and queries to the server would slow the start down.
                if job.count == 1 or kamailio.is_ready(seconds):
                    report_ready(kamailio.pid)
                    yield kamailio
                    return
            finally:
                kamailio.end()
        raise SystemExit(f"Kamailio was not ready in {START_TIMEOUTS[-1]} s, in {len(START_TIMEOUTS)} starts")


def _run(job: Job, lua: bool) -> None:
    client = PlainClient(job.url, job.timeout)
    client.subscribe(COUNTS)
    with _running(job, lua) as kamailio:
        if job.role in TARGETS:
            sleep(job.timeout)
        received = size = extra = 0
        while received < job.count:
            words = _next_counts(client)
            if words:
                received, size = map(int, words.split())
                extra += 2
            report(at=perf_counter_ns(), received=received, bytes=size, extra_published=extra, began=kamailio.began)
            if not words:
                break


def _next_counts(client: PlainClient) -> bytes:
    """What the event route publishes next, twice; empty if nothing comes in time."""
    try:
        (_, _, words), _ = client.next_message(), client.next_message()
    except TimeoutError:
        return b""
    return words


def _end(*_: object) -> None:
    raise SystemExit


#: Why Kamailio takes no mixed traffic.
REFUSES_MIXED = "its event routes take no wildcard and see no reply subject"

PEER = Peer(
    "Kamailio with its nats module, two publish workers",
    roles=("consume", "relay", "respond", "step", "script"),
    missing=missing,
    refuses_mixed=REFUSES_MIXED,
    fixed_reply=REPLIES,
)


def main(*, lua: bool = False) -> None:
    """Take the role of the job."""
    signal.signal(signal.SIGTERM, _end)
    _run(Job.read(), lua)


if __name__ == "__main__":
    main()
