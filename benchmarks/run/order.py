"""Whether a relay keeps every message in order: a run of its own, so that it disturbs no timing."""

from __future__ import annotations

from benchmarks.peers import OURS
from benchmarks.run.stage import NothingSaidError, Stage

_COUNT = 20_000


def check_order(stage: Stage, peer: str) -> tuple[str, bool]:
    """
    What an independent subscriber saw of a peer's relay, and whether it is as it must be: all there, once, and
    natsroute's in order. Of another's order it is only told.
    """
    try:
        with (
            stage.program("witness", stage.job("watch", _COUNT, patience=20.0)) as witness,
            stage.peer(peer, stage.job("relay", _COUNT)),
        ):
            witness.wait_until_ready()
            stage.feed(stage.job("feed", _COUNT, numbered=True))
            facts = witness.next_facts()
    except NothingSaidError as error:
        return f"{peer}: {error}", False
    text = (
        f"{peer}: of {_COUNT:,} numbered messages {facts['lost']:,} lost, {facts['twice']:,} twice, "
        f"{facts['inversions']:,} out of order"
    )
    return text, not (facts["lost"] or facts["twice"] or (peer == OURS and facts["inversions"]))
