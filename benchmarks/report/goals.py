"""Compares the results with the goals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.catalogue import SCENARIOS
from benchmarks.peers import OURS, PURE_OURS
from benchmarks.run.results import Results, Series
from benchmarks.run.scenario import GOAL_SIZE, Goal, Measure

_NOT_COMPILED = "natsroute ran without its compiled hot path (apt-get install gcc python3-dev; pip install -e .)"


@dataclass(frozen=True)
class Verdict:
    """
    A goal, and whether the results reach it.

    :ivar text: what is measured or compared. The goals for pure Python and for the compiled hot path have the same.
    :ivar hot_path: ``pure`` or ``compiled``.
    :ivar limit: the goal, with its sign and unit.
    :ivar found: the figure or ratio; None if it was not measured.
    :ivar why: why it was not measured.
    :ivar python: the second Python, if it was measured with that one.
    """

    text: str
    hot_path: str
    limit: str
    found: float | None
    reached: bool
    why: str = ""
    python: str = ""

    @property
    def word(self) -> str:
        """The verdict in a word."""
        if self.found is None:
            return "not measured"
        return "reached" if self.reached else "missed"


def verdicts(results: Results) -> Iterator[Verdict]:
    """The goals of the scenarios and kinds of messages that ran, with what only the second Python measured."""
    second = {} if results.second is None else {(one.text, one.hot_path): one for one in verdicts(results.second)}
    for (name, traffic, size), table in results.groups.items():
        if size not in (0, GOAL_SIZE):
            continue
        for measure in SCENARIOS[name].measures:
            for goal in measure.goals:
                if goal.traffic == traffic:
                    own = _verdict(name, measure, goal, {series.peer: series for series in table}, results)
                    other = second.get((own.text, own.hot_path), own)
                    yield other if own.found is None and other.found is not None else own


def _verdict(name: str, measure: Measure, goal: Goal, table: dict[str, Series], results: Results) -> Verdict:
    found, why = _figure(measure, goal, table, results)
    reached = found is not None and (found >= goal.limit if measure.higher_is_better else found <= goal.limit)
    what = f"{name}, {goal.traffic}: {measure.name}"
    limit = f"{'≥' if measure.higher_is_better else '≤'} {goal.limit:g}"
    if goal.peer or goal.measure:
        what += f", {_ours(goal).removesuffix(PURE_OURS.removeprefix(OURS))} / {goal.peer or goal.measure}"
    else:
        limit += f" {measure.unit}"
    return Verdict(
        what, goal.hot_path or results.hot_path or "pure", limit, found, reached, why, results.about.get("Python", "")
    )


def _ours(goal: Goal) -> str:
    return goal.ours or OURS


def _figure(measure: Measure, goal: Goal, table: dict[str, Series], results: Results) -> tuple[float | None, str]:
    """The figure or ratio of a goal; or None, and why."""
    if goal.hot_path == "compiled" and results.hot_path != "compiled":
        return None, _NOT_COMPILED
    ours, other = _ours(goal), goal.peer or _ours(goal)
    medians = []
    for name, wanted in ((ours, measure.name), (other, goal.measure or measure.name)):
        if name not in table or table[name].absent:
            return None, f"{name}: {results.absent.get(name, 'it was left out')}"
        median = table[name].median(wanted)
        if median is None:
            return None, f"{name}: no valid round"
        medians.append(median)
    is_ratio = goal.peer or goal.measure
    return medians[0] / medians[1] if is_ratio else medians[0], ""
