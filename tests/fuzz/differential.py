"""
``python -m tests.fuzz.differential``: do both implementations of the hot path do the same?

Two processes perform the same scenarios (:mod:`tests.fuzz.compared`), one with each implementation, and their
transcripts are compared. The exit code is 1 if two differ; then the smallest scenario that was found is printed. This
needs no fuzzer: the scenarios come from seeds, and the same seed gives the same scenario again.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from difflib import unified_diff
from itertools import cycle
from random import SystemRandom
from typing import Any

import attrs

from tests.fuzz.compared import SCENARIOS, steps_of
from tests.support import ROOT

#: Scenarios that are asked for at once.
BATCH = 20
#: Seconds for the search for a smaller scenario.
MAX_SEARCH = 60
#: Lines of a difference that are shown.
MAX_LINES = 60


class Performer:
    """
    A process that performs scenarios.

    :param implementation: ``pure`` or ``compiled``.
    :param command: the program.
    """

    def __init__(
        self, implementation: str, command: Sequence[str] = (sys.executable, "-m", "tests.fuzz.performer")
    ) -> None:
        self.implementation = implementation
        self._command = command
        self._start()

    def _start(self) -> None:
        environment = {**os.environ, "NATSROUTE_PURE": str(int(self.implementation == "pure")), "PYTHONHASHSEED": "0"}
        self._process: subprocess.Popen[str] = subprocess.Popen(
            self._command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        chosen = self._read()
        if chosen != self.implementation:
            self.close()
            sys.exit(f"the {self.implementation} hot path was asked for, and there is: {chosen}")

    def ask(self, **request: Any) -> Callable[[], Any]:
        """
        Send a request.

        :return: waits for the answer, and returns it. If the process ends instead, it is started again, and the answer
            is how it ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        return self._read_or_start

    def _read_or_start(self) -> Any:
        answer = self._read()
        if isinstance(answer, str):
            self._start()
        return answer

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else f"the process ended with exit code {self._process.wait()}"

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@attrs.frozen
class Difference:
    """
    A scenario with different transcripts.

    :ivar kept: the numbers of the steps that were not left out.
    :ivar transcripts: of the first and of the second implementation; or how the process ended.
    """

    name: str
    seed: int
    kept: list[int]
    transcripts: tuple[list[str], list[str]]

    def __str__(self) -> str:
        steps = [
            f"{number:>5} {step!r}" for number, step in zip([0, *self.kept], steps_of(self.name, self.seed, self.kept))
        ]
        lines = list(unified_diff(*self.transcripts, "first", "second", lineterm="", n=4))
        more = [f"... {len(lines) - MAX_LINES} more lines"] if len(lines) > MAX_LINES else []
        again = (
            f"python -m tests.fuzz.differential --scenarios {self.name} --seed {self.seed} --steps {_joined(self.kept)}"
        )
        return "\n".join([f"{self.name} {self.seed}:", *steps, *lines[:MAX_LINES], *more, f"again: {again}"])


def _joined(kept: list[int]) -> str:
    return ",".join(map(str, kept)) or "none"


class Comparison:
    """
    Compares two performers.

    :ivar scenarios: how many were performed by both.
    :ivar steps: the steps of these.
    """

    def __init__(self, first: Performer, second: Performer) -> None:
        self._performers = first, second
        self.scenarios = self.steps = 0

    def _ask(self, **request: Any) -> tuple[Any, Any]:
        first, second = (performer.ask(**request) for performer in self._performers)
        return first(), second()

    def batch(self, name: str, seed: int, count: int = BATCH) -> Difference | None:
        """
        Perform scenarios with consecutive seeds.

        :return: the first one that differs, as small as possible; or None.
        """
        one, other = self._ask(name=name, seed=seed, count=count)
        if one == other and not isinstance(one, str):
            self.scenarios += count
            self.steps += sum(steps for _, steps in one)
            return None
        for number in range(seed, seed + count):
            difference = self.difference(name, number)
            if difference is not None:
                return self._smallest(difference)
        raise RuntimeError(f"{name} {seed}: it differs only after others: {one} {other}")

    def difference(self, name: str, seed: int, kept: list[int] | None = None) -> Difference | None:
        """Perform one scenario, or a part of it."""
        if kept is None:
            kept = list(range(1, len(steps_of(name, seed))))
        one, other = (
            [answer] if isinstance(answer, str) else answer for answer in self._ask(name=name, seed=seed, kept=kept)
        )
        return None if one == other else Difference(name, seed, kept, (one, other))

    def _smallest(self, difference: Difference) -> Difference:
        """Leave out steps as long as there is a difference."""
        ends = time.monotonic() + MAX_SEARCH
        size = max(1, len(difference.kept) // 2)
        while time.monotonic() < ends:
            smaller = next(self._without(difference, size), None)
            if smaller is not None:
                difference = smaller
            elif size == 1:
                break
            size = max(1, min(size, len(difference.kept)) // (1 if smaller is not None else 2))
        return difference

    def _without(self, difference: Difference, size: int) -> Iterator[Difference]:
        for start in range(0, len(difference.kept), size):
            kept = difference.kept[:start] + difference.kept[start + size :]
            smaller = self.difference(difference.name, difference.seed, kept)
            if smaller is not None:
                yield smaller


def fuzz(
    comparison: Comparison, names: Sequence[str], seed: int, seconds: float | None, inputs: int | None
) -> Difference | None:
    """
    Compare until the time is over, or that many scenarios are performed.

    :return: the first difference, or None.
    """
    ends = None if seconds is None else time.monotonic() + seconds
    seeds = dict.fromkeys(names, seed)
    for name in cycle(names):
        if (ends is not None and time.monotonic() >= ends) or (inputs is not None and comparison.scenarios >= inputs):
            break
        difference = comparison.batch(name, seeds[name])
        if difference is not None:
            return difference
        seeds[name] += BATCH
    return None


def main() -> int:
    """Compare, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.differential", description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, help="default: 60, or what --inputs takes")
    parser.add_argument("--inputs", type=int, help="ends it after that many scenarios")
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), help="default: all")
    parser.add_argument("--seed", type=int, help="of the first scenario; default: any")
    parser.add_argument("--steps", help="perform these steps of the one scenario and seed only, such as 1,2,5")
    parser.add_argument("--implementations", nargs=2, default=["pure", "compiled"], help="default: pure compiled")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # also in the background
        signal.signal(number, signal.default_int_handler)
    seed = SystemRandom().randrange(2**32) if arguments.seed is None else arguments.seed
    seconds = 60.0 if arguments.seconds is None is arguments.inputs else arguments.seconds
    performers = [Performer(implementation) for implementation in arguments.implementations]
    comparison = Comparison(*performers)
    began = time.monotonic()
    try:
        if arguments.steps is not None:
            kept = [] if arguments.steps == "none" else [*map(int, arguments.steps.split(","))]
            difference = comparison.difference(arguments.scenarios[0], seed, kept)
        else:
            print(f"seed: {seed}", flush=True)
            difference = fuzz(comparison, arguments.scenarios, seed, seconds, arguments.inputs)
    except KeyboardInterrupt:
        difference = None
    finally:
        for performer in performers:
            performer.close()
    if difference is not None:
        print(difference)
    took = time.monotonic() - began
    count = "a difference" if difference is not None else "no difference"
    print(f"{comparison.scenarios} scenarios, {comparison.steps} steps, {took:.0f} s: {count}")
    return int(difference is not None)


if __name__ == "__main__":
    sys.exit(main())
