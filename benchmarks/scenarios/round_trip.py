"""A peer replies to the requests of :mod:`benchmarks.load.requester`."""

from __future__ import annotations

from statistics import quantiles

from benchmarks.run.scenario import Goal, Measure, Outcome, Scenario, both
from benchmarks.run.testbed import Testbed

_GOALS = (
    *both("uniform", 0.9, 0.85, peer="nats-py"),
    Goal("uniform", 0.25, peer="kamailio"),
)
_PERCENTILES = {"median": 500, "99th percentile": 990, "99.9th percentile": 999}
_PHASES = {"at_rest": "at rest", "under_load": "at half the top rate"}
_CHARTED = {("median", "at rest"), ("99th percentile", "at rest")}
_TOP = Measure("top rate", "replies/s")

# A request takes much longer than a message, so a run has fewer requests than messages.
_MESSAGES_PER_REQUEST = 40
_MIN_REQUESTS = 1_000


def _measures() -> tuple[Measure, ...]:
    return tuple(
        Measure(
            f"{name}, {phase}",
            "µs",
            higher_is_better=False,
            goals=_GOALS if (name, phase) == ("median", "at rest") else (),
            charted=(name, phase) in _CHARTED,
        )
        for phase in _PHASES.values()
        for name in _PERCENTILES
    )


def run(testbed: Testbed, peer: str) -> Outcome:
    """Run one peer once."""
    count = min(testbed.count, max(_MIN_REQUESTS, testbed.messages // _MESSAGES_PER_REQUEST))
    reply = testbed.peers[peer].fixed_reply
    with (
        testbed.peer(peer, testbed.job("respond", count, timeout=300.0, fixed_reply=reply)),
        testbed.program("requester", testbed.job("request", count, numbered=True, fixed_reply=reply)) as requester,
    ):
        facts = requester.next_report(300.0)
    problems = [f"{facts[name]} {name} replies" for name in ("wrong", "missing") if facts[name]]
    if problems:
        return Outcome(problems=problems)
    figures = {_TOP.name: float(facts["top"])}
    for fact, phase in _PHASES.items():
        cuts = quantiles(facts[fact], n=1000)
        for name, thousandth in _PERCENTILES.items():
            figures[f"{name}, {phase}"] = cuts[thousandth - 1] / 1e3
    return Outcome(figures)


SCENARIO = Scenario(order=4, measures=(*_measures(), _TOP), roles=("respond",), run=run)
