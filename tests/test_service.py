"""natsroute.daemon.service, as it is built; tests.integration runs it"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.application.service import Application, IServiceCollection
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes, NatsrouteService, Settings
from natsroute.client.state import State
from natsroute.daemon.options import CommandLine
from natsroute.errors import MisuseError, PublisherStoppedError, ScriptError, SettingError
from natsroute.kamailio.kemi.scripts import Scripts
from natsroute.wire.frames import Address
from tests.support.log_recorder import LogRecorder
from tests.support.memory_reactor import Reactor


class ServiceTests(SynchronousTestCase):
    """The parts are there, and joined; nothing is started."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.event_route = EventRoutes()
        self.event_route("nats:a")(lambda event: None)

    def service(self, **settings: Any) -> NatsrouteService:
        return NatsrouteService(Settings(**settings), self.event_route, reactor=self.reactor)

    def test_a_service_is_built_without_touching_the_network(self) -> None:
        """One connection for each entry and each worker; nothing is connected before the start."""
        service = self.service(subject_queue_group=["a:q", "a:q", "b"], num_publish_workers=3)
        self.assertEqual([str(consumer.entry) for consumer in service.consumers], ["a:q", "a:q", "b"])
        self.assertEqual(len(service.publisher.workers), 3)
        self.assertEqual((self.reactor.tcpClients, self.reactor.getDelayedCalls(), service.connected), ([], [], False))
        self.successResultOf(service.stopService())

    def test_connections(self) -> None:
        """Those of the publish workers first; the list is a copy."""
        service = self.service(subject_queue_group=["a:q"], num_publish_workers=2)
        consumer = service.consumers[0].connection
        self.assertEqual((len(service.connections), service.connections[-1]), (3, consumer))
        self.assertEqual({connection.status().state for connection in service.connections}, {State.CLOSED})
        service.connections.clear()
        self.assertEqual(len(service.connections), 3)

    def test_publish(self) -> None:
        """Under both names it is the publisher's own: bytes make no detour."""
        service = self.service()
        for publish in (service.publish, service.nats_publish):
            self.assertEqual(publish, service.publisher.publish)

    def kemi_service(self, source: str) -> NatsrouteService:
        """A service with a script."""
        path = Path(self.mktemp()).with_suffix(".py")
        path.write_text(source, encoding="utf-8")
        settings = Settings(kemi_script=path, event_callback="on_event", subject_queue_group=["a:q", "b:q"])
        return NatsrouteService(settings, reactor=self.reactor)

    def test_kemi_script(self) -> None:
        """Each consumer has an instance, the publish workers have one together. A syntax error is an error at once."""
        threads = self.kemi_service("").program.scripts._threads
        self.assertEqual([thread._name for thread in threads], ["publish workers", "a:q", "b:q"])
        error = self.assertRaises(ScriptError, self.kemi_service, "\nx = = 1")
        self.assertEqual(error.line, 2)

    def test_kemi_script_and_the_high_water_mark(self) -> None:
        """While a publish worker has no space, nothing more is published for scripts."""
        service = self.kemi_service("")
        calls: list[str] = []
        self.patch(Scripts, "hold", lambda scripts: calls.append("hold"))
        self.patch(Scripts, "release", lambda scripts: calls.append("release"))
        service._hold()
        service._release()
        self.assertEqual(calls, ["hold", "release"])

    def test_high_water_mark(self) -> None:
        """When the buffer of a publish worker fills up, no message goes to a route; when it is empty, they go on."""
        service = self.service(subject_queue_group=["a:q"], num_publish_workers=1, publish_max_messages=4)
        service.publisher.start()
        failures = [service.publish("b", b"x").addErrback(lambda failure: failure.type) for _ in range(3)]
        subscription = service.consumers[0].source
        subscription.deliver(Event(Address("a", 1), b"1"))
        self.assertEqual(subscription.pending, 1)
        stopped = service.publisher.stop(0.0)
        self.reactor.advance(0)
        self.successResultOf(stopped)
        self.assertEqual([self.successResultOf(one) for one in failures], [PublisherStoppedError] * 3)
        self.assertEqual((subscription.pending, service.ledger().consumers[0].succeeded), (0, 1))

    def test_expressions(self) -> None:
        """Each consumer numbers its events; what has no value is logged once, with the reason."""
        log, numbers = LogRecorder(self), []
        self.event_route("nats:*", thread=False)(
            lambda event: numbers.append((event.subject, event.pv("$mi"), event.pv("$(natsReply{s.len})")))
        )
        service = self.service(subject_queue_group=["b:q", "c"])
        for consumer in (0, 0, 1):
            subject = str(service.consumers[consumer].entry.subject)
            service.consumers[consumer].source.deliver(Event(Address(subject, 1), b"{}"))
        self.assertEqual(numbers, [("b", 1, None), ("b", 2, None), ("c", 1, None)])
        (line,) = log.lines("warn")
        self.assertIn("'$(natsReply{s.len})' has no value for an event: a transformation of null", line)

    def test_expressions_of_connection_events(self) -> None:
        """They share the variables of their consumer, as one process of Kamailio runs both."""
        numbers: list[object] = []
        for name in ("nats:connected", "nats:b"):
            self.event_route(name)(lambda event: numbers.append((event.name, event.pv("$mi"))))
        service = self.service(subject_queue_group=["b:q"], num_publish_workers=1)
        service.consumers[0].source.deliver(Event(Address("b", 1), b"{}"))
        for events in service._versions.events:
            events._runner.fire("nats:connected", "nats://a:4222")
        self.assertEqual(numbers, [("nats:b", 1), ("nats:connected", 1), ("nats:connected", 2)])

    def test_kamailio_cfg(self) -> None:
        """Its modparams are settings; its tables, variables and definitions are those of all consumers."""
        path = Path(self.mktemp())
        path.write_text(
            '#!define ANSWER 42\nmodparam("nats", "subject_queue_group", "a:q")\n'
            'modparam("htable", "htable", "t=>initval=7")\nmodparam("pv", "varset", "v=i:5")\n'
        )
        values: list[object] = []
        self.event_route("nats:>")(lambda event: values.append(event.format("$def(ANSWER) $sht(t=>x) $var(v)")))
        settings = Settings.from_environment({}, kamailio_cfg=str(path))
        service = NatsrouteService(settings, self.event_route, reactor=self.reactor)
        service.consumers[0].source.deliver(Event(Address("b", 1), b""))
        self.assertEqual(values, ["42 7 5"])

    def test_malformed_kamailio_cfg(self) -> None:
        """What only the service looks at is refused when it is built."""
        path = Path(self.mktemp())
        path.write_text('modparam("pv", "varset", "v")')
        settings = Settings.from_environment({}, kamailio_cfg=str(path))
        error = self.assertRaises(ScriptError, NatsrouteService, settings, reactor=self.reactor)
        self.assertEqual((error.line, error.column, error.problem), (1, 26, "varset sets no variable"))

    def test_ledger(self) -> None:
        """Empty, and it adds up."""
        ledger = self.service(subject_queue_group=["a:q", "b"]).ledger()
        self.assertEqual([consumer.name for consumer in ledger.consumers], ["a:q", "b"])
        self.assertEqual((ledger.routes, ledger.publisher.published, ledger.differences()), ((), 0, []))

    def test_mistakes_that_show_when_it_is_built(self) -> None:
        """They name the origin of the setting, too."""
        for options in (
            {"event_routes": ["no_such_file.py"]},
            {"creds_file": "no_such_file"},
            {"tls": "1", "tls_ca_file": "no_such_file"},
        ):
            settings = Settings.load([CommandLine(options)], {})
            error = self.assertRaises(SettingError, NatsrouteService, settings, reactor=self.reactor)
            self.assertEqual(error.origin, f"--{error.setting}")

    def test_two_of_them(self) -> None:
        """They share nothing."""
        one, other = self.service(subject_queue_group=["a"]), self.service(subject_queue_group=["a"])
        self.assertIsNot(one.in_flight, other.in_flight)
        self.assertEqual(set(one.connections) & set(other.connections), set())

    def test_names(self) -> None:
        """Each service of an application has its own, by which it is found, and its log lines begin with it."""
        application = Application("x")
        services = [self.service(), self.service(), self.service(client_name="me"), self.service(client_name="me")]
        for service in services:
            service.setServiceParent(application)
        names = ["natsroute", "natsroute-2", "me", "me-2"]
        collection: Any = IServiceCollection(application)
        self.assertEqual([service.name for service in services], names)
        self.assertEqual([collection.getServiceNamed(name) for name in names], services)
        for service, prefix in zip(services, ["", "natsroute-2: ", "me: ", "me-2: "]):
            log = LogRecorder(self)
            service.log_report()
            self.assertEqual(
                log.lines()[0], f"{prefix}Publisher: 0 published = 0 confirmed + 0 failed + 0 dropped + 0 in progress"
            )
        services[0].setServiceParent(application)
        self.assertEqual(services[0].name, "natsroute")

    def test_started_twice(self) -> None:
        """That is a mistake, and changes nothing."""
        service = self.service()
        service.startService()
        self.assertRaises(MisuseError, service.startService)
        stopped = service.stopService()
        self.reactor.advance(0)
        self.reactor.advance(0)
        self.assertEqual((service.running, len(service.connections)), (0, 2))
        stopped.addErrback(lambda _: None)

    def test_ready_and_stopped(self) -> None:
        """Whoever waits for a start that will not come waits no longer."""
        service = self.service()
        early = service.ready()
        service.stopService()
        self.failureResultOf(early, CancelledError)
        service.startService()
        stopped = service.stopService()
        service.startService()
        ready = service.ready()
        self.assertNoResult(ready)
        service.stopService()
        self.failureResultOf(ready, CancelledError)
        stopped.addErrback(lambda _: None)
