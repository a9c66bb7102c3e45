"""What the processes of a benchmark are told, as arguments, and what they tell, as lines of JSON."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass

#: One subject: without a dot, which the name of a Kamailio event route cannot have. Of many, each has its number.
SUBJECT = "bench"
QUEUE_GROUP = "bench"
#: Where relays publish every message, its payload as it came, its headers and reply subject dropped.
RELAY_SUBJECT = "relayed"
#: A message here has a peer of the role ``share`` tell what it has received.
REPORT_SUBJECT = "report"

_BATCH_MESSAGES, _BATCH_BYTES = 1_000, 4 * 1024 * 1024


@dataclass(frozen=True)
class Job:
    """
    One task of one process.

    :ivar role: what a peer does: ``consume``, ``relay``, ``respond``, ``publish``, or a role that some have only.
    :ivar count: messages, or requests.
    :ivar size: bytes of a payload, of uniform traffic.
    :ivar traffic: ``uniform`` or ``mixed``; see :mod:`benchmarks.load.traffic`.
    :ivar subjects: how many subjects the messages are spread over.
    :ivar first: the number of the first message.
    :ivar step: messages after each of which a consumer tells how far it is; 0: at the end only.
    :ivar numbered: whether each payload of uniform traffic begins with its number; mixed ones always do.
    :ivar routes: event routes, where there are such.
    :ivar fixed_reply: the subject of all answers, for a peer that does not see who asks.
    :ivar ca_file: the CA to trust; empty: no TLS.
    :ivar monitor: the URL of the server's monitoring.
    :ivar patience: seconds until it must tell what it has.
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
    patience: float = 60.0

    @classmethod
    def read(cls) -> Job:
        """The job of this process."""
        return cls(**json.loads(sys.argv[1]))

    def to_json(self) -> str:
        """The argument that :meth:`read` reads."""
        return json.dumps(asdict(self))

    @property
    def pattern(self) -> str:
        """One subscription for all the subjects."""
        return SUBJECT if self.subjects == 1 else f"{SUBJECT}.*"

    @property
    def subject_names(self) -> list[str]:
        """Each of the subjects."""
        return [SUBJECT] if self.subjects == 1 else [f"{SUBJECT}.{number}" for number in range(self.subjects)]

    @property
    def batch(self) -> int:
        """How many messages a publisher publishes before it waits until the server has them: 1,000, at most 4 MiB."""
        return max(1, min(_BATCH_MESSAGES, _BATCH_BYTES // self.size))

    @property
    def mark(self) -> int:
        """The number of received messages after which a consumer first tells something."""
        return self.step or self.count


def tell(**facts: object) -> None:
    """Tell the benchmark something."""
    print(json.dumps(facts), flush=True)


def tell_ready(pid: int | None = None) -> None:
    """Tell that the server has all subscriptions, and in which process, by default this one, the peer runs."""
    tell(ready=True, pid=pid or os.getpid())
