"""
A flood of numbered messages straight to nats-server, as a program: a blocking socket, and nothing of natsroute.

``python -m tests.chaos.flood_feeder PORT SUBJECT COUNT SIZE`` tells, in a line of JSON, when nats-server has read all.
"""

from __future__ import annotations

import json
import sys

from tests.support.plain_client import conversation

#: Messages that are written at once.
BATCH = 64


def main() -> None:
    """Send all, and end."""
    port, subject, count, size = int(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3]), int(sys.argv[4])
    with conversation(port, patience=None) as talk:
        for first in range(0, count, BATCH):
            numbers = range(first, min(first + BATCH, count))
            talk.send(b"".join(b"PUB %b %d\r\n%b\r\n" % (subject, size, (b"%d" % n).ljust(size)) for n in numbers))
        talk.send(b"PING\r\n")
        talk.until(b"PONG")  # of CONNECT
        talk.until(b"PONG")
    print(json.dumps({"sent": count}), flush=True)


if __name__ == "__main__":
    main()
