"""
The table of all metrics in ``docs/metrics.md``. ``python -m tests.support.metrics_page`` writes it anew, from the list
of the metrics in the code.
"""

from __future__ import annotations

from natsroute.monitoring.metric_table import METRICS
from tests.support import ROOT

DOCUMENT = ROOT / "docs" / "metrics.md"
BEGIN, END = "<!-- metrics -->\n", "<!-- /metrics -->\n"


def table() -> str:
    """The table, with the lines around it."""
    lines = ["| metric | type | labels | |", "|---|---|---|---|"]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n" + "\n".join(lines) + "\n\n"


def written(document: str) -> str:
    """
    The table that the document has.

    :raises ValueError: the document has no marks.
    """
    return document[document.index(BEGIN) + len(BEGIN) : document.index(END)]


def main() -> None:
    """Write the table into the document."""
    document = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(document.replace(BEGIN + written(document) + END, BEGIN + table() + END), encoding="utf-8")


if __name__ == "__main__":
    main()
