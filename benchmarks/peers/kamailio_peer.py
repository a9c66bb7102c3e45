"""
The real Kamailio with its ``nats`` module, and the few lines of Python that start it and listen to it.

Its event route counts in script variables, and publishes the count where this program hears it: twice, for the module
gives what is published to its two workers in turns, and each passes on in order what it is given. So when both have
come, all that was published before is with the server.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, perf_counter_ns, sleep

from benchmarks.load.job import QUEUE_GROUP, RELAY_SUBJECT, SUBJECT, Job, tell, tell_ready
from benchmarks.load.raw import RawClient
from benchmarks.peers import Peer
from benchmarks.run.processes import children
from natsroute.daemon import child_guard

_TOLD, _ANSWERS = "told", "answers"
_PUBLISH_WORKERS = 2  # the module's default
# About 1 of 100 starts hangs: a worker was forked while a thread of the NATS library held a lock.
_START_PATIENCE, _STARTS = 6.0, 5

_MAX_COMPLAINTS = 3  # of its log's lines about errors that are shown

_CONFIGURATION = """\
#!KAMAILIO
debug=2
log_stderror=yes
disable_core_dump=yes   # with the nats module, 5.6.3 ends in a segmentation fault
disable_tcp=yes
pv_buffer_size=131072   # its default could not publish 64 KiB
children=1
listen=udp:127.0.0.1:{port}
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "nats.so"
modparam("nats", "nats_url", "{url}")
modparam("nats", "subject_queue_group", "{subject}:{group}")
request_route {{ exit; }}
event_route[nats:connected] {{ xlog("L_NOTICE", "publish worker connected\\n"); }}
event_route[nats:{subject}] {{
    {body}
}}
"""

_COUNT = """\
    $var(received) = $var(received) + 1;
    $var(size) = $var(size) + $(natsData{{s.len}});
    {relay}
    if ($var(received) mod {mark} == 0) {{
        nats_publish("{told}", "$var(received) $var(size)");
        nats_publish("{told}", "$var(received) $var(size)");
    }}
"""


def _body(job: Job) -> str:
    if job.role == "respond":
        return f'nats_publish("{_ANSWERS}", "$natsData");'  # it does not see the reply subject
    relay = f'nats_publish("{RELAY_SUBJECT}", "$natsData");' if job.role == "relay" else ""
    return _COUNT.format(relay=relay, mark=job.mark, told=_TOLD)


def _find() -> str | None:
    return shutil.which("kamailio", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"]))


def _missing() -> str:
    if _find() is None:
        return "Kamailio is not installed (apt-get install kamailio kamailio-nats-modules)"
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        command = _command(Path(folder), Job("consume", "nats://127.0.0.1:4222", 1, 1))
        checked = subprocess.run([*command, "-c"], capture_output=True, text=True)
    return "" if checked.returncode == 0 else "Kamailio refuses its configuration: is kamailio-nats-modules installed?"


def _command(folder: Path, job: Job) -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = folder / "kamailio.cfg"
    script.write_text(
        _CONFIGURATION.format(port=port, url=job.url, subject=SUBJECT, group=QUEUE_GROUP, body=_body(job))
    )
    sizes = ["-m", "1024", "-M", "64"]
    return [_find() or "kamailio", "-f", str(script), "-DD", "-E", *sizes, "-w", str(folder), "-Y", str(folder)]


class _Kamailio:
    """Kamailio on a leash of its own: all that it forked ends with it."""

    def __init__(self, folder: Path, job: Job) -> None:
        self._job = job
        self._workers = 0
        self._complaints = 0
        self.began = perf_counter_ns()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", child_guard.__file__, *_command(folder, job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        threading.Thread(target=self._read_log, daemon=True).start()

    @property
    def pid(self) -> int:
        """The main process, or its leash if that has not started it yet."""
        return next(iter(children(self._process.pid)), self._process.pid)

    def is_ready(self) -> bool:
        """Wait until its workers are connected and the server has its subscription; False if that takes too long."""
        give_up = monotonic() + _START_PATIENCE
        while monotonic() < give_up and self._process.poll() is None:
            if self._workers == _PUBLISH_WORKERS and self._is_subscribed():
                return True
            sleep(0.02)
        return False

    def end(self) -> None:
        """End it, and wait until nothing of it runs any longer."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _is_subscribed(self) -> bool:
        with urllib.request.urlopen(f"{self._job.monitor}/subsz?subs=1&test={SUBJECT}") as answer:
            return bool(json.load(answer).get("subscriptions_list"))

    def _read_log(self) -> None:
        for line in self._process.stderr or ():
            self._workers += "publish worker connected" in line
            if re.search(r"(ERROR|CRITICAL): nats", line) and self._complaints < _MAX_COMPLAINTS:
                self._complaints += 1
                print(line.strip(), file=sys.stderr)


@contextmanager
def _running(job: Job) -> Iterator[_Kamailio]:
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        for _ in range(_STARTS):
            kamailio = _Kamailio(Path(folder), job)
            try:
                # The first message of all is waited for without looking, for that would take its time.
                if job.count == 1 or kamailio.is_ready():
                    tell_ready(kamailio.pid)
                    yield kamailio
                    return
            finally:
                kamailio.end()
        raise SystemExit(f"of {_STARTS} Kamailios none was ready in {_START_PATIENCE} s")


def _play(job: Job) -> None:
    client = RawClient(job.url, job.patience)
    client.subscribe(_TOLD)
    with _running(job) as kamailio:
        if job.role == "respond":
            sleep(job.patience)
        received = size = besides = 0
        while received < job.count:
            words = _heard(client)
            if words:
                received, size = map(int, words.split())
                besides += 2
            tell(at=perf_counter_ns(), received=received, bytes=size, besides=besides, began=kamailio.began)
            if not words:
                break


def _heard(client: RawClient) -> bytes:
    """What the event route told next, twice; nothing if it tells nothing."""
    try:
        (_, words), _ = client.next_message(), client.next_message()
    except TimeoutError:
        return b""
    return words


def _end(*_: object) -> None:
    raise SystemExit


PEER = Peer(
    "Kamailio with its nats module, two publish workers",
    roles=("consume", "relay", "respond", "step"),
    missing=_missing,
    refuses_mixed="its event routes take no wildcard, and see no reply subject",
    fixed_reply=_ANSWERS,
)

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    _play(Job.read())
