"""
A program that sends numbered SIP requests to Kamailio, on a UDP socket.

``python -m tests.chaos.sip_publisher RATE TURN FILE PORT``. A message counts as sent if its request was answered with
200. Kamailio's script answers after it has called ``nats_publish``.
"""

from __future__ import annotations

import re
import select
import socket
import sys
import time

from tests.chaos.comparison import SENT
from tests.chaos.messages import Pace, payload_of, subject_of
from tests.chaos.outcome_reporter import OutcomeReporter

#: Requests without an answer at the same time. More could overflow Kamailio's socket.
WINDOW = 50

#: Seconds that an answer may take. The machine may be busy.
TIMEOUT = 60.0

_ANSWER = re.compile(rb"SIP/2\.0 (\d+) .*?^Call-ID: *(\d+)", re.DOTALL | re.MULTILINE | re.IGNORECASE)

_REQUEST = b"""\
MESSAGE sip:%b@127.0.0.1:%d SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK%d
From: <sip:feeder@chaos.test>;tag=1
To: <sip:%b@chaos.test>
Call-ID: %d
CSeq: 1 MESSAGE
Max-Forwards: 9
Content-Type: text/plain
Content-Length: %d

""".replace(b"\n", b"\r\n")


class Caller:
    """Sends requests and reads the answers."""

    def __init__(self, port: int, reporter: OutcomeReporter) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))
        self._port = port
        self._reporter = reporter
        self._waiting: set[int] = set()

    def send(self, number: int) -> None:
        """Send a request. Wait for answers first if too many requests have none."""
        give_up = time.monotonic() + TIMEOUT
        while len(self._waiting) >= WINDOW:
            self.read(0.1)
            if time.monotonic() > give_up:
                self._waiting.clear()  # their outcome is not known, and is not reported
        user, payload = subject_of(number).rpartition(".")[2].encode(), payload_of(number)
        here = self._socket.getsockname()[1]
        head = _REQUEST % (user, self._port, here, number, user, number, len(payload))
        self._socket.send(head + payload)
        self._waiting.add(number)

    def read(self, seconds: float) -> None:
        """Read the answers that are there, or that come within that time."""
        while select.select([self._socket], [], [], seconds)[0]:
            answer = _ANSWER.match(self._socket.recv(65536))
            if answer:
                number = int(answer[2])
                self._waiting.discard(number)
                self._reporter.outcomes[number] = SENT if answer[1] == b"200" else answer[1].decode()
            seconds = 0.0

    def read_all(self) -> None:
        """Read the last answers."""
        give_up = time.monotonic() + TIMEOUT
        while self._waiting and time.monotonic() < give_up:
            self.read(0.1)


def main() -> None:
    """Send requests until the program is to stop."""
    rate, turn, path, port = sys.argv[1:]
    reporter = OutcomeReporter(path)
    caller, pace = Caller(int(port), reporter), Pace(float(rate))
    reporter.ready()
    while not reporter.stopping:
        for number in pace.due(time.monotonic()):
            caller.send(number)
        caller.read(float(turn))
    caller.read_all()
    reporter.done(pace.sent)


if __name__ == "__main__":
    main()
