"""
Performs scenarios for :mod:`tests.fuzz.differential`, with the implementation of the hot path that the environment
chooses.

It reads requests from standard input, one in a line, and answers each with a line, both in JSON. It ends with its
standard input.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import signal
import sys
import traceback
from hashlib import blake2b
from typing import Any

from twisted.logger import globalLogBeginner

from natsroute import hot
from tests.fuzz.compared import steps_of, transcript_of

#: Seconds after which a scenario counts as a hang. The process then prints where it is, and ends.
MAX_SECONDS = 300


def answer(request: dict[str, Any]) -> Any:
    """
    Perform what is asked for.

    :param request: ``name`` and ``seed`` of a scenario. With ``count``, that many are performed, and the answer has the
        digest and the number of steps of each. Otherwise the answer is the transcript, and ``kept`` may have the
        numbers of the steps to keep.
    """
    name, seed = request["name"], request["seed"]
    if "count" not in request:
        return _transcript(name, seed, request["kept"])[0]
    digests = []
    for number in range(seed, seed + request["count"]):
        transcript, steps = _transcript(name, number, None)
        text = "\n".join(transcript).encode("utf-8", "backslashreplace")
        digests.append((blake2b(text, digest_size=8).hexdigest(), steps))
    return digests


def _transcript(name: str, seed: int, kept: list[int] | None) -> tuple[list[str], int]:
    faulthandler.dump_traceback_later(MAX_SECONDS, exit=True)
    try:
        steps = steps_of(name, seed, kept)
        return transcript_of(name, steps), len(steps)
    except BaseException:
        # It differs from that of the other implementation, so that it is reported even if both raise something.
        return [f"with the {hot.IMPLEMENTATION} hot path: {traceback.format_exc()}"], 0
    finally:
        faulthandler.cancel_dump_traceback_later()


def main() -> None:
    """Answer requests."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the other program
    with os.fdopen(os.dup(1), "w", encoding="ascii") as answers:
        os.dup2(2, 1)  # whatever is printed is no answer
        globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
        gc.collect()
        gc.freeze()  # a collection after each scenario is quick then
        print(json.dumps(hot.IMPLEMENTATION), file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
