"""
Permissions change while natsroute publishes and consumes: nats-server reloads its configuration again and again.

A message that nats-server refuses fails. When all is permitted again, the consumer has its subscription again.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.task import deferLater

from tests.chaos.comparison import Comparison, compare
from tests.chaos.messages import SUBJECTS, subject_of
from tests.chaos.outcome import Outcome
from tests.chaos.publishers import NatsroutePublisher
from tests.chaos.recording_consumer import RecordingConsumer
from tests.chaos.testbed import Testbed
from tests.support.waiting import until

#: Messages a second.
RATE = 1_000.0

#: Subjects that may be forbidden at once.
MAX_DENIED = 4

#: The login of natsroute. Everybody else logs in without a password, and may do everything.
LOGIN = {"user": "natsroute", "password": "only-for-tests"}

#: Seconds of publishing after the last reload.
TAIL = 1.0


def config(denied: Iterable[str] = (), *, may_subscribe: bool = True) -> str:
    """A configuration that forbids natsroute to publish to these subjects, and perhaps to consume."""
    publish = ", ".join(f'"{subject}"' for subject in denied)
    subscribe = "" if may_subscribe else '"chaos.*", "chaos.* crew"'
    return f"""
authorization {{
  users: [
    {{ user: witness, password: "no-password" }}
    {{
      user: {LOGIN["user"]}, password: "{LOGIN["password"]}"
      permissions: {{ publish: {{ allow: ">", deny: [{publish}] }}, subscribe: {{ allow: ">", deny: [{subscribe}] }} }}
    }}
  ]
}}
no_auth_user: witness
"""


def violations_of(comparison: Comparison) -> list[str]:
    """
    What must not happen. Messages may come out of order if others come twice.

    If a reload permits a subject in the middle of a batch, it is not certain which messages the server has refused, so
    each is sent again. Those that it has refused come behind later ones then, and the others come twice. The slower the
    machine is, the larger are the batches, and the more likely is this.
    """
    return attrs.evolve(comparison, out_of_order=0).violations if comparison.repeated else comparison.violations


async def run(reactor: Any, folder: Path, seed: int, seconds: float) -> Outcome:
    """
    Reload again and again, for that time, and once more with everything permitted.

    :param folder: a new folder for the files of the run.
    """
    folder.mkdir(parents=True)
    chance = random.Random(seed)
    testbed = Testbed(reactor, folder, config())
    publisher = NatsroutePublisher(RATE, **LOGIN)
    consumer: RecordingConsumer | None = None
    reloads = 0
    try:
        await testbed.start()
        consumer = RecordingConsumer(reactor, nats_url=testbed.server.url, **LOGIN)
        await consumer.start()
        await publisher.start(testbed)
        give_up = reactor.seconds() + seconds
        while reactor.seconds() < give_up:
            denied = chance.sample([subject_of(number) for number in range(SUBJECTS)], chance.randrange(MAX_DENIED + 1))
            await testbed.server.reload(config(denied, may_subscribe=bool(reloads % 2)))
            reloads += 1
            await deferLater(reactor, chance.uniform(0.1, 0.5))
        await testbed.server.reload(config())
        violations = []
        count = len(consumer.seen)
        try:
            await until(lambda: len(consumer.seen) > count, reactor)
        except AssertionError:
            violations.append("nothing is consumed although it is permitted again")
        permitted = publisher.published
        await deferLater(reactor, TAIL)
        await publisher.finish()
        sightings = await testbed.sightings()
        comparison = compare(publisher.published, publisher.outcomes, sightings)
        consumer.seen = [sighting for sighting in consumer.seen if sighting[1] >= permitted]
        return Outcome(
            [
                *violations,
                *publisher.auditor.differences,
                *violations_of(comparison),
                *[f"failed with {name}" for name in comparison.reasons if name != "PermissionsError"],
                *await consumer.differences(sighting for sighting in sightings if sighting[1] >= permitted),
            ],
            {
                "reloads": reloads,
                "published": comparison.published,
                "confirmed": comparison.sent,
                "failed to publish": dict(comparison.reasons),
                "seen more than once": comparison.repeated,
                "consumed after the last reload": len(consumer.seen),
            },
        )
    finally:
        await publisher.stop()
        if consumer is not None:
            await consumer.stop()
        await testbed.stop()
