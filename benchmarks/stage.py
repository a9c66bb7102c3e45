"""The stage of a scenario: the server, and the processes that play on it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from benchmarks.job import Job
from benchmarks.peers import PEERS
from benchmarks.servers import NatsServer
from natsroute.daemon import leash

PATIENCE = 60.0
_MARGIN = 20.0  # seconds for a process to start and to say that its patience has ended


class NothingSaidError(Exception):
    """A process ended, or its time did, and it had not said what was waited for."""


@dataclass
class Outcome:
    """
    What one run of a scenario gave.

    :ivar figures: by the names of the scenario's measures.
    :ivar complaints: what was not as it must be; its figures are then worth nothing.
    """

    figures: dict[str, float] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Measure:
    """
    What a scenario measures.

    :ivar goal: what natsroute's figure divided by the peer's shall be; None: nothing is promised.
    :ivar more_is_better: whether the goal is a minimum.
    """

    name: str
    unit: str
    goal: float | None = None
    more_is_better: bool = True


class Child:
    """A process that tells its facts in lines of JSON."""

    def __init__(self, module: str, job: Job) -> None:
        self._module = module
        # Without the leash a process might outlive a benchmark that is killed.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", leash.__file__, sys.executable, "-m", module, job.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._said = b""

    def next_facts(self, patience: float = PATIENCE + _MARGIN) -> dict[str, Any]:
        """
        What the process tells next.

        :raises NothingSaidError: it tells nothing.
        """
        assert self._process.stdout is not None
        pipe, end = self._process.stdout.fileno(), monotonic() + patience
        while b"\n" not in self._said:
            readable, _, _ = select.select([pipe], [], [], max(0.0, end - monotonic()))
            data = os.read(pipe, 1 << 20) if readable else b""
            if not data:
                what = "ended before it said" if readable else f"did not say in {patience:.0f} s"
                raise NothingSaidError(f"{self._module} {what} how it went")
            self._said += data
        line, _, self._said = self._said.partition(b"\n")
        facts: dict[str, Any] = json.loads(line)
        return facts

    def end(self) -> None:
        """End it, and wait until it has."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@dataclass(frozen=True)
class Stage:
    """
    :ivar count: messages of a run.
    :ivar size: bytes of a payload.
    """

    server: NatsServer
    count: int
    size: int

    def job(self, role: str, *, count: int | None = None, numbered: bool = False, patience: float = PATIENCE) -> Job:
        """A job on this stage."""
        return Job(role, self.server.url, self.count if count is None else count, self.size, numbered, patience)

    @contextmanager
    def program(self, name: str, job: Job, *, wait: bool = False) -> Iterator[Child]:
        """
        Run a program of this folder, as ``feeder``.

        :param wait: until it is ready.
        """
        child = Child(f"benchmarks.{name}", job)
        try:
            if wait:
                child.next_facts()
            yield child
        finally:
            child.end()

    @contextmanager
    def peer(self, name: str, job: Job) -> Iterator[Child]:
        """Run a peer; its subscription is with the server."""
        with self.program(f"peers.{PEERS[name]}", job, wait=True) as child:
            yield child

    def feed(self, job: Job) -> float:
        """Publish the job's messages; the seconds that it took."""
        with self.program("feeder", job) as feeder:
            return float(feeder.next_facts()["seconds"])


def timed_run(stage: Stage, peer: str, role: str, measure: Measure) -> Outcome:
    """Feed a peer, and have it say how long it took from the first message to the last."""
    trouble = len(stage.server.trouble)
    job = stage.job(role)
    with stage.peer(peer, job) as child:
        stage.feed(job)
        facts = child.next_facts()
    outcome = Outcome(complaints=[*facts["notes"], *stage.server.trouble[trouble:]])
    expected = {"received": job.count, "confirmed": job.count, "bytes": job.count * job.size}
    for fact, number in expected.items():
        if facts.get(fact, number) != number:
            outcome.complaints.append(f"{fact}: {facts[fact]:,} instead of {number:,}")
    outcome.figures[measure.name] = job.count / (facts["nanoseconds"] / 1e9)
    return outcome
