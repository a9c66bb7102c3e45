"""Draws the results as SVG: one file for each scenario, with one chart for each kind of messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.catalogue import SCENARIOS
from benchmarks.report.markdown import kind
from benchmarks.run.results import Results, Series
from benchmarks.run.scenario import Measure

_BAR, _CHART_WIDTH = 0.22, 5.0  # inches


def draw(results: Results, folder: Path) -> list[Path]:
    """
    Draw all charts into a folder.

    :return: the files.
    :raises ImportError: matplotlib is not installed.
    """
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "benchmarks"  # so that the same results give the same file
    colours = {peer: f"C{number}" for number, peer in enumerate(results.peers)}
    paths = []
    for name, scenario in SCENARIOS.items():
        tables = {
            kind(*key[1:]): [series for series in table if not series.absent]
            for key, table in results.groups.items()
            if key[0] == name
        }
        unit = scenario.measures[0].unit
        measures = [measure for measure in scenario.measures if measure.unit == unit]
        if not any(series.figures for table in tables.values() for series in table):
            continue
        bars = max(len(table) for table in tables.values()) * len(measures)
        figure = Figure(figsize=(_CHART_WIDTH * len(tables), 1.2 + _BAR * (bars + len(measures))), layout="constrained")
        charts = figure.subplots(1, len(tables), squeeze=False)[0]
        better = "higher" if scenario.measures[0].higher_is_better else "lower"
        for chart, (messages, table) in zip(charts, tables.items()):
            _draw_chart(chart, measures, table, colours)
            chart.set_title(f"{name}: {messages}", fontsize=10)
            chart.set_xlabel(f"{unit}, {better} is better", fontsize=8)
        path = folder / f"{name}.svg"
        figure.savefig(path, metadata={"Date": None})
        paths.append(path)
    return paths


def _draw_chart(chart: Any, measures: Sequence[Measure], table: Sequence[Series], colours: Mapping[str, str]) -> None:
    labels, height = [], 0.0
    for measure in measures:
        for series in table:
            middle = series.median(measure.name)
            values = series.figures.get(measure.name, [0.0])
            labels.append((height, series.peer if len(measures) == 1 else f"{series.peer}, {measure.name}"))
            if middle is not None:
                spread = [[middle - min(values)], [max(values) - middle]]
                style = {"elinewidth": 0.8, "capsize": 2}
                bar = chart.barh(height, middle, xerr=spread, color=colours[series.peer], error_kw=style)
                chart.bar_label(bar, [f"{middle:,.{0 if middle >= 100 else 1}f}"], padding=3, fontsize=7)
            height += 1.0
        height += 1.0
    chart.set_yticks([height for height, _ in labels], [text for _, text in labels], fontsize=8)
    chart.invert_yaxis()
    chart.tick_params(axis="x", labelsize=8)
    chart.margins(x=0.2, y=0.01)
    chart.spines[["top", "right"]].set_visible(False)
