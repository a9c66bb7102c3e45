"""
A cluster whose nodes differ in ``max_payload``.

natsroute publishes through one node and then through the other, again and again. A consumer at the node with the lower
limit gets the large messages that came through the other node.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from tests.chaos.comparison import SENT, compare
from tests.chaos.outcome import Outcome
from tests.chaos.publishers import NatsroutePublisher
from tests.chaos.recording_consumer import RecordingConsumer
from tests.chaos.testbed import Testbed
from tests.support.nats_cluster import start_cluster
from tests.support.nats_server import NatsServer
from tests.support.waiting import TIMEOUT

#: Messages a second.
RATE = 300.0

#: The nodes' limits in bytes, and the sizes of the messages, which follow one another.
LOW, HIGH = 16 * 1024, 1024 * 1024
SIZES = (128, 128, LOW, 128, LOW + 1, 128, 4 * LOW)


async def run(reactor: Any, folder: Path, seed: int, seconds: float) -> Outcome:
    """
    Publish and consume for that time.

    :param folder: a new folder for the files of the run.
    """
    folder.mkdir(parents=True)
    chance = random.Random(seed)
    servers: list[NatsServer] = []
    testbed: Testbed | None = None
    publisher = NatsroutePublisher(RATE, sizes=SIZES, ignore_discovered_servers=True)
    consumer: RecordingConsumer | None = None
    moves = 0
    try:
        servers += await start_cluster(reactor, 2, [f"max_payload: {limit}" for limit in (LOW, HIGH)])
        low, high = servers
        testbed = Testbed(reactor, folder, server=high)
        await testbed.start()
        consumer = RecordingConsumer(reactor, nats_url=low.url, ignore_discovered_servers=True)
        await consumer.start()
        await publisher.start(testbed)
        give_up = reactor.seconds() + seconds
        while reactor.seconds() < give_up:
            await deferLater(reactor, chance.uniform(0.2, 0.8))
            testbed.proxy.target = (low if moves % 2 == 0 else high).port
            moves += 1
            for connection in list(testbed.proxy.connections):
                connection.cut()
        await publisher.finish()
        sightings = await _sightings(reactor, testbed, consumer, publisher)
        comparison = compare(publisher.published, publisher.outcomes, sightings)
        large = sum(SIZES[number % len(SIZES)] > LOW for _, number in consumer.seen)
        return Outcome(
            [
                *publisher.auditor.differences,
                *comparison.violations,
                *[f"failed with {name}" for name in comparison.reasons if name != "PayloadTooLargeError"],
                *await consumer.differences(sightings),
            ],
            {
                "moves": moves,
                "published": comparison.published,
                "confirmed": comparison.sent,
                "failed to publish": dict(comparison.reasons),
                "seen more than once": comparison.repeated,
                "consumed": len(consumer.seen),
                "consumed that are larger than the consumer's node takes": large,
                "reconnects of the consumer": consumer.service.consumers[0].connection.status().reconnects,
            },
        )
    finally:
        await publisher.stop()
        if consumer is not None:
            await consumer.stop()
        if testbed is not None:
            await testbed.stop()
        for server in servers:
            await server.stop()


async def _sightings(
    reactor: Any, testbed: Testbed, consumer: RecordingConsumer, publisher: NatsroutePublisher
) -> list[tuple[str, int]]:
    """
    What the witness has seen, once that is all that was confirmed, and all that the consumer has. What was published
    through the other node may come to the witness later than its confirmation to the publisher.
    """
    give_up = reactor.seconds() + TIMEOUT
    confirmed = {number for number, outcome in publisher.outcomes.items() if outcome == SENT}
    while True:
        sightings = await testbed.sightings()
        missing = Counter(consumer.seen) - Counter(sightings) or confirmed - {number for _, number in sightings}
        if not missing or reactor.seconds() >= give_up:
            return sightings
