"""Tallies as a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping

from tests.chaos.tally import RouteCounters

_ROWS = (
    ("published", lambda tally: tally.published),
    ("told to have been sent", lambda tally: tally.sent),
    ("told to have failed", lambda tally: tally.failed),
    ("told nothing", lambda tally: tally.silent),
    ("**told to have been sent, and never seen**", lambda tally: len(tally.lost)),
    ("never seen in all", lambda tally: tally.lost_in_all),
    ("seen more than once", lambda tally: tally.twice),
    ("out of order within a subject", lambda tally: tally.out_of_order),
)


def table(tallies: Mapping[str, RouteCounters | str]) -> str:
    """
    A column for each publisher.

    :param tallies: by the publisher's name; or why there is none.
    """
    lines = [f"| messages | {' | '.join(tallies)} |", f"|---|{'--:|' * len(tallies)}"]
    for name, figure in _ROWS:
        cells = [f"{figure(found):,}" if isinstance(found, RouteCounters) else found for found in tallies.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def reasons(tallies: Mapping[str, RouteCounters | str]) -> list[str]:
    """A line for each publisher that was told of failures: of which."""
    return [
        f"{name}: {', '.join(f'{count:,} {reason}' for reason, count in found.reasons.most_common())}"
        for name, found in tallies.items()
        if isinstance(found, RouteCounters) and found.reasons
    ]
