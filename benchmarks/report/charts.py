"""
Draws the results as SVG: one file for each scenario, with one chart for each kind of messages.

Only natsroute has colours: dark is natsroute as it is installed, brighter is natsroute in pure Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.catalogue import SCENARIOS
from benchmarks.peers import OURS, PURE_OURS
from benchmarks.report.markdown import kind
from benchmarks.run.results import Results, Series
from benchmarks.run.scenario import Measure

_BAR, _CHART_WIDTH = 0.22, 5.5  # inches
_COMPILED, _PURE, _OURS, _OTHER, _RAW = "#0b5394", "#4f97d8", "#b3d1ee", "#a0a0a0", "#dcdcdc"
_COLOURS = {
    OURS: _COMPILED,
    PURE_OURS: _PURE,
    "natsroute-script": _COMPILED,
    "natsroute-script-pure": _PURE,
    "raw": _RAW,
}
_GAP = 1.0  # between the bars of two measures, in bars

#: The ends of the names of the files with the results of the second Python.
SECOND = "-second"


def draw(results: Results, folder: Path) -> list[Path]:
    """
    Draw all charts into a folder, and delete those of other results there.

    :return: the files.
    :raises ImportError: matplotlib is not installed.
    """
    for name in SCENARIOS:
        for suffix in ("", SECOND):
            (folder / f"{name}{suffix}.svg").unlink(missing_ok=True)
    second = [] if results.second is None else _draw(results.second, folder, SECOND)
    return [*_draw(results, folder, ""), *second]


def _draw(results: Results, folder: Path, suffix: str) -> list[Path]:
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "benchmarks"  # so that the same results give the same file
    labels = {OURS: f"{OURS} ({results.hot_path})"} if results.hot_path else {}
    paths = []
    for name, scenario in SCENARIOS.items():
        tables = {
            kind(*key[1:]): [series for series in table if not series.absent]
            for key, table in results.groups.items()
            if key[0] == name
        }
        unit = scenario.measures[0].unit
        measures = [measure for measure in scenario.measures if measure.unit == unit and measure.charted]
        if not any(series.figures for table in tables.values() for series in table):
            continue
        bars = max(len(table) for table in tables.values()) * len(measures) + _GAP * (len(measures) - 1)
        figure = Figure(figsize=(_CHART_WIDTH * len(tables), 1.0 + _BAR * bars), layout="constrained")
        charts = figure.subplots(1, len(tables), squeeze=False)[0]
        better = "higher" if scenario.measures[0].higher_is_better else "lower"
        for chart, (messages, table) in zip(charts, tables.items()):
            _draw_chart(chart, measures, table, labels)
            chart.set_title(f"{name}: {messages}", fontsize=10)
            chart.set_xlabel(f"{unit}, {better} is better", fontsize=8)
        if suffix:
            figure.suptitle(f"with {results.about['Python'].partition(',')[0]}", fontsize=10)
        path = folder / f"{name}{suffix}.svg"
        figure.savefig(path, metadata={"Date": None})
        paths.append(path)
    return paths


def _colour(peer: str) -> str:
    return _COLOURS.get(peer, _OURS if peer.startswith(OURS) else _OTHER)


def _draw_chart(chart: Any, measures: Sequence[Measure], table: Sequence[Series], names: Mapping[str, str]) -> None:
    labels, height = [], 0.0
    for measure in measures:
        for series in table:
            middle = series.median(measure.name)
            values = series.figures.get(measure.name, [0.0])
            name = names.get(series.peer, series.peer)
            labels.append((height, name if len(measures) == 1 else f"{name}, {measure.name}"))
            if middle is not None:
                spread = [[middle - min(values)], [max(values) - middle]]
                style = {"elinewidth": 0.8, "capsize": 2}
                bar = chart.barh(height, middle, xerr=spread, color=_colour(series.peer), error_kw=style)
                chart.bar_label(bar, [f"{middle:,.{0 if middle >= 100 else 1}f}"], padding=3, fontsize=7)
            height += 1.0
        height += _GAP
    chart.set_ylim(height - _GAP - 0.5, -0.5)
    chart.set_yticks([height for height, _ in labels], [text for _, text in labels], fontsize=8)
    chart.tick_params(axis="x", labelsize=8)
    chart.locator_params(axis="x", nbins=5)
    chart.xaxis.set_major_formatter("{x:,.0f}")
    chart.margins(x=0.2)
    chart.spines[["top", "right"]].set_visible(False)
