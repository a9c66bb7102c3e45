"""Publishes a job's messages as fast as the socket takes them. All commands are made before the first is sent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from time import perf_counter_ns

from benchmarks.load.job import Job, report
from benchmarks.load.traffic import command, messages
from tests.support.plain_client import PlainClient

_BYTES_PER_BLOCK = 64 * 1024


def _blocks(job: Job) -> Iterator[bytes]:
    per_block = max(1, _BYTES_PER_BLOCK // job.size)
    if job.traffic == "uniform" and job.subjects == 1 and not job.numbered:
        full, rest = divmod(job.count, per_block)
        one = command(next(messages(job)))
        yield from [one * per_block] * full
        yield one * rest
        return
    commands = map(command, messages(job))
    while block := b"".join(islice(commands, per_block)):
        yield block


def main() -> None:
    """Publish; report the start, the nanoseconds until the server has taken all, and the bytes of payload."""
    job = Job.read()
    blocks = list(_blocks(job))
    if job.traffic == "uniform":
        payload = job.count * job.size
    else:
        payload = sum(len(message.payload) for message in messages(job))
    client = PlainClient(job.url, job.timeout)
    started = perf_counter_ns()
    for block in blocks:
        client.write(block)
    client.flush()
    report(started=started, nanoseconds=perf_counter_ns() - started, bytes=payload)
    client.close()


if __name__ == "__main__":
    main()
