"""
An independent subscriber: a program on a blocking socket, without natsroute.

``python -m tests.chaos.subscriber URL SUBJECT FILE`` is connected whenever there is a server: it tries to reconnect
every few milliseconds. It writes a line to the file for each message, in the order in which the messages come, and for
each time that it subscribes or loses the connection.

It prints a line of JSON when it has subscribed, and when the file has everything that came before a question (a message
to :data:`~tests.chaos.messages.QUESTION_SUBJECT`).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import BinaryIO

from tests.chaos.messages import QUESTION_SUBJECT
from tests.support.plain_client import PlainClient

_RECONNECT_WAIT = 0.005


def _print(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def _record(client: PlainClient, subject: str, file: BinaryIO) -> None:
    """Record messages until the connection ends."""
    client.subscribe(subject)
    file.write(b"# subscribed at %f\n" % time.time())
    _print(subscribed=True)
    question_subject = QUESTION_SUBJECT.encode()
    while True:
        to, _, payload = client.next_message()
        if to == question_subject:
            file.flush()
            _print(answered=int(payload))
        else:
            file.write(b"%b %b\n" % (to, payload.split()[0]))


def main() -> None:
    """Subscribe and record, until it is killed."""
    url, subject, path = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    with path.open("wb") as file:
        while True:
            try:
                # A server that goes may say why with -ERR; what it sent before still counts.
                with PlainClient(url, None, on_error=lambda line: None) as client:
                    try:
                        _record(client, subject, file)
                    finally:
                        file.write(b"# lost at %f\n" % time.time())
            except (OSError, ValueError):  # there is no server, or it died within a line
                pass
            time.sleep(_RECONNECT_WAIT)


if __name__ == "__main__":
    main()
