"""natsroute.daemon.operations.report"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.client.servers import Server
from natsroute.client.state import State
from natsroute.client.status import Status
from natsroute.daemon.operations.report import MAX_CALLS, account_lines, report_lines
from natsroute.errors import ServerError
from natsroute.ledger import ConsumerAccount, Ledger, PublisherAccount, RequestsAccount, RouteCounters
from natsroute.routes.event import EventContext
from natsroute.routes.in_flight import CallsInFlight
from natsroute.wire.frames import Address


class MemoryConnection:
    """A connection with a status."""

    def __init__(self, status: Status) -> None:
        self.status = lambda: status


class ReportTests(SynchronousTestCase):
    """What SIGUSR2 writes to the log."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.in_flight = CallsInFlight(self.clock)
        counters = RouteCounters("nats:a", routed=3, succeeded=1, failed=1)
        self.ledger = Ledger(
            (ConsumerAccount("a:q", 4, 1, 0, 0, 0, counters),),
            (counters,),
            PublisherAccount(published=2, confirmed=1, failed=1, dropped=0, resent=0, in_progress=0),
        )

    def lines(self, *statuses: Status) -> list[str]:
        connections: Any = [(f"c{number}", MemoryConnection(status)) for number, status in enumerate(statuses)]
        return list(report_lines(self.ledger, connections, self.in_flight, self.clock.seconds()))

    def call(self, subject: str) -> None:
        nothing: Any = None
        event = Event.of_message(
            EventContext(nothing, self.clock, RouteCounters("nats:a")), Address(subject, 1), b"payload"
        )
        ending: Deferred[object] = Deferred()
        self.in_flight.add(self.in_flight.new_call(event, ending.addErrback(lambda cancelled: None)))

    def test_accounts(self) -> None:
        accounts = [
            "Consumer a:q: 4 received = 1 succeeded + 1 failed + 0 dropped + 1 in progress + 1 waiting",
            "Publisher: 2 published = 1 confirmed + 1 failed + 0 dropped + 0 in progress",
        ]
        self.assertEqual(list(account_lines(self.ledger)), accounts)
        route = "Event route nats:a: 3 routed = 1 succeeded + 1 failed + 1 in progress + 0 waiting"
        self.assertEqual(self.lines(), [*accounts, route])

    def test_requests(self) -> None:
        """They have a line if there were any."""
        ledger = attrs.evolve(self.ledger, requests=RequestsAccount(5, 3, 1, 1, 2))
        self.assertEqual(
            list(account_lines(ledger))[-1],
            "Requests: 5 requested = 3 answered + 1 failed + 1 in progress; 2 late answers",
        )

    def test_connections(self) -> None:
        """What is not known is left out. What a server said is escaped."""
        error = ServerError("\x1b[0m")
        lines = self.lines(
            Status(State.CONNECTED, Server("h"), 0.00125, 2, 3, 0, 4, 5, 6, error),
            Status(State.WAITING, None, None, 0, 0, 0, 0, 0, 0, None),
        )
        self.assertEqual(
            lines[-2:],
            [
                "Connection c0: connected to nats://h:4222; round trip 1.2 ms; 2 reconnects; in 3 messages, 4 bytes; "
                "out 5 messages, 6 bytes; last error '\\x1b[0m'",
                "Connection c1: waiting; 0 reconnects; in 0 messages, 0 bytes; out 0 messages, 0 bytes",
            ],
        )

    def test_calls(self) -> None:
        """The longest first, without payloads; not all of a million."""
        self.call("a\x1b")
        self.clock.advance(1.5)
        self.call("")
        self.assertEqual(
            self.lines()[-2:],
            [
                "Call in flight: nats:a on a message to 'a\\x1b' for 1.5 s",
                "Call in flight: nats:a for 0.0 s",
            ],
        )
        for _ in range(MAX_CALLS):
            self.call("a")
        self.assertEqual(self.lines()[-1], "Calls in flight: 2 more")
        self.in_flight.stop()
