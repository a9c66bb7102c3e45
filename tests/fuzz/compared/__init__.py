"""
Scenarios for the differential fuzzer: what happens is chosen from a seed, and everything that can be seen is written
down. The transcript must not depend on the implementation of the hot path.

A scenario is a list of steps. Each step is a tuple of plain values, so it can be printed, and any step but the first
can be left out.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Collection
from random import Random
from typing import Any

import attrs
from twisted.internet import defer
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from tests.fuzz.compared import consuming, publishing, streams

#: The name of what is done, and its arguments.
Step = tuple[Any, ...]


@attrs.frozen
class Scenario:
    """
    One kind of scenario.

    :ivar generate: gives the steps. The first one has the options, and is never left out.
    :ivar perform: does the steps, and gives the transcript.
    """

    generate: Callable[[Random], list[Step]]
    perform: Callable[[list[Step]], list[str]]


SCENARIOS = {
    "streams": Scenario(streams.generate, streams.perform),
    "consuming": Scenario(consuming.generate, consuming.perform),
    "publishing": Scenario(publishing.generate, publishing.perform),
}


def steps_of(name: str, seed: int, kept: Collection[int] | None = None) -> list[Step]:
    """
    The steps of a scenario.

    :param kept: the numbers of the steps that are not left out; None: all.
    """
    steps = SCENARIOS[name].generate(Random(f"{name} {seed}"))
    return steps if kept is None else [step for number, step in enumerate(steps) if not number or number in kept]


#: The subjects and routes of messages that failed.
_UNHANDLED = re.compile(r"^(Not (?:published|confirmed): .*?message(?:\(s\))? to )(?:[^:]|:(?! ))*")


def transcript_of(name: str, steps: list[Step]) -> list[str]:
    """
    Perform a scenario. Nothing is collected before the end, because the implementations create different numbers of
    objects.

    What is logged is at the end of the transcript, in the order of the alphabet. Failures that nobody handles are
    logged when their Deferreds are freed, and which of several is freed first, and so named, differs: the compiled hot
    path uses Deferreds again.
    """
    logged: list[str] = []

    def observe(event: LogEvent) -> None:
        failure = event.get("log_failure")
        error = "" if failure is None else f" {failure.type.__name__}: {failure.getErrorMessage()}"
        text = _UNHANDLED.sub(r"\1…", formatEvent(event))
        logged.append(f"log {event['log_level'].name}: {text}{error}")

    # Twisted keeps each subclass of Deferred for ever, and each publisher has one.
    subclasses: list[object] = getattr(defer, "_DEFERRED_SUBCLASSES", [])
    known = len(subclasses)
    was_enabled = gc.isenabled()
    gc.disable()
    globalLogPublisher.addObserver(observe)
    try:
        transcript = SCENARIOS[name].perform(steps)
        del subclasses[known:]
        gc.collect()
    finally:
        globalLogPublisher.removeObserver(observe)
        if was_enabled:
            gc.enable()
    return transcript + sorted(logged)
