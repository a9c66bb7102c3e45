"""Feeds a peer, measures how long it takes, and checks that no message is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.load.job import Job
from benchmarks.run.scenario import Outcome
from benchmarks.run.testbed import Testbed


@dataclass
class Timing:
    """
    How one run went.

    :ivar seconds: from the feeder's first byte until the peer has handled the last message.
    :ivar problems: missing and extra messages, and what peer and server reported as errors.
    """

    seconds: float
    problems: list[str]


def timed(testbed: Testbed, peer: str, job: Job) -> Timing:
    """Feed a peer once."""
    trouble = len(testbed.server.trouble)
    with testbed.peer(peer, job) as child:
        plain = testbed.server.plain_clients if job.ca_file else 0
        before = testbed.server.messages_taken
        fed = testbed.feed(job)
        facts = child.next_report()
        relayed = job.count if job.role == "relay" else 0
        published = job.count + relayed + facts.get("extra_published", 0)
        taken = testbed.server.messages_taken_since(before, published)
    problems = [*facts.get("notes", ()), *testbed.server.trouble[trouble:]]
    if plain:
        problems.append(f"{plain} connections without TLS")
    expected = {"received": job.count, "confirmed": job.count, "bytes": fed["bytes"]}
    found = [(fact, facts.get(fact, number), number) for fact, number in expected.items()]
    for fact, actual, wanted in [*found, ("published", taken, published)]:
        if actual != wanted:
            problems.append(f"{fact}: {actual:,} instead of {wanted:,}")
    return Timing((facts["at"] - fed["started"]) / 1e9, problems)


def rate(testbed: Testbed, peer: str, role: str, measure: str, **more: Any) -> Outcome:
    """Feed a peer once; the figure is messages per second."""
    job = testbed.job(role, testbed.count_for(peer), **more)
    timing = timed(testbed, peer, job)
    return Outcome({measure: job.count / timing.seconds}, timing.problems)


def costs(testbed: Testbed, peer: str, role: str, points: Mapping[str, Mapping[str, Any]]) -> Outcome:
    """
    Feed a peer once for each of several measures; the figures are nanoseconds per message.

    :param points: for each measure, the fields of its job that differ from the usual job.
    """
    outcome = Outcome()
    for measure, more in points.items():
        job = testbed.job(role, testbed.count_for(peer), **more)
        timing = timed(testbed, peer, job)
        outcome.figures[measure] = timing.seconds * 1e9 / job.count
        outcome.problems += [f"{measure}: {problem}" for problem in timing.problems]
    return outcome
