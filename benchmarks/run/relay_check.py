"""Checks that a relay loses, duplicates and reorders nothing, in a run of its own, so that it disturbs no timing."""

from __future__ import annotations

from benchmarks.peers import OURS
from benchmarks.run.child import NoReportError
from benchmarks.run.testbed import Testbed

_COUNT = 20_000


def check_relay(testbed: Testbed, peer: str) -> tuple[str, bool]:
    """
    Relay numbered messages through a peer to an independent subscriber.

    :return: what the subscriber saw; and whether each message came once, and natsroute's in order. The order of other
        peers is reported, but not required.
    """
    try:
        with (
            testbed.program("subscriber", testbed.job("watch", _COUNT, timeout=20.0)) as subscriber,
            testbed.peer(peer, testbed.job("relay", _COUNT)),
        ):
            subscriber.wait_until_ready()
            testbed.feed(testbed.job("feed", _COUNT, numbered=True))
            facts = subscriber.next_report()
    except NoReportError as error:
        return f"{peer}: {error}", False
    lost, duplicated, out_of_order = facts["lost"], facts["duplicated"], facts["out_of_order"]
    text = (
        f"{peer}: of {_COUNT:,} numbered messages {lost:,} lost, {duplicated:,} duplicated, "
        f"{out_of_order:,} out of order"
    )
    return text, not (lost or duplicated or (peer == OURS and out_of_order))
