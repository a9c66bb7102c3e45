"""Writes the results as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks.catalogue import SCENARIOS
from benchmarks.peers import OURS
from benchmarks.report.goals import verdicts
from benchmarks.run.results import Results, Series
from benchmarks.run.scenario import Measure

_NOTHING = "–"  # noqa: RUF001


def markdown(results: Results) -> str:
    """The whole report."""
    parts = [
        "\n".join(f"- {name}: {value}" for name, value in results.about.items()),
        "Medians, with the lowest and the highest round in brackets. Compare ratios, and only within one run.",
        _goals(results),
        *(_table(*kind, table) for kind, table in results.groups.items()),
        _list("The peers", [f"**{name}**: {about}" for name, about in results.peers.items()]),
        _list("Not available", [f"**{name}**: {reason}" for name, reason in results.absent.items()]),
        _list("The relays, as an independent subscriber saw them", results.relays),
        _list("Rounds that do not count", list(problems(results))),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def problems(results: Results) -> Iterator[str]:
    """Why rounds do not count."""
    for series in results.series:
        for problem in series.problems:
            yield f"{series.scenario}, {kind(series.traffic, series.size)}, {series.peer}, {problem}"


def kind(traffic: str, size: int) -> str:
    """The name of a kind of messages, such as ``uniform, 128 B``."""
    return f"{traffic}, {size:,} B" if size else traffic


def _list(title: str, items: Sequence[str]) -> str:
    return "\n".join([f"## {title}\n", *(f"- {item}" for item in items)]) if items else ""


def _goals(results: Results) -> str:
    rows = [
        f"| {verdict.text} | {_NOTHING if verdict.found is None else format(verdict.found, '.2f')} | {verdict.word} |"
        for verdict in verdicts(results)
    ]
    return "\n".join(["## Goals\n", "| goal | measured | |", "|---|---|---|", *rows]) if rows else ""


def _table(name: str, traffic: str, size: int, table: list[Series]) -> str:
    shown = [measure for measure in SCENARIOS[name].measures if any(measure.name in row.figures for row in table)]
    if not shown:
        return f"## {name}: {kind(traffic, size)}\n\nNo round counts."
    ours = next((series for series in table if series.peer == OURS), None)
    heads = [f"{measure.name}, {measure.unit}" for measure in shown]
    ratio_head = f"{OURS} / peer, {shown[0].name}"
    rows = []
    for series in table:
        cells = [*(_cell(series, measure) for measure in shown), _ratio(ours, series, shown[0])]
        rows.append(f"| {series.peer} | {' | '.join(cells)} |")
    return "\n".join(
        [
            f"## {name}: {kind(traffic, size)}\n",
            f"| | {' | '.join(heads)} | {ratio_head} |",
            f"|---|{'---|' * (len(heads) + 1)}",
            *rows,
        ]
    )


def _cell(series: Series, measure: Measure) -> str:
    if series.absent:
        return "not available"
    values = series.figures.get(measure.name)
    if not values:
        return "no valid round" if series.problems else _NOTHING
    digits = 0 if median(values) >= 100 else 1
    low, middle, high = (f"{value:,.{digits}f}" for value in (min(values), median(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({low}–{high})"  # noqa: RUF001


def _ratio(ours: Series | None, series: Series, measure: Measure) -> str:
    mine, theirs = ours and ours.median(measure.name), series.median(measure.name)
    return f"{mine / theirs:.2f}" if mine and theirs and series is not ours else _NOTHING
