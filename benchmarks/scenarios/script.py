"""
One ``kamailio.cfg``, run by Kamailio and by natsroute: an event route in Kamailio's language, and a function in Lua.

Kamailio takes uniform traffic only. The row of natsroute is an event route in Python, which does the same. To consume,
the script counts the messages and adds up their sizes. To relay, it publishes each payload again and does nothing else;
the time ends when nats-server has all of them. The round trip is that of the scenario of that name.
"""

from __future__ import annotations

from time import perf_counter_ns, sleep

from benchmarks.run.child import TIMEOUT
from benchmarks.run.scenario import Goal, Measure, Outcome, Scenario, both
from benchmarks.run.testbed import Testbed
from benchmarks.run.timing import rate
from benchmarks.scenarios import round_trip

_CONSUMED = Measure("consumed", "messages/s")
_RELAYED = Measure(
    "relayed",
    "messages/s",
    goals=(
        *both("uniform", 1.0, 2.0, peer="kamailio", ours=("natsroute-script-pure", "natsroute-script")),
        Goal("uniform", 1.0, peer="kamailio-lua", ours="natsroute-lua"),
    ),
)
_ROUND_TRIP = Measure("round trip, median", "µs", higher_is_better=False)

_INTERVAL = 0.02  # seconds between questions to nats-server, so that they take little of its time


def run(testbed: Testbed, peer: str) -> Outcome:
    """Run one peer once."""
    consumed = rate(testbed, peer, "consume", _CONSUMED.name)
    relayed = _relay(testbed, peer)
    replied = round_trip.run(testbed, peer)
    figures = {**consumed.figures, **relayed.figures}
    if not replied.problems:
        figures[_ROUND_TRIP.name] = replied.figures["median, at rest"]
    return Outcome(figures, [*consumed.problems, *relayed.problems, *replied.problems])


def _relay(testbed: Testbed, peer: str) -> Outcome:
    """Feed a peer until nats-server has each message twice."""
    count, server = testbed.count, testbed.server
    with testbed.peer(peer, testbed.job("pass_on", count, timeout=2 * TIMEOUT)):
        before = server.messages_taken
        fed = testbed.feed(testbed.job("feed", count))
        give_up = fed["started"] + TIMEOUT * 1e9
        while (taken := server.messages_taken - before) < 2 * count and perf_counter_ns() < give_up:
            sleep(_INTERVAL)
        ended = perf_counter_ns()
    problems = [] if taken == 2 * count else [f"relayed: {taken - count:,} instead of {count:,}"]
    return Outcome({_RELAYED.name: count / (ended - fed["started"]) * 1e9}, problems)


SCENARIO = Scenario(
    order=12,
    measures=(_CONSUMED, _RELAYED, _ROUND_TRIP),
    roles=("script",),
    run=run,
    traffic=("uniform",),
)
