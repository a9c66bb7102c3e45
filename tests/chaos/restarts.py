"""Many restarts of nats-server under a steady load: what a publisher loses, repeats and puts out of order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from tests.chaos.comparison import Comparison, compare
from tests.chaos.outages import Outage
from tests.chaos.publishers import Publisher
from tests.chaos.testbed import Testbed

#: Seconds of publishing after the last restart.
TAIL = 1.0


async def run(reactor: Any, folder: Path, publisher: Publisher, outages: list[Outage]) -> Comparison:
    """
    Publish during all the outages, and compare.

    :param folder: a new folder for the files of the run.
    """
    folder.mkdir(parents=True)
    testbed = Testbed(reactor, folder)
    try:
        await testbed.start()
        await publisher.start(testbed)
        await testbed.play(outages)
        await deferLater(reactor, TAIL)
        await publisher.finish()
        return compare(publisher.published, publisher.outcomes, await testbed.sightings())
    finally:
        await publisher.stop()
        await testbed.stop()
