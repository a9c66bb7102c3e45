"""Writes the results as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

from benchmarks import in_process
from benchmarks.catalogue import SCENARIOS
from benchmarks.peers import OURS
from benchmarks.report.goals import Verdict, verdicts
from benchmarks.run.results import Results, Series
from benchmarks.run.scenario import Measure

_NOTHING = "–"  # noqa: RUF001
_MARK = "†"  # of what the second Python measured
_HOT_PATHS = {"pure": "pure Python", "compiled": "compiled"}
_IN_PROCESS = "In one process, without server and sockets: `python -m benchmarks.in_process`."
_SECOND = "For the peers that need a newer Python. natsroute and nats-py run with it too, so that the ratios are fair."


def markdown(results: Results) -> str:
    """The whole report."""
    parts = [goals(results), *_parts(results)]
    if results.second is not None:
        parts.append(f"## With a second Python\n\n{_SECOND}")
        parts += [part.replace("## ", "### ", 1) for part in _parts(results.second)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _parts(results: Results) -> list[str]:
    """The report on one Python, without the peers that only ran with the second one."""
    moved = {} if results.second is None else results.second.peers
    missing = {name: reason for name, reason in results.missing.items() if name not in moved}
    results = replace(results, missing=missing)
    return [
        "\n".join(f"- {name}: {value}" for name, value in results.about.items()),
        "Medians, with the lowest and the highest round in brackets. Compare ratios, and only within one run.",
        *(_table(*kind, table) for kind, table in results.groups.items()),
        f"## The hot path alone\n\n{_IN_PROCESS}\n\n{in_process.table(results.in_process)}"
        if results.in_process
        else "",
        _list("The peers", [f"**{name}**: {about}" for name, about in results.peers.items()]),
        _list("Not available", [f"**{name}**: {reason}" for name, reason in results.absent.items()]),
        _list("The relays, as an independent subscriber saw them", results.relays),
        _list("Rounds that do not count", list(_own_problems(results))),
    ]


def problems(results: Results) -> Iterator[str]:
    """Why rounds do not count."""
    yield from _own_problems(results)
    if results.second is not None:
        yield from problems(results.second)


def _own_problems(results: Results) -> Iterator[str]:
    for series in results.series:
        for problem in series.problems:
            yield f"{series.scenario}, {kind(series.traffic, series.size)}, {series.peer}, {problem}"


def kind(traffic: str, size: int) -> str:
    """The name of a kind of messages, such as ``uniform, 128 B``."""
    return f"{traffic}, {size:,} B" if size else traffic


def _list(title: str, items: Sequence[str]) -> str:
    return "\n".join([f"## {title}\n", *(f"- {item}" for item in items)]) if items else ""


def goals(results: Results) -> str:
    """The goals: a row for each comparison, a column for pure Python and one for the compiled hot path."""
    found = list(verdicts(results))
    if not found:
        return ""
    rows: dict[str, dict[str, str]] = {}
    for verdict in found:
        rows.setdefault(verdict.text, {})[verdict.hot_path] = _goal_cell(verdict, results)
    lines = [f"| {text} | {' | '.join(cells.get(path, '') for path in _HOT_PATHS)} |" for text, cells in rows.items()]
    words = [verdict.word for verdict in found]
    summary = ", ".join(f"{words.count(word)} {word}" for word in ("reached", "missed", "not measured"))
    notes = [f"- Not measured: {why}" for why in dict.fromkeys(one.why for one in found if one.found is None)]
    if any(_MARK in cell for cells in rows.values() for cell in cells.values()) and results.second is not None:
        notes.append(f"- {_MARK} with {results.second.about['Python']}, like everything that it is compared with")
    heads = f"| measured, and the goal | {' | '.join(_HOT_PATHS.values())} |\n|---|---|---|"
    return "\n".join([f"## Goals: {summary}\n", heads, *lines, *(["", *notes] if notes else [])])


def _goal_cell(verdict: Verdict, results: Results) -> str:
    if verdict.found is None:
        return f"{_NOTHING} ({verdict.limit})"
    mark = "" if verdict.python == results.about.get("Python", "") else _MARK
    missed = "" if verdict.reached else ": **missed**"
    return f"{verdict.found:.2f}{mark} ({verdict.limit}){missed}"


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
