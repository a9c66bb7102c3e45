"""natsroute with ``--processes``, as an operator starts it: a parent, and processes that share a queue group."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.load.counting_routes import COUNTS_SUBJECT
from benchmarks.load.job import QUEUE_GROUP, REPORT_SUBJECT, Job, report, report_ready
from benchmarks.peers import Peer
from tests.support.plain_client import PlainClient

PEER = Peer("natsroute with --processes", roles=("share",), supervises=True)


def main() -> None:
    """Start natsroute, and report what all its processes have received whenever a message asks for it."""
    job = Job.read()
    command = [
        sys.executable, str(Path(sys.executable).with_name("twistd")), "--nodaemon", "--pidfile=",
        "natsroute", "--processes", str(job.processes), "--nats_url", job.url,
        "--subject_queue_group", f"{job.pattern}:{QUEUE_GROUP}", "--event_routes", "benchmarks.load.counting_routes",
        "--admin_socket", "off",
    ]  # fmt: skip
    with PlainClient(job.url, None) as client:
        client.write(f"SUB {COUNTS_SUBJECT} 1\r\nSUB {REPORT_SUBJECT} 2\r\n".encode())
        client.flush()
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, env=environment
        ):  # the child guard of this process ends it, too
            _report(client, job.processes)


def _report(client: PlainClient, processes: int) -> None:
    counts: dict[int, dict[str, Any]] = {}
    while True:
        subject, _, payload = client.next_message()
        if subject == REPORT_SUBJECT.encode():
            numbers = counts.values()
            report(at=max(one["at"] for one in numbers), received=sum(one["received"] for one in numbers))
            continue
        facts = json.loads(payload)
        were = len(counts)
        counts[facts["pid"]] = facts
        if len(counts) == processes > were:
            report_ready()


if __name__ == "__main__":
    main()
