"""Hooks in a service that runs, and ``twistd natsroute`` when a hook fails or never ends"""

from __future__ import annotations

import signal

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from natsroute import Event, EventRoutes, NatsrouteService
from tests.support.log_recorder import LogRecorder
from tests.support.server_case import OneServerTestCase
from tests.support.twistd import TwistdTestCase


class HookTests(OneServerTestCase):
    """on_start, on_stop and ready()."""

    async def test_on_start(self) -> None:
        """It publishes before the first message is handled, and messages are not taken from others of the group."""
        event_route, steps, release = EventRoutes(), [], Deferred()
        seen: list[bytes] = []
        other = EventRoutes()
        other("nats:in")(lambda event: steps.append(f"other {event.text()}"))
        other("nats:out")(lambda event: seen.append(event.data))
        member = await self.connect_service(other, subject_queue_group=["in:q", "out"])

        @event_route.on_start
        async def begin(service: NatsrouteService) -> None:
            await service.publish("out", b"started", policy="fail")
            steps.append("begin")
            await release
            steps.append("begun")

        @event_route("nats:connected")
        def connected(event: Event) -> None:
            steps.append("connected")

        event_route("nats:in")(lambda event: steps.append(f"own {event.text()}"))
        service = self.start_service(event_route, nats_url=self.url, subject_queue_group=["in:q"])
        ready = service.ready()
        await self.until(lambda: steps == ["begin"] and seen == [b"started"])
        for number in range(20):
            await member.publish("in", b"%d" % number)
        await self.until(lambda: len(steps) == 21)
        self.assertFalse(ready.called)
        self.assertEqual(steps[1:], [f"other {number}" for number in range(20)])
        release.callback(None)
        await ready
        self.assertTrue(service.connected)
        await self.until(lambda: steps.count("connected") == 3)
        self.assertEqual(steps[21:], ["begun"] + ["connected"] * 3)
        while not any(step.startswith("own") for step in steps):
            await member.publish("in", b"x")
        await member.stopService()

    async def test_on_stop(self) -> None:
        """It begins when everything has been handled, and what it publishes is confirmed."""
        event_route, steps, seen = EventRoutes(), [], []
        watch = EventRoutes()
        watch("nats:out")(lambda event: seen.append(event.data))
        watcher = await self.connect_service(watch, subject_queue_group=["out"])

        @event_route("nats:in")
        async def slow(event: Event) -> None:
            await deferLater(self.reactor, 0.02)
            steps.append(event.text())
            event.publish("out", event.data)

        @event_route.on_stop
        def end(service: NatsrouteService) -> None:
            steps.append("end")
            service.publish("out", b"stopped")

        service = self.start_service(event_route, nats_url=self.url, subject_queue_group=["in"], drain_timeout=30.0)
        await service.ready()
        for number in range(20):
            service.publish("in", b"%d" % number)
        await service.flush()
        await service.stopService()
        self.assertEqual(steps, [*map(str, range(20)), "end"])
        account = service.publisher.account()
        self.assertEqual((account.confirmed, account.failed), (41, 0))
        await self.until(lambda: len(seen) == 21)
        self.assertIn(b"stopped", seen)
        await watcher.stopService()

    async def test_a_start_that_fails(self) -> None:
        """The service stops; the process does not."""
        event_route, steps = EventRoutes(), []

        @event_route.on_start
        async def begin(service: NatsrouteService) -> None:
            raise OSError("no database")

        event_route.on_stop(lambda service: steps.append("end"))
        service = self.start_service(event_route, nats_url=self.url, subject_queue_group=["in"])
        with self.assertRaises(OSError):
            await service.ready()
        await service.stopService()
        self.assertEqual((service.running, service.connected, steps), (0, False, []))
        self.flushLoggedErrors(OSError)

    async def test_ready_without_a_server(self) -> None:
        """It waits; a stop ends the wait."""
        service = self.start_service(nats_url="nats://127.0.0.1:1")
        ready = service.ready()
        await deferLater(self.reactor, 0.1)
        self.assertFalse(ready.called)
        await service.stopService()
        with self.assertRaises(CancelledError):
            await ready


class RestartTests(OneServerTestCase):
    """Stop and start again, with traffic in flight."""

    async def test_restarts_under_load(self) -> None:
        """Ten times, it starts while it is stopping. What was confirmed arrives, and the ledger adds up."""
        watch, seen = EventRoutes(), []
        watch("nats:out")(lambda event: seen.append(event.data))
        watcher = await self.connect_service(watch, subject_queue_group=["out"])
        event_route, starts, stops = EventRoutes(), [], []
        event_route.on_start(starts.append)
        event_route.on_stop(stops.append)

        @event_route("nats:in", concurrency=50)
        async def relay(event: Event) -> None:
            await deferLater(self.reactor, 0.002)
            await event.publish("out", event.data)

        service = await self.connect_service(event_route, subject_queue_group=["in:q"], drain_timeout=30.0)
        feeder = await self.connect_service()
        log = LogRecorder(self)
        confirmed: list[bytes] = []
        running = True

        async def feed() -> None:
            number = 0
            while running:
                for _ in range(20):
                    number += 1
                    feeder.publish("in", b"%d" % number)
                    data = b"own %d" % number
                    published = service.publish("out", data)
                    published.addCallbacks(lambda _, data=data: confirmed.append(data), lambda failure: None)
                await deferLater(self.reactor, 0.002)

        feeding = Deferred.fromCoroutine(feed())
        for number in range(10):
            await deferLater(self.reactor, 0.05)
            stopping = service.stopService()
            if number % 2:
                await deferLater(self.reactor, 0.001)
            service.startService()
            await stopping
            await service.ready()
        running = False
        await feeding
        await service.stopService()
        await feeder.stopService()
        ledger = service.ledger()
        self.assertEqual(ledger.differences(), [])
        self.assertEqual((len(starts), len(stops)), (11, 11))
        [consumer] = ledger.consumers
        self.assertEqual((consumer.failed, consumer.in_progress, consumer.waiting), (0, 0, 0))
        self.assertGreater(len(confirmed), 100)
        self.assertGreater(consumer.succeeded, 10)
        await self.until(lambda: len(seen) >= ledger.publisher.confirmed)
        self.assertEqual(set(confirmed) - set(seen), set())
        self.assertEqual(log.lines("critical"), [])
        await watcher.stopService()

    async def test_stop_while_stopping(self) -> None:
        """Both stops wait for the route: the process must not end before it."""
        event_route, ended, release = EventRoutes(), [], Deferred()

        @event_route("nats:in")
        async def slow(event: Event) -> None:
            await release
            ended.append(event.data)

        service = await self.connect_service(event_route, subject_queue_group=["in"], drain_timeout=30.0)
        await service.publish("in", b"1")
        await self.until(lambda: service.in_flight.running)
        first, second = service.stopService(), service.stopService()
        await deferLater(self.reactor, 0.05)
        self.assertEqual((first.called, second.called), (False, False))
        release.callback(None)
        await first
        await second
        self.assertEqual(ended, [b"1"])


START = """
from natsroute import EventRoutes
event_route = EventRoutes()

@event_route.on_start
async def begin(service):
    print("BEGIN", flush=True)
    {body}

@event_route.on_stop
async def end(service):
    print("END", flush=True)
    {end}
"""


class TwistdHookTests(TwistdTestCase):
    """The whole process."""

    arguments = ("natsroute", "--embedded_server", "--event_routes", "hooks.py", "--hook_timeout", "1000")

    def write(self, body: str = "pass", end: str = "pass") -> None:
        (self.folder / "hooks.py").write_text(START.format(body=body, end=end), encoding="utf-8")

    def test_a_start_that_fails(self) -> None:
        """Exit code 1, and one clear line; with exceptions, and with sys.exit()."""
        for body in ("raise OSError('no database')", "import sys; sys.exit('no database')"):
            self.write(body)
            program = self.run_program(*self.arguments)
            self.assertEqual(program.wait(), 1, program.output())
            output = program.output()
            self.assertRegex(output, r"on_start hook begin \(.*hooks.py:\d+\) failed: the service does not start")
            self.assertIn("no database", output)
            self.assertIn("Server Shut Down", output)
            self.assertNotIn("END", output)
            self.assertEqual(output.count("Traceback"), 1)

    def test_signals(self) -> None:
        """SIGTERM ends a start that never ends, and a second one a stop that never ends."""
        self.write("from twisted.internet.defer import Deferred; await Deferred()")
        program = self.run_program(*self.arguments)
        self.wait_for("BEGIN", program)
        program.process.send_signal(signal.SIGTERM)
        self.assertEqual(program.wait(), -signal.SIGTERM)
        self.assertNotIn("Traceback", program.output())
        self.assertNotIn("END", program.output())
        self.write(end="from twisted.internet.defer import Deferred; await Deferred()")
        program = self.run_program(*self.arguments)
        self.wait_for("BEGIN", program)
        program.process.send_signal(signal.SIGTERM)
        self.wait_for("END", program)
        program.process.send_signal(signal.SIGTERM)
        self.assertEqual(program.wait(), -signal.SIGTERM)  # and not after hook_timeout
        self.assertRegex(program.output(), r"on_stop hook end \(.*\) was cancelled: it took too long")
