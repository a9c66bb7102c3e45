"""The stage of a scenario: the server, and the processes that play on it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

from benchmarks.load.job import Job
from benchmarks.load.traffic import MEAN_MIXED_SIZE, SUBJECTS
from benchmarks.peers import Peer
from benchmarks.run.processors import Processors, bound_to
from benchmarks.run.scenario import Outcome
from benchmarks.run.servers import NatsServer
from natsroute.daemon import child_guard

PATIENCE = 60.0
_MARGIN = 20.0  # seconds for a process to start and to say that its patience has ended

#: A run has at most so many bytes of payload, so that a peer that reads faster than it handles can keep them all.
_MAX_BYTES = 100 * 1024 * 1024


class NothingSaidError(Exception):
    """A process ended, or its time did, and it had not said what was waited for."""


class Child:
    """
    A process that tells its facts in lines of JSON.

    :ivar pid: once it is ready, the process whose memory is its own.
    """

    def __init__(self, module: str, job: Job) -> None:
        self.pid = 0
        self._module = module
        # Without the leash a process might outlive a benchmark that is killed.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", child_guard.__file__, sys.executable, "-m", module, job.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._said = b""

    def wait_until_ready(self) -> None:
        """
        Wait until the server has its subscriptions.

        :raises NothingSaidError: it never will.
        """
        self.pid = self.next_facts()["pid"]

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

    def facts_within(self, seconds: float) -> list[dict[str, Any]]:
        """What the process tells in that time, if anything."""
        assert self._process.stdout is not None
        if b"\n" not in self._said and not select.select([self._process.stdout], [], [], seconds)[0]:
            return []
        return [self.next_facts()]

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
    :ivar peers: all of them, by name.
    :ivar messages: messages of a run, where they are not too many bytes and the peer is not too slow for them.
    :ivar size: bytes of a payload of uniform traffic.
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
        """How many messages a run has."""
        size = self.size if self.traffic == "uniform" else MEAN_MIXED_SIZE
        return max(1, min(self.messages, _MAX_BYTES // size))

    def count_for(self, peer: str) -> int:
        """How many of them a peer gets."""
        return max(1, round(self.count * self.peers[peer].share))

    def job(self, role: str, count: int, **more: Any) -> Job:
        """A job on this stage."""
        facts: dict[str, Any] = {
            "traffic": self.traffic,
            "subjects": SUBJECTS[self.traffic],
            "monitor": self.server.monitor,
            "patience": PATIENCE,
            **more,
        }
        return Job(role, self.server.url, count, self.size, **facts)

    @contextmanager
    def program(self, name: str, job: Job) -> Iterator[Child]:
        """Run a program of benchmarks.load, as ``feeder``."""
        with bound_to(self.processors.stage):
            child = Child(f"benchmarks.load.{name}", job)
        try:
            yield child
        finally:
            child.end()

    @contextmanager
    def starting_peer(self, name: str, job: Job) -> Iterator[Child]:
        """Run a peer, without waiting for anything."""
        with bound_to(self.processors.peer):
            child = Child(self.peers[name].module, job)
        try:
            yield child
        finally:
            child.end()

    @contextmanager
    def peer(self, name: str, job: Job) -> Iterator[Child]:
        """Run a peer; the server has its subscriptions."""
        with self.starting_peer(name, job) as child:
            child.wait_until_ready()
            yield child

    def feed(self, job: Job) -> dict[str, Any]:
        """Publish the job's messages; what the feeder told of it."""
        with self.program("feeder", job) as feeder:
            return feeder.next_facts()


@dataclass
class Timing:
    """
    How one feeding went.

    :ivar seconds: from the feeder's first byte to when the peer had done its part with the last message.
    :ivar complaints: what was lost, or came too often, and what peer and server said of trouble.
    """

    seconds: float
    complaints: list[str]


def timed(stage: Stage, peer: str, job: Job) -> Timing:
    """Feed a peer, and look whether all is as it must be."""
    trouble = len(stage.server.trouble)
    with stage.peer(peer, job) as child:
        plain = stage.server.plain_clients if job.ca_file else 0
        before = stage.server.messages_taken
        fed = stage.feed(job)
        facts = child.next_facts()
        relayed = job.count if job.role == "relay" else 0
        published = job.count + relayed + facts.get("besides", 0)
        taken = stage.server.messages_taken_since(before, published)
    complaints = [*facts.get("notes", ()), *stage.server.trouble[trouble:]]
    if plain:
        complaints.append(f"{plain} connections without TLS")
    expected = {"received": job.count, "confirmed": job.count, "bytes": fed["bytes"]}
    found = [(fact, facts.get(fact, number), number) for fact, number in expected.items()]
    for fact, is_there, should_be in [*found, ("published", taken, published)]:
        if is_there != should_be:
            complaints.append(f"{fact}: {is_there:,} instead of {should_be:,}")
    return Timing((facts["at"] - fed["started"]) / 1e9, complaints)


def rate(stage: Stage, peer: str, role: str, measure: str, **more: Any) -> Outcome:
    """Messages a second of a peer that is fed."""
    job = stage.job(role, stage.count_for(peer), **more)
    timing = timed(stage, peer, job)
    return Outcome({measure: job.count / timing.seconds}, timing.complaints)


def costs(stage: Stage, peer: str, role: str, points: dict[str, dict[str, Any]]) -> Outcome:
    """
    Nanoseconds a message, at several points of something that grows.

    :param points: what the job is beside the usual, by the measures' names.
    """
    outcome = Outcome()
    for measure, more in points.items():
        job = stage.job(role, stage.count_for(peer), **more)
        timing = timed(stage, peer, job)
        outcome.figures[measure] = timing.seconds * 1e9 / job.count
        outcome.complaints += [f"{measure}: {complaint}" for complaint in timing.complaints]
    return outcome
