"""
A peer sends requests to :mod:`benchmarks.load.responder`: first one at a time, then with 256 that wait for their
answers at the same time.
"""

from __future__ import annotations

from statistics import quantiles

from benchmarks.load.job import REQUESTS_IN_FLIGHT
from benchmarks.run.scenario import Goal, Measure, Outcome, Scenario
from benchmarks.run.testbed import Testbed

_PERCENTILES = {"median": 500, "99th percentile": 990}
_TIMES = tuple(
    Measure(f"{name}, at rest", "µs", higher_is_better=False, goals=(Goal("uniform", 1.0, peer="nats-py"),))
    for name in _PERCENTILES
)
_RATE = Measure(f"{REQUESTS_IN_FLIGHT} in flight", "answers/s", goals=(Goal("uniform", 1.5, peer="nats-py"),))

# A request takes much longer than a message, so a run has fewer requests than messages.
_MESSAGES_PER_REQUEST = 2
_MIN_REQUESTS = 1_000


def run(testbed: Testbed, peer: str) -> Outcome:
    """Run one peer once."""
    count = min(testbed.count, max(_MIN_REQUESTS, testbed.messages // _MESSAGES_PER_REQUEST))
    job = testbed.job("request", count, numbered=True, subjects=1)
    with testbed.program("responder", job) as responder:
        responder.wait_until_ready()
        with testbed.starting_peer(peer, job) as child:
            facts = child.next_report()
    problems = list(facts["notes"])
    if facts["wrong"]:
        problems.append(f"{facts['wrong']} wrong answers")
    cuts = quantiles(facts["at_rest"], n=1000)
    figures = {measure.name: cuts[part - 1] / 1e3 for measure, part in zip(_TIMES, _PERCENTILES.values())}
    return Outcome({**figures, _RATE.name: facts["in_flight"]}, problems)


SCENARIO = Scenario(order=13, measures=(*_TIMES, _RATE), roles=("request",), run=run)
