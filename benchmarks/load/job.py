"""A benchmark's processes get a job as their argument and report as lines of JSON."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass

#: The subject of traffic with one subject. It has no dot, since the name of a Kamailio event route cannot have one.
SUBJECT = "bench"
QUEUE_GROUP = "bench"
#: Relays publish each payload to this subject, without the message's headers and reply subject.
RELAY_SUBJECT = "relayed"
#: The stream of the scenarios of JetStream, and its durable consumer. The stream has all messages of :data:`SUBJECT`.
STREAM, DURABLE = "bench", "bench"
#: How many requests wait for their answers at the same time. Before that, one of so many is sent while no other waits.
REQUESTS_IN_FLIGHT, ONE_AT_REST_OF = 256, 20
#: A message to this subject asks a peer with the role ``share`` how many messages it has received.
REPORT_SUBJECT = "report"

_BATCH_MESSAGES, _BATCH_BYTES = 1_000, 4 * 1024 * 1024


@dataclass(frozen=True)
class Job:
    """
    The task of one process.

    :ivar role: what a peer does: ``consume``, ``relay``, ``respond``, ``publish``, ``request``, ``jetstream_consume``,
        ``jetstream_publish``, or a role that only some peers have.
    :ivar count: number of messages or requests.
    :ivar size: bytes of a uniform payload.
    :ivar traffic: ``uniform`` or ``mixed``; see :mod:`benchmarks.load.traffic`.
    :ivar subjects: number of subjects that the messages are spread over.
    :ivar first: number of the first message.
    :ivar step: a consumer reports after each ``step`` messages; 0: only at the end.
    :ivar numbered: whether each uniform payload begins with its number; mixed payloads always do.
    :ivar routes: number of event routes, for peers that have event routes.
    :ivar fixed_reply: the subject of all replies, for a peer that does not see reply subjects.
    :ivar ca_file: the CA to trust; empty: no TLS.
    :ivar monitor: URL of the server's monitoring port.
    :ivar processes: number of processes, for a peer that starts them itself.
    :ivar timeout: seconds after which a process reports what it has.
    """

    role: str
    url: str
    count: int
    size: int
    traffic: str = "uniform"
    subjects: int = 1
    first: int = 0
    step: int = 0
    numbered: bool = False
    routes: int = 1
    fixed_reply: str = ""
    ca_file: str = ""
    monitor: str = ""
    processes: int = 1
    timeout: float = 60.0

    @classmethod
    def read(cls) -> Job:
        """The job of this process."""
        return cls(**json.loads(sys.argv[1]))

    def to_json(self) -> str:
        """The argument that :meth:`read` reads."""
        return json.dumps(asdict(self))

    @property
    def pattern(self) -> str:
        """The subject of one subscription that matches all messages."""
        return SUBJECT if self.subjects == 1 else f"{SUBJECT}.*"

    @property
    def subject_names(self) -> list[str]:
        """Each subject; if there are several, they are numbered."""
        return [SUBJECT] if self.subjects == 1 else [f"{SUBJECT}.{number}" for number in range(self.subjects)]

    @property
    def batch(self) -> int:
        """Number of messages that a publisher publishes before each flush: 1,000, but at most 4 MiB."""
        return max(1, min(_BATCH_MESSAGES, _BATCH_BYTES // self.size))

    @property
    def first_report(self) -> int:
        """Number of received messages after which a consumer reports for the first time."""
        return self.step or self.count


def report(**facts: object) -> None:
    """Print one report of this process."""
    print(json.dumps(facts), flush=True)


def report_ready(pid: int | None = None) -> None:
    """
    Report that the server has all subscriptions.

    :param pid: the process that the peer runs in; default: this one.
    """
    report(ready=True, pid=pid or os.getpid())
