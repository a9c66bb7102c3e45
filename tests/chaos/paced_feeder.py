"""
A program that sends numbered messages to nats-server at a constant rate, on a blocking socket and without natsroute.

``python -m tests.chaos.paced_feeder URL RATE SUBJECT:SHARE ...`` prints a line of JSON with its ``pid``. Each subject
has its own numbers, from 0. At SIGUSR1 it stops, and prints how many it ``sent`` to each subject and in how many
``seconds``, once nats-server has read all.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter

from tests.chaos.messages import Pace
from tests.support.plain_client import PlainClient

#: Seconds between two turns.
TURN = 0.002


def main() -> None:
    """Feed until the signal."""
    url, rate, *shares = sys.argv[1:]
    subjects = [
        subject.encode() for subject, _, share in (one.partition(":") for one in shares) for _ in range(int(share))
    ]
    sent = Counter[bytes]()
    stopped: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, frame: stopped.append(number))
    with PlainClient(url, None) as client:
        print(json.dumps({"pid": os.getpid()}), flush=True)
        pace, began = Pace(float(rate)), time.monotonic()
        while not stopped:
            batch = []
            for number in pace.due(time.monotonic()):
                subject = subjects[number % len(subjects)]
                payload = b"%d" % sent[subject]
                sent[subject] += 1
                batch.append(b"PUB %b %d\r\n%b\r\n" % (subject, len(payload), payload))
            client.write(b"".join(batch))
            time.sleep(TURN)
        client.flush()
        seconds = time.monotonic() - began
    facts = {"sent": {subject.decode(): count for subject, count in sent.items()}, "seconds": seconds}
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
