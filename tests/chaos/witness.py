"""
An independent subscriber, as a program: a blocking socket, and nothing of natsroute.

``python -m tests.chaos.witness PORT SUBJECT FILE`` is connected whenever there is a server: it tries again every few
milliseconds. Each message becomes a line of the file, in the order in which they came, and so does each time that it
came or went. On standard output it tells, in lines of JSON, when it is subscribed again, and when it is asked (by a
message to :data:`~tests.chaos.messages.ASKED`) that the file has all that came before.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import BinaryIO

from tests.chaos.messages import ASKED
from tests.support.plain_client import Talk, conversation

_PAUSE = 0.005  # seconds between attempts to connect


def _tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def _watch(talk: Talk, subject: str, file: BinaryIO) -> None:
    """Until the connection ends."""
    talk.send(b"SUB %b 1\r\nPING\r\n" % subject.encode())
    pongs = 0
    for line in talk.lines:
        if line.startswith(b"MSG ") and line.endswith(b"\r\n"):
            words = line.split()
            size = int(words[-1])
            payload = talk.lines.read(size + 2)
            if len(payload) < size + 2:
                return
            if words[1] == ASKED.encode():
                file.flush()
                _tell(asked=int(payload))
            else:
                file.write(b"%b %b\n" % (words[1], payload.split()[0]))
        elif line == b"PONG\r\n":
            pongs += 1
            if pongs == 2:  # the first was the answer to CONNECT
                file.write(b"# subscribed at %f\n" % time.time())
                _tell(subscribed=True)
        elif line == b"PING\r\n":
            talk.send(b"PONG\r\n")


def main() -> None:
    """Watch, until it is ended from outside."""
    port, subject, path = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    with path.open("wb") as file:
        while True:
            try:
                with conversation(port, patience=None) as talk:
                    _watch(talk, subject, file)
                file.write(b"# lost at %f\n" % time.time())
            except (OSError, ValueError):  # nobody is there, or it died within a line
                pass
            time.sleep(_PAUSE)


if __name__ == "__main__":
    main()
