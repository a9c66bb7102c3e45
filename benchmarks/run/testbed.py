"""What a scenario runs on: the server, the traffic, the processors, and the processes that it starts there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.load.job import Job
from benchmarks.load.traffic import MEAN_MIXED_SIZE, SUBJECTS
from benchmarks.peers import Peer
from benchmarks.run.child import TIMEOUT, Child
from benchmarks.run.processors import Processors, bound_to
from benchmarks.run.servers import NatsServer

#: Bytes of payload in one run. A peer that reads faster than it handles messages can keep them all.
_MAX_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True)
class Testbed:
    """
    The testbed of one kind of messages.

    :ivar peers: all peers, by name.
    :ivar messages: messages of one run, unless they have too many bytes or the peer is too slow.
    :ivar size: bytes of a uniform payload.
    :ivar traffic: ``uniform`` or ``mixed``.
    """

    server: NatsServer
    peers: Mapping[str, Peer]
    messages: int
    size: int
    traffic: str = "uniform"
    processors: Processors = Processors.shared()

    @property
    def count(self) -> int:
        """The number of messages of one run."""
        size = self.size if self.traffic == "uniform" else MEAN_MIXED_SIZE
        return max(1, min(self.messages, _MAX_BYTES // size))

    def count_for(self, peer: str) -> int:
        """The number of messages that a peer gets in one run."""
        return max(1, round(self.count * self.peers[peer].fraction))

    def job(self, role: str, count: int, **more: Any) -> Job:
        """A job on this testbed."""
        facts: dict[str, Any] = {
            "traffic": self.traffic,
            "subjects": SUBJECTS[self.traffic],
            "monitor": self.server.monitor,
            "timeout": TIMEOUT,
            **more,
        }
        return Job(role, self.server.url, count, self.size, **facts)

    @contextmanager
    def program(self, name: str, job: Job) -> Iterator[Child]:
        """Run a program of :mod:`benchmarks.load`, such as ``feeder``."""
        with bound_to(self.processors.others):
            child = Child(f"benchmarks.load.{name}", job)
        try:
            yield child
        finally:
            child.end()

    @contextmanager
    def starting_peer(self, name: str, job: Job) -> Iterator[Child]:
        """Start a peer, and do not wait until it is ready."""
        with bound_to(self.processors.peer):
            child = Child(self.peers[name].module, job, self.peers[name].environment)
        try:
            yield child
        finally:
            child.end()

    @contextmanager
    def peer(self, name: str, job: Job) -> Iterator[Child]:
        """Start a peer, and wait until the server has its subscriptions."""
        with self.starting_peer(name, job) as child:
            child.wait_until_ready()
            yield child

    def feed(self, job: Job) -> dict[str, Any]:
        """Publish the messages of a job, and return the feeder's report."""
        with self.program("feeder", job) as feeder:
            return feeder.next_report()
