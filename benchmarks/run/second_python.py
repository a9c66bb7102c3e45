"""
Runs the benchmark again with a newer Python, for the peers that need it.

Ratios between two Pythons would be wrong, so natsroute and nats-py run with that Python too.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import OURS, PURE_OURS
from benchmarks.run.results import Results
from benchmarks.run.scenario import Scenario

#: What the peers that need the second Python are compared with.
_COMPARED = (OURS, PURE_OURS, "nats-py")

_ROOT = Path(__file__).parents[2]
_QUESTION = """
import json, sys
from benchmarks.catalogue import PEERS
print(json.dumps({name: {"roles": PEERS[name].roles, "missing": PEERS[name].missing()} for name in sys.argv[1:]}))
"""


@dataclass(frozen=True)
class SecondRun:
    """
    The run with the second Python.

    :ivar python: its path.
    :ivar scenarios: those in which a peer takes part that needs it.
    :ivar words: the other arguments of the benchmark.
    """

    python: Path
    scenarios: Sequence[str]
    words: Sequence[str]

    @classmethod
    def prepare(
        cls, python: Path, peers: Iterable[str], scenarios: Mapping[str, Scenario], words: Sequence[str]
    ) -> SecondRun | None:
        """
        Ask the second Python what it can run.

        :param peers: the peers that need it.
        :param scenarios: by name.
        :param words: more arguments of the benchmark.
        :return: None if no such peer takes part in any of the scenarios.
        :raises SystemExit: the second Python cannot run the benchmark, or one of the peers.
        """
        facts = json.loads(_output([str(python), "-c", _QUESTION, *peers]))
        for name, known in facts.items():
            if known["missing"]:
                raise SystemExit(f"{python} cannot run {name}: {known['missing']}")
        roles = [set(known["roles"]) for known in facts.values()]
        names = [name for name, one in scenarios.items() if any(set(one.roles) <= known for known in roles)]
        return cls(python, names, ["--peers", *_COMPARED, *facts, *words]) if names else None

    def run(self) -> Results:
        """
        Run it.

        :raises SystemExit: it gave no results.
        """
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
            command = [str(self.python), "-m", "benchmarks", "--results", folder, "--scenarios", *self.scenarios]
            subprocess.run([*command, *self.words], stdout=subprocess.DEVNULL, cwd=_ROOT, env=_environment())
            try:
                return Results.read(Path(folder))
            except FileNotFoundError:
                raise SystemExit(f"{self.python} -m benchmarks gave no results") from None


def _output(command: Sequence[str]) -> str:
    asked = subprocess.run(command, capture_output=True, text=True, cwd=_ROOT, env=_environment())
    if asked.returncode:
        lines = asked.stderr.strip().splitlines() or ["no reason"]
        raise SystemExit(f"{command[0]} cannot run the benchmark: {lines[-1]}")
    return asked.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_ROOT)}
