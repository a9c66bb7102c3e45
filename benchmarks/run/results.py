"""The results of a benchmark, and the file that keeps them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

#: The default folder of the results.
FOLDER = Path(__file__).parents[1] / "results"
_FILE = "figures.json"


@dataclass
class Series:
    """
    The rounds of one peer in one scenario with one kind of messages.

    :ivar size: bytes of a payload; 0 for mixed traffic.
    :ivar figures: for each measure, one figure for each round that counts.
    :ivar problems: why rounds do not count.
    :ivar absent: why the peer did not run although it has the roles; empty if it ran.
    """

    scenario: str
    traffic: str
    size: int
    peer: str
    figures: dict[str, list[float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    absent: str = ""

    def median(self, measure: str) -> float | None:
        """The median of a measure, or None if no round counts."""
        values = self.figures.get(measure)
        return median(values) if values else None


@dataclass
class Results:
    """
    The results of a whole run.

    :ivar about: where and how it ran: names and values, in the order of the report.
    :ivar peers: a description of each peer.
    :ivar relays: what an independent subscriber saw of the relays.
    :ivar relay_failed: whether a relay lost or duplicated messages, or natsroute changed their order.
    :ivar missing: why peers could not run at all.
    :ivar hot_path: ``compiled`` or ``pure``: what the peer natsroute ran.
    :ivar in_process: what :func:`benchmarks.in_process.measure_both` found; empty if it did not run.
    :ivar second: the results with a second Python, for the peers that need it.
    """

    about: dict[str, str]
    peers: dict[str, str]
    series: list[Series] = field(default_factory=list)
    relays: list[str] = field(default_factory=list)
    relay_failed: bool = False
    missing: dict[str, str] = field(default_factory=dict)
    hot_path: str = ""
    in_process: dict[str, dict[str, float]] = field(default_factory=dict)
    second: Results | None = None

    @property
    def relays_failed(self) -> bool:
        """Whether a relay failed, with this Python or with the second one."""
        return self.relay_failed or (self.second is not None and self.second.relays_failed)

    @property
    def absent(self) -> dict[str, str]:
        """The peers that did not run, at all or with one kind of traffic, and why."""
        return {**{series.peer: series.absent for series in self.series if series.absent}, **self.missing}

    @property
    def groups(self) -> dict[tuple[str, str, int], list[Series]]:
        """The series of all peers by scenario, traffic and size."""
        groups: dict[tuple[str, str, int], list[Series]] = {}
        for series in self.series:
            groups.setdefault((series.scenario, series.traffic, series.size), []).append(series)
        return groups

    def write(self, folder: Path) -> None:
        """Write the results to a folder, which is created if it does not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Results:
        """Read results that :meth:`write` has written to a folder."""
        return cls._of(json.loads((folder / _FILE).read_text(encoding="utf-8")))

    @classmethod
    def _of(cls, facts: dict[str, Any]) -> Results:
        facts["series"] = [Series(**series) for series in facts["series"]]
        facts["second"] = cls._of(facts["second"]) if facts.get("second") else None
        return cls(**facts)
