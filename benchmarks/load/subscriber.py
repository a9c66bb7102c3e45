"""Subscribes to the messages that a relay publishes, and reports which are missing, duplicated or out of order."""

from __future__ import annotations

from itertools import pairwise

from benchmarks.load.job import RELAY_SUBJECT, Job, report, report_ready
from tests.support.plain_client import PlainClient

_SETTLE = 0.5  # seconds without a message after which no duplicate is expected


def main() -> None:
    """Receive, and report."""
    job = Job.read()
    client = PlainClient(job.url, job.timeout)
    client.subscribe(RELAY_SUBJECT)
    report_ready()
    numbers: list[int] = []
    try:
        while True:
            numbers.append(int(client.next_message()[2]))
            if len(numbers) == job.count:
                client.socket.settimeout(_SETTLE)
    except TimeoutError:
        pass
    report(
        received=len(numbers),
        lost=job.count - len(set(numbers)),
        duplicated=len(numbers) - len(set(numbers)),
        out_of_order=sum(after < before for before, after in pairwise(numbers)),
    )
    client.close()


if __name__ == "__main__":
    main()
