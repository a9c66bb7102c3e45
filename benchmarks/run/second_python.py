"""
Runs the benchmark again with a newer Python, for the peers that need it.

Ratios between two Pythons would be wrong, so natsroute and nats-py run with that Python too.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
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


def run_again(
    python: Path, peers: Iterable[str], scenarios: Iterable[tuple[str, Scenario]], words: Sequence[str]
) -> Results | None:
    """
    Run the scenarios in which a peer takes part that needs the second Python.

    :param python: the second Python.
    :param peers: the peers that need it.
    :param words: the other arguments of the benchmark.
    :return: None if no such peer takes part in any of the scenarios.
    :raises SystemExit: the second Python cannot run the benchmark, or one of the peers.
    """
    facts = json.loads(_output([str(python), "-c", _QUESTION, *peers]))
    for name, known in facts.items():
        if known["missing"]:
            raise SystemExit(f"{python} cannot run {name}: {known['missing']}")
    roles = [set(known["roles"]) for known in facts.values()]
    names = [name for name, scenario in scenarios if any(set(scenario.roles) <= known for known in roles)]
    if not names:
        return None
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        command = [str(python), "-m", "benchmarks", "--results", folder, "--scenarios", *names]
        subprocess.run(
            [*command, "--peers", *_COMPARED, *facts, *words],
            stdout=subprocess.DEVNULL,
            cwd=_ROOT,
            env=_environment(),
        )
        try:
            return Results.read(Path(folder))
        except FileNotFoundError:
            raise SystemExit(f"{python} -m benchmarks gave no results") from None


def _output(command: Sequence[str]) -> str:
    asked = subprocess.run(command, capture_output=True, text=True, cwd=_ROOT, env=_environment())
    if asked.returncode:
        lines = asked.stderr.strip().splitlines() or ["no reason"]
        raise SystemExit(f"{command[0]} cannot run the benchmark: {lines[-1]}")
    return asked.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_ROOT)}
