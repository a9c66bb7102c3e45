"""Publishes as fast as a socket takes it: blocks of PUB commands, made before the first is sent."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

from benchmarks.job import SUBJECT, Job, tell
from benchmarks.raw import RawClient

_MESSAGES_PER_BLOCK = 500


def _blocks(job: Job) -> Iterator[bytes]:
    same: dict[int, bytes] = {}
    for first in range(0, job.count, _MESSAGES_PER_BLOCK):
        numbers = range(first, min(first + _MESSAGES_PER_BLOCK, job.count))
        if job.numbered:
            yield b"".join(_command(b"%d" % number, job.size) for number in numbers)
        else:
            yield same.setdefault(len(numbers), _command(b"", job.size) * len(numbers))


def _command(start: bytes, size: int) -> bytes:
    return b"PUB %b %d\r\n%b\r\n" % (SUBJECT.encode(), size, start.ljust(size))


def main() -> None:
    """Send, and tell how long the server took to take it all."""
    job = Job.read()
    blocks = list(_blocks(job))
    client = RawClient(job.url, job.patience)
    started = perf_counter()
    for block in blocks:
        client.write(block)
    client.flush()
    tell(seconds=perf_counter() - started)
    client.close()


if __name__ == "__main__":
    main()
