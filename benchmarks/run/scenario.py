"""What a scenario is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.run.stage import Stage

#: The bytes of a uniform payload that the goals are for.
GOAL_SIZE = 128


@dataclass(frozen=True)
class Goal:
    """
    What natsroute's median shall be, divided by another of the same run; with neither peer nor measure, by 1.

    :ivar limit: a minimum where more is better, else a maximum.
    :ivar peer: divided by this peer's median.
    :ivar measure: divided by natsroute's own median of this measure.
    """

    traffic: str
    limit: float
    peer: str = ""
    measure: str = ""


@dataclass(frozen=True)
class Measure:
    """
    What a scenario measures.

    :ivar more_is_better: whether goals are minima.
    """

    name: str
    unit: str
    more_is_better: bool = True
    goals: tuple[Goal, ...] = ()


@dataclass
class Outcome:
    """
    What one run of a scenario gave.

    :ivar figures: by the names of the scenario's measures; one that could not be taken is left out.
    :ivar complaints: what was not as it must be; its figures are then worth nothing.
    """

    figures: dict[str, float] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Scenario:
    """
    Something that is measured.

    :ivar place: where it stands in the table: the lowest first.
    :ivar roles: the roles that a peer must know to take part.
    :ivar run: one peer, once.
    :ivar always: whether it is run without being asked for.
    :ivar most_rounds: more would only take time.
    """

    place: int
    measures: tuple[Measure, ...]
    roles: tuple[str, ...]
    run: Callable[[Stage, str], Outcome]
    always: bool = True
    most_rounds: int = 100
