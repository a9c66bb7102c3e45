"""
A program that sends numbered messages to nats-server as fast as it can, on a blocking socket and without natsroute.

``python -m tests.chaos.flood_feeder URL SUBJECT COUNT SIZE`` prints a line of JSON when nats-server has read all.
"""

from __future__ import annotations

import json
import sys

from tests.support.plain_client import PlainClient

#: Messages in each write.
BATCH = 64


def main() -> None:
    """Send all messages, and end."""
    url, subject, count, size = sys.argv[1], sys.argv[2].encode(), int(sys.argv[3]), int(sys.argv[4])
    with PlainClient(url, None) as client:
        for first in range(0, count, BATCH):
            numbers = range(first, min(first + BATCH, count))
            client.write(b"".join(b"PUB %b %d\r\n%b\r\n" % (subject, size, (b"%d" % n).ljust(size)) for n in numbers))
        client.flush()
    print(json.dumps({"sent": count}), flush=True)


if __name__ == "__main__":
    main()
