"""
A program that sends bursts of numbered messages to nats-server, on a blocking socket and without natsroute.

``python -m tests.chaos.burst_feeder URL SEED RATE SUBJECT...`` runs until it is killed. It does not send again what
nats-server did not take, so each number of a subject exists at most once.
"""

from __future__ import annotations

import random
import sys
import time

from tests.support.plain_client import PlainClient

#: Messages of the largest burst.
MAX_BURST = 400


def _feed(client: PlainClient, chance: random.Random, rate: float, numbers: dict[str, int]) -> None:
    """Send bursts until the connection ends."""
    while True:
        burst = []
        for _ in range(chance.randrange(1, MAX_BURST)):
            subject = chance.choice(list(numbers))
            numbers[subject] += 1
            payload = b"%d " % numbers[subject] + b"x" * chance.randrange(200)
            burst.append(b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(payload), payload))
        client.write(b"".join(burst))
        time.sleep(len(burst) / rate)


def main() -> None:
    """Feed, and reconnect whenever the connection ends."""
    url, seed, rate, *subjects = sys.argv[1:]
    chance, numbers = random.Random(int(seed)), dict.fromkeys(subjects, 0)
    while True:
        try:
            with PlainClient(url, None) as client:
                _feed(client, chance, float(rate), numbers)
        except OSError:
            time.sleep(0.01)


if __name__ == "__main__":
    main()
