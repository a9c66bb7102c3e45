"""
The messages: the same for every peer, and in every run.

*Uniform*: one subject and one size, nothing else. *Mixed*: 1,000 subjects, 16 to 1,024 bytes, a different reply
subject in every message, and headers in one of five.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from benchmarks.load.job import Job

#: The kinds, and over how many subjects each is spread.
SUBJECTS = {"uniform": 1, "mixed": 1_000}

_SMALLEST, _LARGEST = 16, 1_024
MEAN_MIXED_SIZE = (_SMALLEST + _LARGEST) // 2
_HEADERS_IN_ONE_OF = 5


class Message(NamedTuple):
    """A message to be published."""

    subject: str
    payload: bytes
    reply: str = ""
    headers: dict[str, str] | None = None


def messages(job: Job) -> Iterator[Message]:
    """The messages of a job."""
    return _mixed(job) if job.traffic == "mixed" else _uniform(job)


def inbox(number: int) -> str:
    """The reply subject of a mixed message, or of a request."""
    return f"_INBOX.bench.{number:08x}"


def _uniform(job: Job) -> Iterator[Message]:
    names, same = job.subject_names, bytes(job.size).replace(b"\0", b"x")
    for number in range(job.first, job.first + job.count):
        payload = (b"%d" % number).ljust(job.size) if job.numbered else same
        yield Message(names[number % len(names)], payload)


def _mixed(job: Job) -> Iterator[Message]:
    names, random = job.subject_names, Random(job.first).random
    sizes = _LARGEST - _SMALLEST + 1
    for number in range(job.first, job.first + job.count):
        yield Message(
            names[int(random() * len(names))],
            (b"%d" % number).ljust(_SMALLEST + int(random() * sizes)),
            inbox(number),
            {"Call-ID": f"{number}@bench", "Content-Type": "text/plain"} if number % _HEADERS_IN_ONE_OF == 0 else None,
        )


def command(message: Message) -> bytes:
    """A message as the PUB or HPUB that publishes it."""
    subject, payload, reply, headers = message
    target = f"{subject} {reply}" if reply else subject
    if headers is None:
        return b"PUB %b %d\r\n%b\r\n" % (target.encode(), len(payload), payload)
    block = "".join(["NATS/1.0\r\n", *(f"{name}: {value}\r\n" for name, value in headers.items()), "\r\n"]).encode()
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (target.encode(), len(block), len(block) + len(payload), block, payload)


def delivered_size(message: Message) -> int:
    """Bytes of the MSG or HMSG by which a server delivers a message to a subscription whose sid is 1."""
    return len(command(message)) + len(b" 1")
