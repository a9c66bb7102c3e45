"""natsroute.daemon.check"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.client.servers import parse_url
from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change
from natsroute.daemon import connections
from natsroute.daemon.check import INSPECTIONS, Reached, connect_once, plan_lines
from natsroute.daemon.plan import Plan, PlannedConsumer
from natsroute.daemon.settings.bucket_entry import KeyValueEntry
from natsroute.daemon.settings.jetstream_entries import ConsumerEntry, ReplayEntry
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.errors import HandshakeError, ScriptError
from natsroute.wire.frames import Info


class PlanLinesTests(SynchronousTestCase):
    """What would run, as text."""

    def test_table(self) -> None:
        """Equal consumers share a row. Columns are aligned."""
        consumer = PlannedConsumer(QueueEntry("Kamailio-World", "2021"), ("nats:Kamailio-World", "nats:>"))
        plan = Plan("nats://a:4222", 4, (consumer, PlannedConsumer(QueueEntry("b"), ()), consumer), ("x is wrong",))
        self.assertEqual(
            list(plan_lines(Settings(), plan)),
            [
                "NATS servers: nats://a:4222",
                "publish workers: 4, each with a connection",
                "",
                "subject         queue group  connections  runs",
                "Kamailio-World  2021         2            nats:Kamailio-World, nats:>",
                "b                            1            nothing: no event route",
                "",
                "warning: x is wrong",
            ],
        )

    def test_streams(self) -> None:
        """Have a table of their own: there are no queue groups."""
        stream = PlannedConsumer(ConsumerEntry.parse("CALLS:billing=>max_deliver=5"), ("nats:calls.*",))
        replay = PlannedConsumer(ReplayEntry.parse("CALLS=>from=last"), ("nats:>",))
        plan = Plan("nats://a:4222", 1, (PlannedConsumer(QueueEntry("b"), ("nats:>",)), stream, replay), ())
        self.assertEqual(
            list(plan_lines(Settings(), plan))[3:],
            [
                "subject  queue group  connections  runs",
                "b                     1            nats:>",
                "",
                "stream  consumer  connections  runs",
                "CALLS   billing   1            nats:calls.*",
                "CALLS   (replay)  1            nats:>",
            ],
        )

    def test_buckets(self) -> None:
        """So have the changes of buckets."""
        changes = PlannedConsumer(KeyValueEntry("calls", ("a.>", "b")), ("kv:calls:a.>", "kv:calls:b"))
        self.assertEqual(
            list(plan_lines(Settings(), Plan("nats://a:4222", 1, (changes,), ())))[3:],
            [
                "bucket  keys   connections  runs",
                "calls   a.> b  1            kv:calls:a.>, kv:calls:b",
            ],
        )

    def test_file(self) -> None:
        """The kamailio.cfg is named; without consumers there is no table."""
        settings = Settings.from_environment({}, kamailio_cfg="/dev/null")
        self.assertEqual(
            list(plan_lines(settings, Plan("nats://a:4222", 2, (), ()))),
            ["kamailio.cfg: /dev/null", "NATS servers: nats://a:4222", "publish workers: 2, each with a connection"],
        )

    def test_processes(self) -> None:
        """Each process has all connections."""
        lines = list(plan_lines(Settings(processes=3), Plan("nats://a:4222", 2, (), ())))
        self.assertIn("processes: 3, each with what follows; what has no queue group is in the first only", lines)

    def test_passed_over(self) -> None:
        """What does not run here comes before the warnings."""
        plan = Plan("nats://a:4222", 2, (), ("x is wrong",), "natsroute does not run this")
        expected = ["", "natsroute does not run this", "warning: x is wrong"]
        self.assertEqual(list(plan_lines(Settings(), plan))[-3:], expected)

    def test_hostile_names(self) -> None:
        """What a file says does not reach the terminal unescaped."""
        plan = Plan("a", 2, (PlannedConsumer(QueueEntry("a\x1b[0m"), ()),), ("b\x1b",))
        self.assertNotIn("\x1b", "".join(plan_lines(Settings(), plan)))


class InspectionTests(SynchronousTestCase):
    """What looks further at the settings."""

    def warnings(self, **settings: Any) -> list[str]:
        return [warning for inspect in INSPECTIONS for warning in inspect(Settings(**settings))]

    def test_kemi_script(self) -> None:
        """The functions that a script uses and natsroute does not have, where it uses them first."""
        path = Path(self.mktemp()).absolute().with_suffix(".py")
        path.write_text("import KSR as KSR\nKSR.info('x')\nKSR.tm.t_relay()\nKSR.tm.t_relay()\nKSR.sl.send_reply(1)\n")
        self.assertEqual(
            self.warnings(kemi_script=str(path), event_callback="info"),
            [
                f"{path}:3:1: natsroute has no KSR.tm.t_relay, which is used 2 times",
                f"{path}:5:1: natsroute has no KSR.sl.send_reply, which is used once",
            ],
        )
        self.assertEqual(self.warnings(), [])

    def test_malformed_kemi_script(self) -> None:
        """It is an error."""
        path = Path(self.mktemp()).with_suffix(".py")
        path.write_text("(")
        self.assertRaises(ScriptError, self.warnings, kemi_script=str(path), event_callback="f")


class MemoryConnection:
    """A connection whose test is the server."""

    made: list[MemoryConnection] = []

    def __init__(self, reactor: Any, servers: Any, **options: Any) -> None:
        self.servers, self.options = servers, options
        self.calls: list[str] = []
        self.info: Info | None = None
        self._observers: list[Callable[[Change], object]] = []
        self.observe = self._observers.append
        self.made.append(self)

    def observe_errors(self, on_error: Callable[..., object]) -> None:
        """Nobody reports errors here."""

    def startService(self) -> None:
        self.calls.append("start")

    def stopService(self) -> Deferred[None]:
        self.calls.append("stop")
        self.change(Change(ConnectionEvent.CLOSED))
        return succeed(None)

    def change(self, change: Change) -> None:
        for observer in self._observers:
            observer(change)


class ConnectTests(SynchronousTestCase):
    """Each server is connected to once."""

    def setUp(self) -> None:
        MemoryConnection.made = self.made = []
        self.patch(connections, "Connection", MemoryConnection)

    def connect(self, **settings: Any) -> Deferred[list[Reached]]:
        return connect_once(MemoryReactorClock(), Settings(**settings))

    def test_each_server(self) -> None:
        """All at the same time, and each alone; the connections end."""
        results = self.connect(nats_url=["nats://u:hunter2@a", "nats://b"], user="me", num_publish_workers=7)
        self.assertEqual([one.calls for one in self.made], [["start"], ["start"]])
        a, b = parse_url("nats://u:hunter2@a"), parse_url("nats://b")
        self.made[1].change(Change(ConnectionEvent.CONNECT_FAILED, b, HandshakeError("no\x1b")))
        self.assertNoResult(results)
        self.made[0].info = Info(version="2.15.1")
        self.made[0].change(Change(ConnectionEvent.CONNECTED, a))
        one, other = self.successResultOf(results)
        self.assertEqual(one, Reached(a, "2.15.1"))
        self.assertEqual(str(one), "nats://a:4222: connected (nats-server 2.15.1)")
        self.assertEqual(str(other), "nats://b:4222: cannot be used: no\\x1b")
        self.assertEqual([one.calls for one in self.made], [["start", "stop"], ["start", "stop"]])

    def test_default_server(self) -> None:
        """Without a nats_url it is Kamailio's default."""
        results = self.connect()
        (connection,) = self.made
        connection.change(Change(ConnectionEvent.CONNECTED, parse_url("nats://127.0.0.1:4222")))
        (result,) = self.successResultOf(results)
        self.assertEqual(str(result), "nats://127.0.0.1:4222: connected (nats-server )")
