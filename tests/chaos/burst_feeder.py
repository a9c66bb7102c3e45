"""
Bursts of numbered messages straight to nats-server, as a program: a blocking socket, and nothing of natsroute.

``python -m tests.chaos.burst_feeder PORT SEED RATE SUBJECT...`` goes on until it is ended from outside. What
nats-server did not take it does not send again, so that each number of a subject exists at most once.
"""

from __future__ import annotations

import random
import sys
import time

from tests.support.plain_client import Talk, conversation

#: Messages of the largest burst.
MOST = 400


def _feed(talk: Talk, chance: random.Random, rate: float, numbers: dict[str, int]) -> None:
    """Until the connection ends."""
    while True:
        burst = []
        for _ in range(chance.randrange(1, MOST)):
            subject = chance.choice(list(numbers))
            numbers[subject] += 1
            payload = b"%d " % numbers[subject] + b"x" * chance.randrange(200)
            burst.append(b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(payload), payload))
        talk.send(b"".join(burst))
        time.sleep(len(burst) / rate)


def main() -> None:
    """Feed, and connect again whenever the connection ends."""
    port, seed, rate, *subjects = sys.argv[1:]
    chance, numbers = random.Random(int(seed)), dict.fromkeys(subjects, 0)
    while True:
        try:
            with conversation(int(port), patience=None) as talk:
                _feed(talk, chance, float(rate), numbers)
        except OSError:
            time.sleep(0.01)


if __name__ == "__main__":
    main()
