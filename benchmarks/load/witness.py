"""An independent subscriber: which numbers a relay passed on, and in which order."""

from __future__ import annotations

from itertools import pairwise

from benchmarks.load.job import RELAY_SUBJECT, Job, tell, tell_ready
from benchmarks.load.raw import RawClient

_QUIET = 0.5  # seconds without a message after which no more are expected, once all came


def main() -> None:
    """Read, and tell what was lost, came twice or came out of order."""
    job = Job.read()
    client = RawClient(job.url, job.patience)
    client.subscribe(RELAY_SUBJECT)
    tell_ready()
    numbers: list[int] = []
    try:
        while True:
            numbers.append(int(client.next_message()[1]))
            if len(numbers) == job.count:
                client.wait_at_most(_QUIET)
    except TimeoutError:
        pass
    tell(
        received=len(numbers),
        lost=job.count - len(set(numbers)),
        twice=len(numbers) - len(set(numbers)),
        inversions=sum(after < before for before, after in pairwise(numbers)),
    )
    client.close()


if __name__ == "__main__":
    main()
