"""The metrics of a service under real traffic, scraped by HTTP, are what its ledger says."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import Agent, readBody

from natsroute import Event, EventRoutes, NatsrouteService
from natsroute.middleware import dead_letter, retry
from tests.support.promtool import promtool
from tests.support.server_case import OneServerTestCase
from tests.test_merged_metrics import samples

#: The metrics of a consumer, and of a route, each with its name in the ledger.
OF_MESSAGES = {
    "messages_succeeded_total": "succeeded",
    "messages_failed_total": "failed",
    "retries_total": "retried",
    "messages_dead_lettered_total": "dead_lettered",
    "messages_not_dead_lettered_total": "not_dead_lettered",
    "messages_in_progress": "in_progress",
    "messages_waiting": "waiting",
}
OF_PUBLISHER = ("published", "confirmed", "failed", "dropped", "resent")

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class MetricsCase(OneServerTestCase):
    """Services that serve HTTP."""

    def setUp(self) -> Any:
        self.agent = Agent(self._reactor())
        return super().setUp()

    def _reactor(self) -> Any:
        from twisted.internet import reactor

        return reactor

    async def scrape(self, service: NatsrouteService) -> bytes:
        """What Prometheus would get."""
        http = service._operations.http
        assert http is not None
        response: Any = await self.agent.request(b"GET", f"{http.url}/metrics".encode())
        body: bytes = await readBody(response)
        self.assertEqual(response.code, 200, body)
        content_type = response.headers.getRawHeaders(b"Content-Type")
        self.assertEqual(content_type, [b"text/plain; version=0.0.4; charset=utf-8"])
        return body

    async def connected_service(self, routes: EventRoutes | None = None, **settings: Any) -> NatsrouteService:
        service = self.start_service(routes, nats_url=self.url, http_listen="127.0.0.1:0", **settings)
        await service.ready()
        return service


class TrafficTests(MetricsCase):
    """Messages to routes of all kinds, while the metrics are scraped."""

    def setUp(self) -> Any:
        self.waiting: list[Deferred[None]] = []
        self.routes = EventRoutes()
        self.routes("nats:quick")(lambda event: event.publish("out", b"x"))
        self.routes("nats:slow", concurrency=10)(self.slow)
        self.routes("nats:keyed", key=lambda event: event.data[:1], concurrency=5)(self.slow)
        self.routes("nats:coroutine")(self.coroutine)
        self.routes("nats:fails", middleware=[dead_letter("dead"), retry(1, 0.001)])(self.fails)
        self.routes("nats:hangs", concurrency=100)(self.hangs)
        return super().setUp()

    def slow(self, event: Event) -> Deferred[None]:
        return deferLater(self.reactor, random.choice((0.0, 0.001, 0.01)))

    async def coroutine(self, event: Event) -> None:
        if event.data.endswith(b"7"):
            await deferLater(self.reactor, 0.001)

    def fails(self, event: Event) -> None:
        if event.data.endswith(b"3"):
            raise ValueError("this message fails")

    def hangs(self, event: Event) -> Deferred[None]:
        self.waiting.append(Deferred())
        return self.waiting[-1]

    async def test_ledger(self) -> None:
        """When the traffic has stopped, each number is that of the ledger; two calls hang, and are in progress."""
        subjects = ["quick", "slow", "keyed", "coroutine", "fails", "unrouted"]
        service = await self.connected_service(
            self.routes,
            subject_queue_group=[*(f"{subject}:q" for subject in subjects), "hangs", "quick"],
            num_publish_workers=2,
        )
        for number in range(30):
            for subject in subjects:
                for _ in range(20):
                    service.publish(subject, b"%d" % random.randrange(1000))
            await service.flush()
            if number % 5 == 0:
                await self.scrape(service)
        for _ in range(2):
            service.publish("hangs", b"")
        service.publish("not a subject", b"").addErrback(Failure.check)
        await service.flush()
        await self.until(lambda: service.ledger().consumers[-2].in_progress == 2 and self.is_quiet(service))
        found = samples(await self.scrape(service))
        self.assert_as_ledger(found, service)
        self.flushLoggedErrors(ValueError)
        for one in self.waiting:
            one.callback(None)

    def is_quiet(self, service: NatsrouteService) -> bool:
        ledger = service.ledger()
        return not ledger.publisher.in_progress and not any(
            account.waiting or account.received < 600 or (account.in_progress and account.name != "hangs")
            for account in ledger.consumers
            if account.name != "hangs"
        )

    def assert_as_ledger(self, found: Samples, service: NatsrouteService) -> None:
        ledger = service.ledger()
        self.assertEqual(ledger.differences(), [])

        def value(name: str, /, **labels: str) -> float | None:
            return found.get((f"natsroute_{name}", frozenset(labels.items())))

        for account in ledger.consumers:
            label = account.name
            self.assertEqual(value("consumer_messages_received_total", consumer=label), account.received, label)
            for reason in "overflowed", "unclaimed", "unrouted":
                dropped = value("consumer_messages_dropped_total", consumer=label, reason=reason)
                self.assertEqual(dropped, getattr(account, reason), label)
            for metric, name in OF_MESSAGES.items():
                self.assertEqual(value(f"consumer_{metric}", consumer=label), getattr(account, name), (label, metric))
        self.assertEqual(len(ledger.routes), 6)
        for counters in ledger.routes:
            label = counters.route
            self.assertEqual(value("route_messages_routed_total", route=label), counters.routed, label)
            for metric, name in OF_MESSAGES.items():
                self.assertEqual(value(f"route_{metric}", route=label), getattr(counters, name), (label, metric))
            ended = counters.succeeded + counters.failed
            self.assertEqual(value("route_handling_seconds_count", route=label) or 0, ended, label)
        for name in OF_PUBLISHER:
            per_worker = [
                value(f"publisher_messages_{name}_total", worker=f"publish worker {number}") or 0 for number in (1, 2)
            ]
            rejected = value("publisher_messages_rejected_total") or 0
            of_all = sum(per_worker) + (rejected if name in ("published", "failed") else 0)
            self.assertEqual(of_all, getattr(ledger.publisher, name), name)
        self.assertEqual(value("publisher_messages_rejected_total"), 1)
        confirmations = [
            value("publisher_confirmation_seconds_count", worker=f"publish worker {number}") or 0 for number in (1, 2)
        ]
        self.assertEqual(sum(confirmations), ledger.publisher.confirmed)
        self.assertEqual((value("ready"), value("calls_in_flight")), (1, 2))
        for purpose, connection in service._connections.named:
            self.assertEqual(value("connection_up", connection=purpose), 1, purpose)
            status = connection.status()
            self.assertEqual(value("connection_messages_received_total", connection=purpose), status.messages_in)

    async def test_handling_times(self) -> None:
        """The histogram shows what the calls took: those of 20 ms are in other buckets than those of nothing."""
        routes = EventRoutes()
        routes("nats:slow", concurrency=50)(lambda event: deferLater(self.reactor, 0.02))
        routes("nats:quick")(lambda event: None)
        service = await self.connected_service(routes, subject_queue_group=["slow", "quick"])
        for _ in range(100):
            service.publish("slow", b"")
            service.publish("quick", b"")
        await self.until(lambda: sum(account.succeeded for account in service.ledger().consumers) == 200)
        found = samples(await self.scrape(service))
        name = "natsroute_route_handling_seconds_bucket"
        below = {
            (route, bound): found[name, frozenset({"route": f"nats:{route}", "le": bound}.items())]
            for route in ("slow", "quick")
            for bound in ("0.01", "+Inf")
        }
        # The machine may stop for a moment in some of the calls, or before their time is taken.
        self.assertGreater(below.pop(("quick", "0.01")), below.pop(("slow", "0.01")))
        self.assertEqual(below, {("slow", "+Inf"): 100, ("quick", "+Inf"): 100})

    async def test_last_delivery(self) -> None:
        """The time of the last message, within a second; none for a consumer without messages."""
        service = await self.connected_service(EventRoutes(), subject_queue_group=["busy", "silent"])
        before = service.overview().time
        service.publish("busy", b"")
        await self.until(lambda: service.ledger().consumers[0].received == 1)
        name = "natsroute_consumer_last_delivery_timestamp_seconds"
        found: Samples = {}
        while (last := found.get((name, frozenset({("consumer", "busy")})), before)) in (before, 0.0) or (
            service.overview().time - last < 1.0
        ):
            found = samples(await self.scrape(service))
            await deferLater(self.reactor, 0.1)
        self.assertGreaterEqual(last, before - 0.1)
        self.assertNotIn((name, frozenset({("consumer", "silent")})), found)

    async def test_promtool(self) -> None:
        """Prometheus' own tool finds nothing to say."""
        service = await self.connected_service(self.routes, subject_queue_group=["quick"])
        service.publish("quick", b"")
        await self.until(lambda: service.publisher.account().confirmed == 2)
        self.assertEqual(promtool("check", "metrics", text=await self.scrape(service)), "")


class ManyTests(MetricsCase):
    """A hundred consumers and routes."""

    async def test_scrape_does_not_hold_the_reactor(self) -> None:
        """While messages flow, a scrape takes several turns. Each is a small part of the whole."""
        routes = EventRoutes()
        subjects = [f"s.{number}" for number in range(100)]
        for subject in subjects:
            routes(f"nats:{subject}")(lambda event: None)
        service = await self.connected_service(routes, subject_queue_group=subjects, num_publish_workers=1)
        for subject in subjects:
            service.publish(subject, b"")
        await service.flush()
        await self.until(lambda: all(account.succeeded for account in service.ledger().consumers))
        metrics = service._operations.metrics
        assert metrics is not None
        turns: list[float] = []
        go_on = metrics._go_on

        def timed(*arguments: Any) -> None:
            began = self.reactor.seconds()
            go_on(*arguments)
            turns.append(self.reactor.seconds() - began)

        metrics._go_on = timed  # type: ignore[method-assign]
        for _ in range(5):
            gatherResults([service.publish(subject, b"") for subject in subjects])
            text = await self.scrape(service)
            self.assertGreater(text.count(b"\n"), 4000)
        self.assertGreater(len(turns), 25)
        self.assertLess(sorted(turns)[len(turns) // 2], sum(turns) / 5 / 3)
