"""Many restarts of nats-server under a steady load: what each publisher loses, doubles and puts out of order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from tests.chaos.outages import Outage
from tests.chaos.publishers import Publisher
from tests.chaos.stage import Stage
from tests.chaos.tally import RouteCounters, tally

#: Seconds of publishing behind the last restart.
TAIL = 1.0


async def run(reactor: Any, folder: Path, publisher: Publisher, outages: list[Outage]) -> RouteCounters:
    """
    One run: publish, with all these outages, and compare.

    :param folder: for the files of the run; a new one.
    """
    folder.mkdir(parents=True)
    stage = Stage(reactor, folder)
    try:
        await stage.start()
        await publisher.start(stage)
        await stage.play(outages)
        await deferLater(reactor, TAIL)
        await publisher.finish()
        return tally(publisher.published, publisher.outcomes, await stage.sightings())
    finally:
        await publisher.stop()
        await stage.stop()
