"""natsroute.daemon.plan"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from natsroute import EventRoutes, Settings
from natsroute.daemon.code.routing import Routing
from natsroute.daemon.plan import Inspection, Plan, PlannedConsumer
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.routes.results import call_deferred


class PlanTests(SynchronousTestCase):
    """What a service is going to run."""

    def setUp(self) -> None:
        self.event_route = EventRoutes()
        self.event_route("nats:a")(lambda event: None)
        self.event_route("nats:>")(lambda event: None)

    def plan(self, settings: Settings, inspections: Iterable[Inspection] = ()) -> Plan:
        return Plan.of(settings, Routing(settings, self.event_route, call_deferred), inspections)

    def test_consumers(self) -> None:
        """Each with the routes that it reaches."""
        plan = self.plan(Settings(subject_queue_group=["a:q", "a:q", "b"], num_publish_workers=3))
        both = PlannedConsumer(QueueEntry("a", "q"), ("nats:a", "nats:>"))
        self.assertEqual(plan.consumers, (both, both, PlannedConsumer(QueueEntry("b"), ("nats:>",))))
        self.assertEqual(plan.workers, 3)

    def test_streams(self) -> None:
        """The subjects are not known before the server is asked, so any route may be reached."""
        plan = self.plan(Settings(jetstream_consumer="CALLS:billing", subject_queue_group="b:q"))
        self.assertEqual([str(consumer.entry) for consumer in plan.consumers], ["b:q", "CALLS:billing"])
        self.assertEqual([consumer.runs for consumer in plan.consumers], [("nats:>",), ("nats:a", "nats:>")])
        self.assertEqual(plan.warnings, ())
        self.event_route = EventRoutes()
        self.assertEqual(
            self.plan(Settings(jetstream_consumer="CALLS:billing")).warnings,
            ("Consumer CALLS:billing has no event route: add some for the subjects of its stream",),
        )
        self.assertEqual(
            self.plan(Settings(jetstream_replay="CALLS")).warnings,
            ("Consumer replay:CALLS has no event route: add some for the subjects of its stream",),
        )

    def test_buckets(self) -> None:
        """The routes name them; no setting does."""
        self.event_route = EventRoutes()
        self.event_route("kv:calls:a.>")(lambda event: None)
        plan = self.plan(Settings())
        ((entry, runs),) = [(str(consumer.entry), consumer.runs) for consumer in plan.consumers]
        self.assertEqual((entry, runs, plan.warnings), ("kv:calls", ("kv:calls:a.>",), ()))

    def test_servers(self) -> None:
        """Without their credentials."""
        self.assertEqual(
            self.plan(Settings(nats_url=["nats://u:hunter2@a", "nats://b"])).servers, "nats://a:4222, nats://b:4222"
        )
        self.assertEqual(self.plan(Settings(embedded_server=True)).servers, "the embedded server")

    def test_warnings(self) -> None:
        """Those of consumers, settings and subjects, and of inspections; each once."""
        self.event_route = EventRoutes()
        self.event_route("nats:c")(lambda event: None)
        settings = Settings(subject_queue_group=["a:q", "a:q"], warnings=("x", "x"))
        seen: list[Settings] = []

        def inspect(settings: Settings) -> list[str]:
            seen.append(settings)
            return ["y", "z"]

        self.assertEqual(
            self.plan(settings, [inspect]).warnings,
            (
                "Consumer a:q has no event route: add one named 'nats:a'",
                "x",
                "No subject_queue_group reaches these event routes: nats:c",
                "y",
                "z",
            ),
        )
        self.assertEqual(seen, [settings])

    def test_passed_over(self) -> None:
        """The blocks of a kamailio.cfg that do not run here."""
        path = Path(self.mktemp()).absolute()
        path.write_text("request_route { exit; }\nroute[A] { exit; }\n")
        settings = Settings.from_environment({}, kamailio_cfg=str(path))
        blocks = "request_route, route[A]"
        self.assertEqual(self.plan(settings).passed_over, f"natsroute does not run these blocks of {path}: {blocks}")
        self.assertEqual(self.plan(Settings()).passed_over, "")

    def test_warnings_of_a_script(self) -> None:
        path = Path(self.mktemp()).absolute()
        path.write_text("event_route[nats:b] { $sht(u=>a) = 1; }\n")
        settings = Settings.from_environment({}, kamailio_cfg=str(path), subject_queue_group=["a:q", "b:q"])
        warning = self.plan(settings).warnings[0]
        self.assertTrue(warning.startswith(f"{path}:1:23: there is no htable u:"), warning)

    def test_nothing_to_do(self) -> None:
        """A service without consumers only publishes."""
        self.assertEqual(
            self.plan(Settings()).warnings,
            ("No subject_queue_group is set: nothing is consumed, natsroute only publishes",),
        )

    def test_a_service_without_endpoints(self) -> None:
        """Nobody reaches a route that responds; or there is none."""
        service = {"service_name": "calc", "service_version": "1.0.0"}
        problem = (
            "The service calc has no endpoint: no event route with responds=True is reached by a subject_queue_group"
        )
        self.assertIn(problem, self.plan(Settings(subject_queue_group="a:q", **service)).warnings)
        self.event_route("nats:b", responds=True)(lambda event: None)
        self.assertIn(problem, self.plan(Settings(subject_queue_group="a:q", **service)).warnings)
        self.assertEqual(self.plan(Settings(subject_queue_group=["a:q", "b:q"], **service)).warnings, ())
