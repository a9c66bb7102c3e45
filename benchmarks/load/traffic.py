"""
The messages of a job. They are the same for every peer, and in every run.

*Uniform* traffic has one subject and one size, no reply subjects and no headers. *Mixed* traffic has 1,000 subjects,
payloads of 16 to 1,024 bytes, a different reply subject in every message, and headers in every fifth message.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from benchmarks.load.job import Job

#: The kinds of traffic, and the number of subjects of each.
SUBJECTS = {"uniform": 1, "mixed": 1_000}

_SMALLEST, _LARGEST = 16, 1_024
MEAN_MIXED_SIZE = (_SMALLEST + _LARGEST) // 2
_HEADERS_EVERY = 5


class Message(NamedTuple):
    """A message to publish."""

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
            {"Call-ID": f"{number}@bench", "Content-Type": "text/plain"} if number % _HEADERS_EVERY == 0 else None,
        )


def command(message: Message) -> bytes:
    """The PUB or HPUB command that publishes a message."""
    subject, payload, reply, headers = message
    target = f"{subject} {reply}" if reply else subject
    if headers is None:
        return b"PUB %b %d\r\n%b\r\n" % (target.encode(), len(payload), payload)
    block = "".join(["NATS/1.0\r\n", *(f"{name}: {value}\r\n" for name, value in headers.items()), "\r\n"]).encode()
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (target.encode(), len(block), len(block) + len(payload), block, payload)


def delivery(message: Message, sid: int = 1) -> bytes:
    """The MSG or HMSG with which a server delivers a message to the subscription with this sid."""
    kind, subject, rest = command(message).split(b" ", 2)
    return b"%b %b %d %b" % (kind.replace(b"PUB", b"MSG"), subject, sid, rest)


def delivered_size(message: Message) -> int:
    """The size of :func:`delivery`, with sid 1."""
    return len(command(message)) + len(b" 1")
