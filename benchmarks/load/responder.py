"""Answers each request with its payload, until it is ended. It does as little as it can."""

from __future__ import annotations

from benchmarks.load.job import QUEUE_GROUP, Job, report_ready
from tests.support.plain_client import PlainClient


def main() -> None:
    """Answer the requests of a job."""
    job = Job.read()
    client = PlainClient(job.url, timeout=None)
    client.subscribe(job.pattern, QUEUE_GROUP)
    report_ready()
    while True:
        requests = client.messages_within(60.0)
        answers = [b"PUB %b %d\r\n%b\r\n" % (reply, len(payload), payload) for _, reply, payload in requests]
        client.write(b"".join(answers))


if __name__ == "__main__":
    main()
