"""
An account that maps subjects, over connections that are cut.

nats-server refuses messages under the subject to which it has mapped them, which no message of ours has.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from tests.chaos.comparison import SENT, compare
from tests.chaos.messages import SUBJECTS
from tests.chaos.outcome import Outcome
from tests.chaos.publishers import NatsroutePublisher
from tests.chaos.testbed import Testbed

#: Messages a second. Of 12 subjects one is refused, and one arrives under another name.
RATE = 600.0
REFUSED, MOVED = 3, 4

CONFIG = f"""
accounts: {{
  TEST: {{
    users: [
      {{ user: witness, password: "no-password" }}
      {{
        user: natsroute, password: "only-for-tests"
        permissions: {{ publish: {{ allow: ">", deny: "chaos.refused.>" }} }}
      }}
    ]
    mappings: {{ "chaos.{REFUSED}": "chaos.refused.{REFUSED}", "chaos.{MOVED}": "chaos.moved.{MOVED}" }}
  }}
}}
no_auth_user: witness
"""


async def run(reactor: Any, folder: Path, seed: int, seconds: float) -> Outcome:
    """
    Publish for that time.

    :param folder: a new folder for the files of the run.
    """
    folder.mkdir(parents=True)
    chance = random.Random(seed)
    testbed = Testbed(reactor, folder, CONFIG)
    publisher = NatsroutePublisher(RATE, user="natsroute", password="only-for-tests")
    cuts = 0
    try:
        await testbed.start()
        await publisher.start(testbed)
        give_up = reactor.seconds() + seconds
        while reactor.seconds() < give_up:
            await deferLater(reactor, chance.uniform(0.2, 1.0))
            if testbed.proxy.connections:
                chance.choice(testbed.proxy.connections).cut()
                cuts += 1
        await publisher.finish()
        moved = f"chaos.moved.{MOVED}"
        sightings = [
            (f"chaos.{MOVED}" if subject == moved else subject, number) for subject, number in await testbed.sightings()
        ]
        comparison = compare(publisher.published, publisher.outcomes, sightings)
        failed = {number: outcome for number, outcome in publisher.outcomes.items() if outcome != SENT}
        innocent = sorted(number for number in failed if number % SUBJECTS != REFUSED)
        return Outcome(
            [
                *publisher.auditor.differences,
                *comparison.violations,
                *([f"{len(innocent)} failed that nats-server did not refuse: {innocent[:20]}"] if innocent else []),
            ],
            {
                "cuts": cuts,
                "published": comparison.published,
                "confirmed": comparison.sent,
                "failed to publish": dict(comparison.reasons),
                "seen more than once": comparison.repeated,
            },
        )
    finally:
        await publisher.stop()
        await testbed.stop()
