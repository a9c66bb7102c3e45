"""What a scenario consists of. Each module of :mod:`benchmarks.scenarios` defines one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.load.traffic import SUBJECTS
from benchmarks.peers import OURS, PURE_OURS
from benchmarks.run.testbed import Testbed

#: The goals of uniform traffic are for payloads of this many bytes.
GOAL_SIZE = 128


@dataclass(frozen=True)
class Goal:
    """
    A limit for natsroute's median, or for its ratio to another median of the same run.

    :ivar limit: a minimum if higher is better, else a maximum.
    :ivar peer: divide natsroute's median by this peer's median.
    :ivar measure: divide natsroute's median by its own median of this measure.
    :ivar ours: the peer that the goal is for, if it is natsroute in another form than the peer of that name.
    :ivar hot_path: ``pure`` or ``compiled``, if the goal is for natsroute with this hot path and no other.
    """

    traffic: str
    limit: float
    peer: str = ""
    measure: str = ""
    ours: str = ""
    hot_path: str = ""


def both(
    traffic: str,
    pure: float | None,
    compiled: float,
    *,
    peer: str = "",
    measure: str = "",
    ours: tuple[str, str] = (PURE_OURS, OURS),
) -> tuple[Goal, ...]:
    """
    The goals for natsroute in pure Python and with its compiled hot path.

    :param pure: the limit for pure Python; None if it has none.
    :param ours: the peers that the two goals are for.
    """
    limits = zip(("pure", "compiled"), (pure, compiled), ours)
    return tuple(
        Goal(traffic, limit, peer, measure, name, hot_path) for hot_path, limit, name in limits if limit is not None
    )


@dataclass(frozen=True)
class Measure:
    """
    Something that a scenario measures.

    :ivar higher_is_better: if not, lower is better, and the limits of goals are maxima.
    :ivar charted: whether it has bars in the chart; it has a column in the table in any case.
    """

    name: str
    unit: str
    higher_is_better: bool = True
    goals: tuple[Goal, ...] = ()
    charted: bool = True


@dataclass
class Outcome:
    """
    What one run of a scenario gave.

    :ivar figures: by measure name; a measure without a figure is left out.
    :ivar problems: why the run does not count; empty if it counts.
    """

    figures: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Scenario:
    """
    Something to measure.

    :ivar order: scenarios run and are listed in this order, lowest first.
    :ivar roles: a peer needs all these roles to take part.
    :ivar run: runs one peer once; the arguments are the testbed and the peer's name.
    :ivar by_default: whether the scenario runs when none is named.
    :ivar traffic: the kinds of traffic for which it says something.
    :ivar max_rounds: more rounds would take time and show nothing new.
    """

    order: int
    measures: tuple[Measure, ...]
    roles: tuple[str, ...]
    run: Callable[[Testbed, str], Outcome]
    by_default: bool = True
    max_rounds: int = 100
    traffic: tuple[str, ...] = tuple(SUBJECTS)
