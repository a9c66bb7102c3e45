"""
``python -m tests.fuzz``: fuzz what reads bytes from outside, led by coverage (atheris, which is libFuzzer for Python).

It needs ``pip install '.[dev]'``, and a Python and a platform that atheris has wheels for. An input that breaks a
property is saved in the property's corpus, where ``tests.fuzz.test_corpus`` fails because of it until it is mended; the
exit code is 1 then.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from natsroute.daemon import child_guard
from tests.fuzz import CORPUS
from tests.fuzz.properties import PROPERTIES

CHECKOUT = Path(__file__).parents[2]
WORDS = Path(__file__).with_name("words.dict")

#: Bytes of the longest input: some times the limits that the property sets the parser.
MAX_LENGTH = 1024
#: Seconds after which one input is a hang, and MiB after which it is a hole.
MAX_SECONDS, MAX_MEMORY = 10, 1024
#: Seconds that a process may take beyond its time, for its start and its end.
GRACE = 60

_INTERRUPTED = 72  # libFuzzer's exit code after SIGTERM


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n\n")[0])
    parser.add_argument("--properties", nargs="+", choices=PROPERTIES, default=["parser"], help="default: parser")
    parser.add_argument("--seconds", type=int, help="for each property; default: 60, or what --inputs takes")
    parser.add_argument("--inputs", type=int, help="for each property, if that is sooner")
    parser.add_argument("--jobs", type=int, default=1, help="processes for one property; default: 1")
    parser.add_argument("--keep", type=Path, help="a folder for inputs that led further; the next run begins with them")
    arguments = parser.parse_args()
    if arguments.seconds is None and arguments.inputs is None:
        arguments.seconds = 60
    return arguments


@attrs.frozen
class Outcome:
    """
    What a process said at its end.

    :ivar coverage: how many places in the code were reached, by the inputs it began with and at the end.
    :ivar findings: files with inputs that broke the property.
    :ivar trouble: all that it said, if it did not end well.
    """

    inputs: int
    coverage: tuple[int, int]
    findings: list[Path]
    trouble: str

    @classmethod
    def read(cls, said: str, code: int) -> Outcome:
        """From libFuzzer's words and exit code."""
        inputs = re.search(r"^stat::number_of_executed_units: +(\d+)", said, re.MULTILINE)
        coverage = [int(places) for places in re.findall(r"^#\d+\s+[A-Z]\w+ +cov: (\d+)", said, re.MULTILINE)] or [0]
        findings = [Path(path) for path in re.findall(r"Test unit written to (.+)", said)]
        fine = inputs and not findings and code in (0, _INTERRUPTED)
        return cls(int(inputs[1]) if inputs else 0, (coverage[0], coverage[-1]), findings, "" if fine else said)


class Job:
    """A fuzzing process, on a leash: it ends with this program, however that ends."""

    def __init__(self, name: str, arguments: list[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    child_guard.__file__,
                    sys.executable,
                    "-m",
                    "tests.fuzz.job",
                    name,
                    *arguments,
                ],
                cwd=CHECKOUT,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
            )

    def wait(self, seconds: float | None) -> None:
        """Until it ends, or so long."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass

    def end(self) -> Outcome:
        """Make it end, if it has not ended yet."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = self._process.wait()
        return Outcome.read(self._log.read_text(encoding="utf-8", errors="replace"), code)


def _fuzz(name: str, arguments: argparse.Namespace, folder: Path) -> list[Outcome]:
    """What came of one property; Ctrl-C ends it sooner."""
    further = (arguments.keep or folder).absolute() / name
    further.mkdir(parents=True, exist_ok=True)
    options = {
        "dict": WORDS,
        "max_len": MAX_LENGTH,
        "timeout": MAX_SECONDS,
        "rss_limit_mb": MAX_MEMORY,
        "artifact_prefix": f"{CORPUS / name}/",
        "print_final_stats": 1,
    }
    patience = None
    if arguments.seconds is not None:
        options["max_total_time"] = arguments.seconds
        patience = arguments.seconds + GRACE
    if arguments.inputs is not None:
        options["runs"] = -(-arguments.inputs // arguments.jobs)
    # libFuzzer writes into the first folder, and reads all.
    words = [*(f"-{option}={value}" for option, value in options.items()), str(further), str(CORPUS / name)]
    jobs = [Job(name, words, folder / f"{name}-{number}.log") for number in range(arguments.jobs)]
    try:
        for job in jobs:
            job.wait(patience)
    except KeyboardInterrupt:
        pass
    return [job.end() for job in jobs]


def _report(name: str, outcomes: list[Outcome], seconds: float) -> None:
    inputs = sum(outcome.inputs for outcome in outcomes)
    begun, reached = (max(outcome.coverage[end] for outcome in outcomes) for end in (0, 1))
    findings = sorted({path for outcome in outcomes for path in outcome.findings})  # two processes may find the same
    print(
        f"{name}: {inputs:,} inputs in {seconds:.0f} s, {inputs / seconds:,.0f} a second; places reached in the code: "
        f"{begun} at the start, {reached} at the end; findings: {len(findings)}"
    )
    for trouble in filter(None, (outcome.trouble for outcome in outcomes)):
        print(*(line for line in trouble.splitlines() if not line.startswith("#")), sep="\n")
    for path in findings:
        print(f"{path.relative_to(CHECKOUT)}: {path.read_bytes()!r}")


def main() -> int:
    """Fuzz, and say what came of it."""
    arguments = _arguments()
    if find_spec("atheris") is None:
        print("atheris is missing: pip install '.[dev]', for CPython 3.11 to 3.13 on Linux on x86-64", file=sys.stderr)
        return 2
    well = True
    with TemporaryDirectory() as folder:
        for name in arguments.properties:
            started = time.monotonic()
            outcomes = _fuzz(name, arguments, Path(folder))
            _report(name, outcomes, time.monotonic() - started)
            well = well and not any(outcome.trouble for outcome in outcomes)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
