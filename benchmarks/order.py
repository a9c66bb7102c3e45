"""Whether a relay keeps every message in order: a run of its own, so that it disturbs no timing."""

from __future__ import annotations

from benchmarks.stage import NothingSaidError, Stage

COUNT = 20_000


def check_order(stage: Stage, peer: str) -> tuple[str, bool]:
    """What an independent subscriber saw of a peer's relay, and whether it was in order and complete."""
    try:
        with (
            stage.program("witness", stage.job("watch", count=COUNT, patience=20.0), wait=True) as witness,
            stage.peer(peer, stage.job("relay", count=COUNT)),
        ):
            stage.feed(stage.job("feed", count=COUNT, numbered=True))
            facts = witness.next_facts()
    except NothingSaidError as error:
        return f"{peer}: {error}", False
    text = (
        f"{peer}: of {COUNT:,} numbered messages {facts['lost']:,} lost, {facts['twice']:,} twice, "
        f"{facts['inversions']:,} out of order"
    )
    return text, not (facts["lost"] or facts["twice"] or facts["inversions"])
