"""Figures to Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks.servers import server_version
from benchmarks.stage import Measure
from natsroute import __version__

OURS = "natsroute"


def machine() -> str:
    """Where the figures come from."""
    load = f"load before: {os.getloadavg()[0]:.1f}"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    versions = (
        f"natsroute {__version__}, Twisted {version('twisted')}, nats-py {version('nats-py')}, "
        f"nats-server {server_version()}"
    )
    return f"{_cpu()}, {os.cpu_count()} cores; {platform.system()} {platform.release()}; {python}; {versions}; {load}"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def head(peers: Sequence[str]) -> str:
    """The head of the table: a column for each peer, then a ratio and its goal for each but natsroute."""
    columns = [*peers, *(f"{OURS} / {peer}" for peer in _others(peers)), "goal"]
    return f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}"


def row(measure: Measure, figures: Mapping[str, Sequence[float]]) -> str:
    """
    A row of the table: medians, with the lowest and the highest round.

    :param figures: for each peer one figure for each round.
    """
    cells = [_cell(values) for values in figures.values()]
    verdicts = []
    if figures.get(OURS):
        for peer in _others(figures):
            cells.append(_ratio(figures[OURS], figures[peer]))
            verdicts.append(_verdict(measure, figures[OURS], figures[peer]))
    return f"| {measure.name}, {measure.unit} | {' | '.join([*cells, ' / '.join(verdicts)])} |"


def _others(peers: Iterable[str]) -> list[str]:
    return [peer for peer in peers if peer != OURS] if OURS in peers else []


def _cell(values: Sequence[float]) -> str:
    return f"{median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})" if values else "no valid run"  # noqa: RUF001


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    if not ours or not theirs:
        return "-"
    ratios = [our / their for our, their in zip(ours, theirs)]
    return f"{median(ours) / median(theirs):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"  # noqa: RUF001


def _verdict(measure: Measure, ours: Sequence[float], theirs: Sequence[float]) -> str:
    if measure.goal is None or not ours or not theirs:
        return "-"
    ratio = median(ours) / median(theirs)
    reached = ratio >= measure.goal if measure.more_is_better else ratio <= measure.goal
    return f"{'≥' if measure.more_is_better else '≤'} {measure.goal:g}: {'reached' if reached else 'MISSED'}"
