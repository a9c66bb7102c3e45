"""
Publishing, nothing else, and after each 1,000 messages, or 4 MiB, a flush that comes back when the server has them. Of
natsroute it is asked as well that it has counted each as confirmed.
"""

from __future__ import annotations

from benchmarks.run.scenario import Goal, Measure, Outcome, Scenario
from benchmarks.run.stage import Stage

_RATE = Measure(
    "published",
    "messages/s",
    goals=(Goal("uniform", 3.0, peer="nats-py"), Goal("mixed", 2.5, peer="nats-py")),
)


def run(stage: Stage, peer: str) -> Outcome:
    """One peer, once."""
    trouble = len(stage.server.trouble)
    before = stage.server.messages_taken
    job = stage.job("publish", stage.count_for(peer))
    with stage.starting_peer(peer, job) as child:
        facts = child.next_facts()
        taken = stage.server.messages_taken_since(before, job.count)
    complaints = [*facts.get("notes", ()), *stage.server.trouble[trouble:]]
    for fact, number in {"the server has": taken, "confirmed": facts.get("confirmed", job.count)}.items():
        if number != job.count:
            complaints.append(f"{fact}: {number:,} instead of {job.count:,}")
    return Outcome({_RATE.name: job.count / ((facts["at"] - facts["began"]) / 1e9)}, complaints)


SCENARIO = Scenario(3, (_RATE,), ("publish",), run)
