"""From the start of the process to the first message that has come to its function."""

from __future__ import annotations

from time import monotonic, perf_counter_ns

from benchmarks.load.raw import RawClient
from benchmarks.load.traffic import command, messages
from benchmarks.run.scenario import Measure, Outcome, Scenario
from benchmarks.run.stage import PATIENCE, Stage

_TIME = Measure("first message after", "ms", more_is_better=False)

_EVERY = 0.002  # seconds between the messages, of which the first that it gets counts


def run(stage: Stage, peer: str) -> Outcome:
    """One peer, once."""
    job = stage.job("consume", 1)
    message = command(next(messages(job)))
    client = RawClient(stage.server.url)
    began, give_up = perf_counter_ns(), monotonic() + PATIENCE
    with stage.starting_peer(peer, job) as child:
        told: list[dict[str, int]] = []
        while not any("at" in facts for facts in told) and monotonic() < give_up:
            client.write(message)
            told += child.facts_within(_EVERY)
    client.close()
    first = [facts["at"] for facts in told if "at" in facts]
    # What is not Python has a few lines of Python around it, whose own start is not its fault.
    began = max([began, *(facts.get("began", 0) for facts in told)])
    if not first:
        return Outcome(complaints=[f"no message in {PATIENCE:.0f} s"])
    return Outcome({_TIME.name: (first[0] - began) / 1e6})


SCENARIO = Scenario(5, (_TIME,), ("consume",), run)
