"""
``python -m tests.fuzz``: fuzz what reads bytes from outside, guided by coverage, with atheris (libFuzzer for Python).

It needs ``pip install '.[dev]'``, and a Python and a platform that atheris has wheels for. An input that breaks a
property is saved in the corpus of the property, and the exit code is 1. ``tests.fuzz.test_corpus`` fails because of it
until the code is fixed. The hot path is the one in Python, since atheris does not see the coverage of the compiled one.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from natsroute.daemon.child_guard import guarded
from natsroute.hot.choice import PURE_VARIABLE
from tests.fuzz import CORPUS
from tests.fuzz.properties import PROPERTIES
from tests.support import ROOT

DICTIONARY = Path(__file__).with_name("words.dict")

#: Bytes of the longest input: several times the limits that the property gives to the parser.
MAX_LENGTH = 1024
#: Seconds after which an input counts as a hang, and MiB after which it counts as a leak.
MAX_SECONDS, MAX_MEMORY = 60, 1024
#: Seconds that a process may take beyond its time, to start and to end.
GRACE = 180

_INTERRUPTED = 72  # libFuzzer's exit code after SIGTERM


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n\n")[0])
    parser.add_argument("--properties", nargs="+", choices=PROPERTIES, default=["parser"], help="default: parser")
    parser.add_argument("--seconds", type=int, help="for each property; default: 60, or what --inputs takes")
    parser.add_argument("--inputs", type=int, help="for each property; ends it before its time")
    parser.add_argument("--jobs", type=int, default=1, help="processes for one property; default: 1")
    parser.add_argument(
        "--keep", type=Path, help="a folder for inputs that reach new code; the next run starts with them"
    )
    arguments = parser.parse_args()
    if arguments.seconds is None and arguments.inputs is None:
        arguments.seconds = 60
    return arguments


@attrs.frozen
class Outcome:
    """
    What a process reported at its end.

    :ivar inputs: the number of inputs that it tried.
    :ivar coverage: the number of edges in the code that were reached, by the corpus and at the end.
    :ivar findings: files with inputs that broke the property.
    :ivar problem: its whole output, if it failed.
    """

    inputs: int
    coverage: tuple[int, int]
    findings: list[Path]
    problem: str

    @classmethod
    def read(cls, output: str, code: int) -> Outcome:
        """Read the output and the exit code of libFuzzer."""
        inputs = re.search(r"^stat::number_of_executed_units: +(\d+)", output, re.MULTILINE)
        coverage = [int(edges) for edges in re.findall(r"^#\d+\s+[A-Z]\w+ +cov: (\d+)", output, re.MULTILINE)] or [0]
        findings = [Path(path) for path in re.findall(r"Test unit written to (.+)", output)]
        fine = inputs and not findings and code in (0, _INTERRUPTED)
        return cls(int(inputs[1]) if inputs else 0, (coverage[0], coverage[-1]), findings, "" if fine else output)


class Job:
    """A fuzzing process under a child guard: it ends with this program, however this program ends."""

    def __init__(self, name: str, arguments: list[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                guarded([sys.executable, "-m", "tests.fuzz.job", name, *arguments]),
                cwd=ROOT,
                env={**os.environ, PURE_VARIABLE: "1"},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
            )

    def wait(self, seconds: float | None) -> None:
        """Wait until it ends, but no longer than that time."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass

    def end(self) -> Outcome:
        """End it, if it has not ended yet, and read what it reported."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = self._process.wait()
        return Outcome.read(self._log.read_text(encoding="utf-8", errors="replace"), code)


def _fuzz(name: str, arguments: argparse.Namespace, folder: Path) -> list[Outcome]:
    """Fuzz one property; Ctrl-C ends it."""
    folder_for_inputs = (arguments.keep or folder).absolute() / name
    folder_for_inputs.mkdir(parents=True, exist_ok=True)
    options = {
        "dict": DICTIONARY,
        "max_len": MAX_LENGTH,
        "timeout": MAX_SECONDS,
        "rss_limit_mb": MAX_MEMORY,
        "artifact_prefix": f"{CORPUS / name}/",
        "print_final_stats": 1,
    }
    timeout = None
    if arguments.seconds is not None:
        options["max_total_time"] = arguments.seconds
        timeout = arguments.seconds + GRACE
    if arguments.inputs is not None:
        options["runs"] = -(-arguments.inputs // arguments.jobs)
    # libFuzzer writes into the first folder, and reads both.
    command_line = [
        *(f"-{option}={value}" for option, value in options.items()),
        str(folder_for_inputs),
        str(CORPUS / name),
    ]
    jobs = [Job(name, command_line, folder / f"{name}-{number}.log") for number in range(arguments.jobs)]
    try:
        for job in jobs:
            job.wait(timeout)
    except KeyboardInterrupt:
        pass
    return [job.end() for job in jobs]


def _report(name: str, outcomes: list[Outcome], seconds: float) -> None:
    inputs = sum(outcome.inputs for outcome in outcomes)
    start, end = (max(outcome.coverage[index] for outcome in outcomes) for index in (0, 1))
    findings = sorted(
        {path for outcome in outcomes for path in outcome.findings}
    )  # two processes may find the same input
    print(
        f"{name}: {inputs:,} inputs in {seconds:.0f} s, {inputs / seconds:,.0f} a second; edges reached in the code: "
        f"{start} at the start, {end} at the end; findings: {len(findings)}"
    )
    for problem in filter(None, (outcome.problem for outcome in outcomes)):
        print(*(line for line in problem.splitlines() if not line.startswith("#")), sep="\n")
    for path in findings:
        print(f"{path.relative_to(ROOT)}: {path.read_bytes()!r}")


def main() -> int:
    """Fuzz, and report what was found."""
    arguments = _arguments()
    if find_spec("atheris") is None:
        print("atheris is missing: pip install '.[dev]', for CPython 3.11 to 3.13 on Linux on x86-64", file=sys.stderr)
        return 2
    passed = True
    with TemporaryDirectory() as folder:
        for name in arguments.properties:
            started = time.monotonic()
            outcomes = _fuzz(name, arguments, Path(folder))
            _report(name, outcomes, time.monotonic() - started)
            passed = passed and not any(outcome.problem for outcome in outcomes)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
