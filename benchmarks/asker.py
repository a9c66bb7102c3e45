"""Asks, waits for the answer, asks again: the time of each round trip."""

from __future__ import annotations

from time import perf_counter_ns

from benchmarks.job import SUBJECT, Job, tell
from benchmarks.raw import RawClient

_WARM_UP = 200


def main() -> None:
    """Ask, and tell the nanoseconds that each answer took."""
    job = Job.read()
    client = RawClient(job.url, job.patience)
    client.subscribe("_INBOX.bench.*")
    times, wrong = [], 0
    for number in range(_WARM_UP + job.count):
        # Each request has a reply subject of its own, as with real clients.
        inbox, payload = b"_INBOX.bench.%08x" % number, (b"%d" % number).ljust(job.size)
        request = b"PUB %b %b %d\r\n%b\r\n" % (SUBJECT.encode(), inbox, len(payload), payload)
        started = perf_counter_ns()
        client.write(request)
        answer = client.next_message()
        times.append(perf_counter_ns() - started)
        wrong += answer != (inbox, payload)
    tell(nanoseconds=times[_WARM_UP:], wrong=wrong)
    client.close()


if __name__ == "__main__":
    main()
