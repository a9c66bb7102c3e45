"""What a benchmark found, and the file that keeps it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

#: Where the results go unless told otherwise.
FOLDER = Path(__file__).parents[1] / "results"
_FILE = "figures.json"


@dataclass
class Series:
    """
    What the rounds of one peer gave in one scenario with one kind of messages.

    :ivar size: bytes of a payload; 0 for mixed traffic.
    :ivar figures: for each measure one figure for each round that counts.
    :ivar complaints: why rounds do not count.
    :ivar absent: why the peer, which could play this, was not there; else empty.
    """

    scenario: str
    traffic: str
    size: int
    peer: str
    figures: dict[str, list[float]] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    absent: str = ""

    def median(self, measure: str) -> float | None:
        """The median of a measure, or None if there is no valid round."""
        values = self.figures.get(measure)
        return median(values) if values else None


@dataclass
class Results:
    """
    A whole run.

    :ivar about: where and how it was run: names and values, in the order in which they are to be read.
    :ivar peers: what each peer is.
    :ivar relays: what an independent subscriber saw of the relays.
    :ivar relay_failed: whether that was not as it must be.
    """

    about: dict[str, str]
    peers: dict[str, str]
    series: list[Series] = field(default_factory=list)
    relays: list[str] = field(default_factory=list)
    relay_failed: bool = False

    @property
    def absent(self) -> dict[str, str]:
        """Peers that could not take part, at all or with a kind of traffic, and why."""
        return {series.peer: series.absent for series in self.series if series.absent}

    @property
    def groups(self) -> dict[tuple[str, str, int], list[Series]]:
        """The series of all peers by scenario, traffic and size."""
        groups: dict[tuple[str, str, int], list[Series]] = {}
        for series in self.series:
            groups.setdefault((series.scenario, series.traffic, series.size), []).append(series)
        return groups

    def write(self, folder: Path) -> None:
        """Keep it in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Results:
        """What was kept there."""
        facts = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        facts["series"] = [Series(**series) for series in facts["series"]]
        return cls(**facts)
