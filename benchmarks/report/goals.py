"""Compares the results with the goals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.catalogue import SCENARIOS
from benchmarks.peers import OURS
from benchmarks.run.results import Results, Series
from benchmarks.run.scenario import GOAL_SIZE, Goal, Measure


@dataclass(frozen=True)
class Verdict:
    """
    A goal, and whether the results reach it.

    :ivar text: the goal.
    :ivar found: the figure or ratio; None if it was not measured.
    """

    text: str
    found: float | None
    reached: bool

    @property
    def word(self) -> str:
        """The verdict in a word."""
        if self.found is None:
            return "not measured"
        return "reached" if self.reached else "missed"


def verdicts(results: Results) -> Iterator[Verdict]:
    """The goals of the scenarios and kinds of messages that ran."""
    for (name, traffic, size), table in results.groups.items():
        if size not in (0, GOAL_SIZE):
            continue
        for measure in SCENARIOS[name].measures:
            for goal in measure.goals:
                if goal.traffic == traffic:
                    yield _verdict(name, measure, goal, {series.peer: series for series in table})


def _verdict(name: str, measure: Measure, goal: Goal, table: dict[str, Series]) -> Verdict:
    found = _figure(measure, goal, table)
    reached = found is not None and (found >= goal.limit if measure.higher_is_better else found <= goal.limit)
    sign = "≥" if measure.higher_is_better else "≤"
    what = f"{name}, {goal.traffic}: {measure.name}"
    if goal.peer or goal.measure:
        return Verdict(
            f"{what}, {goal.ours or OURS} / {goal.peer or goal.measure} {sign} {goal.limit:g}", found, reached
        )
    return Verdict(f"{what} {sign} {goal.limit:g} {measure.unit}", found, reached)


def _figure(measure: Measure, goal: Goal, table: dict[str, Series]) -> float | None:
    name = goal.ours or OURS
    if name not in table:
        return None
    ours = table[name].median(measure.name)
    if not (goal.peer or goal.measure):
        return ours
    other = table.get(goal.peer or name)
    divisor = None if other is None else other.median(goal.measure or measure.name)
    return None if ours is None or not divisor else ours / divisor
