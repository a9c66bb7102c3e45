"""natsroute.daemon.code.program"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes, Settings
from natsroute.daemon.code.program import Program
from natsroute.daemon.settings.bucket_entry import KeyValueEntry
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.errors import ScriptError, SettingError
from natsroute.kamailio.shared_tables import SharedTable
from natsroute.kamailio.tables import HashTable
from natsroute.ledger import RouteCounters
from natsroute.routes.event import EventContext
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.results import call_deferred
from natsroute.wire.frames import Address
from tests.support.memory_reactor import Reactor


class ProgramTestCase(SynchronousTestCase):
    """Programs out of files in a temporary folder."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.in_flight = CallsInFlight(self.reactor)

    def file(self, source: str, suffix: str = ".py") -> str:
        path = Path(self.mktemp()).resolve().with_suffix(suffix)
        path.write_text(source, encoding="utf-8")
        return str(path)

    def program(
        self, own: EventRoutes | None = None, former: Program | None = None, share: Any = None, **settings: Any
    ) -> Program:
        shared = {} if share is None else {"share": share}
        return Program(
            self.reactor,
            Settings.from_environment({}, **settings),
            own,
            call_deferred,
            self.in_flight,
            lambda name: lambda *message, **how: succeed(None),
            former,
            **shared,
        )


class ProgramTests(ProgramTestCase):
    """What one version has."""

    def test_routes_and_hooks(self) -> None:
        """Those of the program and those of the files; each consumer finds both."""
        event_route = EventRoutes()
        event_route("nats:own")(lambda event: None)
        path = self.file(
            "from natsroute import EventRoutes\n"
            "event_route = EventRoutes()\n"
            "event_route('nats:a')(lambda event: None)\n"
            "event_route('nats:connected')(lambda event: None)\n"
            "event_route.on_start(lambda service: None)\n"
        )
        program = self.program(event_route, event_routes=path)
        code = program.for_consumer(QueueEntry(">"))
        names = [route and route.name for route in map(code.find, ("own", "a", "b"))]
        self.assertEqual(names, ["nats:own", "nats:a", None])
        for events in (code, program.for_publish_worker()):
            route = events.find_event("nats:connected")
            self.assertEqual(route and route.name, "nats:connected")
        self.assertTrue(program.hooks.has_on_start)
        self.assertFalse(self.program(event_route).hooks.has_on_start)

    def test_script_timeout(self) -> None:
        self.assertEqual(self.program(script_timeout=5).variables.script_timeout, 5.0)
        self.assertEqual(self.program().variables.script_timeout, 1.0)

    def test_variables(self) -> None:
        """``$shv`` is shared by all connections, ``$var`` belongs to one."""
        program = self.program()
        entry = QueueEntry("a")
        consumers = [program.for_consumer(entry).expressions for _ in range(2)]
        events = [
            Event.of_message(
                EventContext(
                    lambda *message, **how: succeed(None),
                    self.reactor,
                    RouteCounters("nats:a"),
                    expressions=expressions,
                ),
                Address("a", 1),
                b"",
            )
            for expressions in consumers
        ]
        events[0].set_pv("$shv(x)", 5)
        events[0].set_pv("$var(x)", 6)
        self.assertEqual([event.pv("$shv(x)") for event in events], [5, 5])
        self.assertEqual([event.pv("$var(x)") for event in events], [6, 0])

    def test_shared_tables(self) -> None:
        """They take the place of those in memory, also in the next version, with its definition."""
        cfg = 'modparam("htable", "htable", "a=>initval={}")\nmodparam("htable", "htable", "b=>size=8")\n'
        table = SharedTable(lambda name: None)

        def share(name: bytes, own: HashTable) -> HashTable:
            if name == b"a":
                table.define_as(own)
                return table
            return own

        first = self.program(share=share, kamailio_cfg=self.file(cfg.format(1), ".cfg"))
        second = self.program(None, first, share, kamailio_cfg=self.file(cfg.format(2), ".cfg"))
        for program in (first, second):
            self.assertIs(program.variables.tables[b"a"], table)
        self.assertIs(second.variables.tables[b"b"], first.variables.tables[b"b"])
        self.assertEqual(table.initial, 2)

    def test_buckets(self) -> None:
        """A KEMI script has no instance for their changes."""
        program = self.program(kemi_script=self.file("def f(name): pass\n"), event_callback="f")
        self.assertIsNone(program.for_consumer(KeyValueEntry("b", (">",))).script)

    def test_scripts(self) -> None:
        """An instance for each consumer, and one for the publish workers together."""
        program = self.program(kemi_script=self.file("def f(name): pass\n"), event_callback="f")
        workers = [program.for_publish_worker().script for _ in range(2)]
        self.assertIs(workers[0], workers[1])
        consumers = {program.for_consumer(QueueEntry("a")).script for _ in range(2)}
        self.assertEqual(len({*consumers, *workers}), 3)
        self.assertIsNone(self.program().for_publish_worker().script)

    def test_errors(self) -> None:
        """Each names the file; that of a setting says where the setting came from."""
        malformed = self.file("\nx = = 1")
        error: Any = self.assertRaises(SettingError, self.program, event_routes=malformed)
        self.assertIn(f"line 2 of {malformed}", str(error))
        error = self.assertRaises(ScriptError, self.program, kemi_script=malformed, event_callback="f")
        self.assertEqual((error.file, error.line), (malformed, 2))
        cfg = self.file("event_route[nats:a] { no_such_function(); }", ".cfg")
        error = self.assertRaises(ScriptError, self.program, kamailio_cfg=cfg)
        self.assertEqual((error.file, error.line), (cfg, 1))
