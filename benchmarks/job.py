"""What the processes of a benchmark are told, as arguments, and what they tell, as lines of JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass

SUBJECT = "bench.in"
QUEUE_GROUP = "bench"
RELAY_SUBJECT = "bench.out"


@dataclass(frozen=True)
class Job:
    """
    One task of one process.

    :ivar role: what a peer does: ``consume``, ``relay`` or ``respond``.
    :ivar count: messages, or requests.
    :ivar size: bytes of a payload.
    :ivar numbered: whether each payload begins with its number.
    :ivar patience: seconds until it must report what it has.
    """

    role: str
    url: str
    count: int
    size: int
    numbered: bool = False
    patience: float = 60.0

    @classmethod
    def read(cls) -> Job:
        """The job of this process."""
        return cls(**json.loads(sys.argv[1]))

    def to_json(self) -> str:
        """The argument that :meth:`read` reads."""
        return json.dumps(asdict(self))


def tell(**facts: object) -> None:
    """Tell the benchmark something; ``ready=True`` is what it waits for first."""
    print(json.dumps(facts), flush=True)
