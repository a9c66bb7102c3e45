"""natsroute.monitoring.overview: the values of one service, their JSON, and the sum of several processes."""

from __future__ import annotations

import json

import attrs
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.servers import parse_url
from natsroute.client.state import State
from natsroute.client.status import Status
from natsroute.errors import ServerError
from natsroute.ledger import ConsumerAccount, PublisherAccount, RequestsAccount, RouteCounters
from natsroute.monitoring.overview import (
    CallRow,
    ConnectionRow,
    ConsumerRow,
    ErrorRow,
    Overview,
    PublisherRow,
    Reason,
    RouteRow,
    ServiceRow,
    WorkerRow,
)

STATUS = Status(
    state=State.CONNECTED,
    server=parse_url("nats://user:secret@host:4222"),
    rtt=0.001,
    reconnects=2,
    messages_in=10,
    unclaimed=1,
    bytes_in=100,
    messages_out=5,
    bytes_out=50,
    last_error=ServerError("Authorization Violation"),
)
COUNTERS = RouteCounters("nats:one", routed=7, waiting=1, succeeded=3, failed=1, retried=4, dead_lettered=1)
ACCOUNT = ConsumerAccount("one:q", received=12, pending=2, overflowed=1, unclaimed=1, unrouted=1, routes=COUNTERS)
PUBLISHED = PublisherAccount(published=9, confirmed=5, failed=1, dropped=1, resent=3, in_progress=2)


def overview(pid: int = 1, **fields: object) -> Overview:
    """An overview with a row of each kind."""
    made = Overview(
        name="natsroute",
        version="1.0",
        pids=(pid,),
        started=100.0 + pid,
        time=200.0 + pid,
        reasons=(Reason("not_connected", "consumer one:q", "connection refused"),),
        connections=(ConnectionRow.of("consumer one:q", STATUS),),
        consumers=(ConsumerRow.of(ACCOUNT, idle=3.0),),
        routes=(RouteRow.of(COUNTERS),),
        publisher=PublisherRow.of(PUBLISHED),
        workers=(WorkerRow.of("publish worker 1", PUBLISHED, 1000),),
        calls=(CallRow("nats:one", "one", 5.0 + pid),),
        calls_in_flight=3,
        errors=(ErrorRow(150.0 + pid, "warn", "natsroute", "slow"),),
        services=(ServiceRow("calc", "1.0.0", f"id{pid}", 2),),
        hot_path="pure",
    )
    return attrs.evolve(made, **fields)  # type: ignore[arg-type]


class RowTests(SynchronousTestCase):
    """The rows of one service."""

    def test_connection(self) -> None:
        """Everything that a status has, without credentials."""
        row = ConnectionRow.of("consumer one:q", STATUS)
        self.assertEqual((row.state, row.server), ("connected", "nats://host:4222"))
        self.assertEqual((row.rtt, row.reconnects, row.last_error), (0.001, 2, "Authorization Violation"))
        self.assertEqual(
            (row.messages_in, row.unclaimed, row.bytes_in, row.messages_out, row.bytes_out), (10, 1, 100, 5, 50)
        )

    def test_connection_without_a_server(self) -> None:
        """What is not known is None."""
        row = ConnectionRow.of("x", attrs.evolve(STATUS, server=None, rtt=None, last_error=None))
        self.assertEqual((row.server, row.rtt, row.last_error), (None, None, None))

    def test_consumer(self) -> None:
        """Its numbers add up as those of the ledger."""
        row = ConsumerRow.of(ACCOUNT)
        dropped = row.overflowed + row.unclaimed + row.unrouted
        self.assertEqual(row.received, row.succeeded + row.failed + dropped + row.in_progress + row.waiting)
        self.assertEqual((row.retried, row.dead_lettered, row.idle), (4, 1, None))

    def test_route(self) -> None:
        """Its numbers add up."""
        row = RouteRow.of(COUNTERS)
        self.assertEqual(row.routed, row.succeeded + row.failed + row.in_progress + row.waiting)

    def test_worker(self) -> None:
        """The account, and the bytes held."""
        row = WorkerRow.of("publish worker 1", PUBLISHED, 1000)
        self.assertEqual((row.name, row.published, row.resent, row.bytes_held), ("publish worker 1", 9, 3, 1000))


class JsonTests(SynchronousTestCase):
    """As JSON and back."""

    def test_round_trip(self) -> None:
        """Nothing is lost."""
        before = overview()
        self.assertEqual(Overview.from_json(json.loads(json.dumps(before.as_json()))), before)

    def test_ready(self) -> None:
        """``ready`` is part of it."""
        self.assertIs(overview().as_json()["ready"], False)
        self.assertIs(overview(reasons=()).as_json()["ready"], True)

    def test_another_version(self) -> None:
        """A process that is replaced by a newer version knows fewer fields."""
        fields = overview().as_json()
        for row in fields["consumers"]:
            del row["lag"], row["handed_back"]
        del fields["requests"], fields["hot_path"]
        self.assertEqual(Overview.from_json(fields), overview(hot_path=""))
        del fields["consumers"][0]["received"]
        self.assertRaises(KeyError, Overview.from_json, fields)

    def test_unknown_field(self) -> None:
        """That of a newer version is left out."""
        fields = overview().as_json()
        fields["new"] = 1
        fields["calls"][0]["new"] = 1
        self.assertEqual(Overview.from_json(fields), overview())


class MergedTests(SynchronousTestCase):
    """Several processes."""

    def test_sums(self) -> None:
        """Consumers and routes of the same name are one row, with the sum."""
        one, two = overview(1), overview(2)
        both = Overview.merged([one, two])
        self.assertEqual([(row.name, row.received, row.idle) for row in both.consumers], [("one:q", 24, 3.0)])
        self.assertEqual([(row.route, row.routed) for row in both.routes], [("nats:one", 14)])
        self.assertEqual((both.publisher.published, both.calls_in_flight), (18, 6))
        asked = RequestsAccount(5, 3, 1, 1, 2)
        both = Overview.merged([overview(1, requests=asked), overview(2, requests=asked)])
        self.assertEqual(both.requests, RequestsAccount(10, 6, 2, 2, 4))
        self.assertEqual(Overview.from_json(both.as_json()), both)
        self.assertEqual((both.pids, both.started, both.time), ((1, 2), 101.0, 202.0))
        self.assertEqual(both.hot_path, "pure")
        self.assertEqual(Overview.merged([overview(hot_path=""), overview(hot_path="compiled")]).hot_path, "compiled")

    def test_processes(self) -> None:
        """What is not added up says which process it belongs to."""
        both = Overview.merged([overview(1), overview(2)])
        for rows in (both.reasons, both.connections, both.workers):
            self.assertEqual([row.process for row in rows], [1, 2])

    def test_services(self) -> None:
        """Each process is an instance of its own."""
        services = Overview.merged([overview(1), overview(2)]).services
        self.assertEqual([(row.id, row.process) for row in services], [("id1", 1), ("id2", 2)])

    def test_order(self) -> None:
        """The oldest call and the latest error come first."""
        both = Overview.merged([overview(1), overview(2)])
        self.assertEqual([row.age for row in both.calls], [7.0, 6.0])
        self.assertEqual([row.time for row in both.errors], [152.0, 151.0])

    def test_ready(self) -> None:
        """Several processes are ready if each is."""
        self.assertTrue(Overview.merged([overview(1, reasons=()), overview(2, reasons=())]).ready)
        self.assertFalse(Overview.merged([overview(1, reasons=()), overview(2)]).ready)

    def test_a_stream(self) -> None:
        """The processes share its consumer: the lag of each is that of all, and the newest may be lower."""
        rows = [attrs.evolve(overview().consumers[0], lag=lag, handed_back=1) for lag in (None, 7, 5)]
        both = Overview.merged([overview(consumers=(row,)) for row in rows])
        self.assertEqual((both.consumers[0].lag, both.consumers[0].handed_back), (7, 3))

    def test_never_idle(self) -> None:
        """A consumer that has had no message in any process."""
        rows = (ConsumerRow.of(ACCOUNT),)
        both = Overview.merged([overview(1, consumers=rows), overview(2, consumers=rows)])
        self.assertIsNone(both.consumers[0].idle)
