"""
``python -m tests.fuzz.leaks``: does anything grow when the scenarios of the differential fuzzer are repeated?

The exit code is 1 if objects or memory do. In a debug build of Python, references count too, so that one that is not
dropped shows even if the object stays for other reasons.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

from twisted.logger import globalLogBeginner

from natsroute import hot
from tests.fuzz.compared import SCENARIOS, steps_of, transcript_of
from tests.support.growth import FEW, MANY, growth


def grows(measure: Callable[[], dict[str, int]]) -> dict[str, int]:
    """What grows in two measurements, one after the other: what a leak does. Caches may grow once."""
    once = measure()
    return {name: more for name, more in measure().items() if name in once} if once else {}


def main() -> int:
    """Repeat scenarios, and print what grows."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.leaks", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=MANY, help=f"default: {MANY}, compared with {FEW}")
    parser.add_argument("--scenarios", type=int, default=20, help="how many of each kind; default: 20")
    parser.add_argument("--seed", type=int, default=0, help="of the first; default: 0")
    arguments = parser.parse_args()
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    has_references = hasattr(sys, "gettotalrefcount")
    print(f"{hot.describe()}; {'a debug build' if has_references else 'no debug build, so references are not counted'}")
    leaks = 0
    for name in SCENARIOS:
        for seed in range(arguments.seed, arguments.seed + arguments.scenarios):
            steps = steps_of(name, seed)
            if len(steps) > 300:  # it takes too long
                continue
            run = partial(transcript_of, name, steps)
            grown = grows(lambda: growth(run, FEW, arguments.rounds))  # noqa: B023 - it is called at once
            if grown:
                leaks += 1
                print(f"{name} {seed}: {grown}", flush=True)
        print(f"{name}: done", flush=True)
    print(f"{leaks} scenarios leak" if leaks else "no leak")
    return int(leaks > 0)


if __name__ == "__main__":
    sys.exit(main())
