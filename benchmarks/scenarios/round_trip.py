"""Requests, asked by the same program, answered by each peer; see :mod:`benchmarks.load.asker`."""

from __future__ import annotations

from statistics import quantiles

from benchmarks.run.scenario import Goal, Measure, Outcome, Scenario
from benchmarks.run.stage import Stage

_GOALS = (
    Goal("uniform", 0.8, peer="nats-py"),
    Goal("mixed", 0.8, peer="nats-py"),
    Goal("uniform", 0.25, peer="kamailio"),
)
_PERCENTILES = {"median": 500, "99 %": 990, "99.9 %": 999}
_PHASES = {"at_rest": "at rest", "under_load": "at half of its top rate"}
_TOP = Measure("top rate", "answers/s")

# Messages of a run for each request: it takes some hundred times as long.
_MESSAGES_PER_REQUEST = 40
_FEWEST = 1_000


def _measures() -> tuple[Measure, ...]:
    return tuple(
        Measure(
            f"{name}, {phase}",
            "µs",
            more_is_better=False,
            goals=_GOALS if (name, phase) == ("median", "at rest") else (),
        )
        for phase in _PHASES.values()
        for name in _PERCENTILES
    )


def run(stage: Stage, peer: str) -> Outcome:
    """One peer, once."""
    count = min(stage.count, max(_FEWEST, stage.messages // _MESSAGES_PER_REQUEST))
    reply = stage.peers[peer].fixed_reply
    with (
        stage.peer(peer, stage.job("respond", count, patience=300.0, fixed_reply=reply)),
        stage.program("asker", stage.job("ask", count, numbered=True, fixed_reply=reply)) as asker,
    ):
        facts = asker.next_facts(300.0)
    complaints = [f"{facts[name]} {name} answers" for name in ("wrong", "missing") if facts[name]]
    if complaints:
        return Outcome(complaints=complaints)
    figures = {_TOP.name: float(facts["top"])}
    for fact, phase in _PHASES.items():
        cuts = quantiles(facts[fact], n=1000)
        for name, thousandth in _PERCENTILES.items():
            figures[f"{name}, {phase}"] = cuts[thousandth - 1] / 1e3
    return Outcome(figures)


SCENARIO = Scenario(4, (*_measures(), _TOP), ("respond",), run)
