"""Comparisons as a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping

from tests.chaos.comparison import Comparison

_ROWS = (
    ("published", lambda comparison: comparison.published),
    ("reported as sent", lambda comparison: comparison.sent),
    ("reported as failed", lambda comparison: comparison.failed),
    ("not reported", lambda comparison: comparison.unreported),
    ("**reported as sent, but lost**", lambda comparison: len(comparison.lost)),
    ("lost in all", lambda comparison: comparison.never_seen),
    ("received more than once", lambda comparison: comparison.repeated),
    ("out of order within a subject", lambda comparison: comparison.out_of_order),
)


def table(comparisons: Mapping[str, Comparison | str]) -> str:
    """
    A table with a column for each publisher.

    :param comparisons: by the name of the publisher; or why there is none.
    """
    lines = [f"| messages | {' | '.join(comparisons)} |", f"|---|{'--:|' * len(comparisons)}"]
    for name, figure in _ROWS:
        cells = [f"{figure(found):,}" if isinstance(found, Comparison) else found for found in comparisons.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def reasons(comparisons: Mapping[str, Comparison | str]) -> list[str]:
    """The reasons of the failures: a line for each publisher that had failures."""
    return [
        f"{name}: {', '.join(f'{count:,} {reason}' for reason, count in found.reasons.most_common())}"
        for name, found in comparisons.items()
        if isinstance(found, Comparison) and found.reasons
    ]
