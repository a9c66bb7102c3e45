"""Event routes that consume from a stream of a real server: whatever happens, each message is handled"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

from twisted.internet.defer import Deferred

from natsroute import Event, EventRoutes, NatsrouteService, Reject
from natsroute.errors import MisuseError
from tests.support.jetstream_case import JetStreamTestCase
from tests.support.log_recorder import LogRecorder


class RouteCase(JetStreamTestCase):
    """
    A route for ``calls.*`` that writes down what it gets.

    :ivar events: the events, with the time of each delivery.
    """

    def routes(self, function: Any = None, **options: Any) -> EventRoutes:
        """A collection with this route."""
        self.events: list[Event] = getattr(self, "events", [])
        self.times: list[float] = getattr(self, "times", [])
        event_route = EventRoutes()

        @event_route("nats:calls.*", **options)
        def call(event: Event) -> Any:
            self.events.append(event)
            self.times.append(self.reactor.seconds())
            return None if function is None else function(event)

        return event_route

    def waits(self) -> list[float]:
        """Seconds between two deliveries."""
        return [later - earlier for earlier, later in zip(self.times, self.times[1:])]

    @property
    def deliveries(self) -> list[int | None]:
        return [event.delivered for event in self.events]

    def adds_up(self, service: NatsrouteService, **counts: int) -> None:
        """Check the ledger of a service with one consumer, and some of its counts."""
        self.assertEqual(service.ledger().differences(), [])
        [account] = service.ledger().consumers
        self.assertEqual({name: getattr(account, name) for name in counts}, counts)


def fail(event: Event) -> None:
    """A route that never works."""
    raise ValueError(f"no {event.text()}")


class SuccessTests(RouteCase):
    """Calls that end well."""

    async def test_each_message_once(self) -> None:
        """With what the stream says of it. The ledger adds up, and the server keeps nothing."""
        await self.create()
        await self.publish(*map(str, range(1000)))
        service = await self.consume(self.routes())
        await self.until(lambda: len(self.events) == 1000)
        await self.until_state(0, 0, 0)
        self.assertEqual([event.text() for event in self.events], list(map(str, range(1000))))
        last = self.events[-1]
        self.assertEqual((last.stream, last.consumer, last.sequence, last.delivered), ("CALLS", "billing", 1000, 1))
        self.assertEqual((last.reply, last.attempts, last.pending), (None, 1, 0))
        assert last.timestamp is not None
        self.assertLess(abs(last.timestamp.timestamp() - self.reactor.seconds()), 600)
        self.adds_up(service, received=1000, succeeded=1000, lag=0)

    async def test_beside_a_subject(self) -> None:
        """The same routes, and neither takes the other's answers."""
        await self.create()
        service = await self.consume(self.routes(), subject_queue_group=["calls.b:q"])
        await self.publish("1", subject="calls.a")
        await self.publish("2", subject="calls.b")
        await self.until(lambda: len(self.events) == 3)
        await self.until_state(0, 0, 0)
        self.assertEqual(
            sorted((event.text(), event.stream or "") for event in self.events),
            [("1", "CALLS"), ("2", ""), ("2", "CALLS")],
        )
        self.assertEqual([row.lag for row in service.overview().consumers], [None, 0])

    async def test_policies(self) -> None:
        """Each leaves nothing behind."""
        await self.create()
        for number, policy in enumerate(("after", "before", "double", "manual")):
            function = Event.ack if policy == "manual" else None
            service = await self.consume(self.routes(function, ack=policy))
            await self.publish(*map(str, range(10)))
            await self.until(lambda number=number: len(self.events) == 10 * (number + 1))
            await self.until_state(0, 0, 0)
            await self.until(lambda service=service: service.ledger().consumers[0].succeeded == 10)
            await service.stopService()
        self.assertEqual(set(self.deliveries), {1})

    async def test_manual_after_the_call(self) -> None:
        """Several at once, when their effect is safe. An acknowledgement is given once."""
        await self.create()
        await self.consume(self.routes(ack="manual"))
        await self.publish("1", "2", "3")
        await self.until(lambda: len(self.events) == 3)
        await self.until_state(0, 3, 0)
        one, two, three = self.events
        one.ack()
        two.term("a duplicate")
        self.assertRaises(MisuseError, one.ack)
        three.nak(0.1)
        await self.until(lambda: len(self.events) == 4)
        self.events[3].ack()
        await self.until_state(0, 0, 0)
        self.assertEqual(self.deliveries, [1, 1, 1, 2])

    async def test_two_processes_share(self) -> None:
        """Each message is handled by one of them."""
        await self.create()
        services = [await self.consume(self.routes(), client_name=f"natsroute-{number}") for number in (1, 2)]
        await self.publish(*map(str, range(2000)))
        await self.until(lambda: len(self.events) >= 2000)
        await self.until_state(0, 0, 0)
        self.assertEqual(sorted(int(event.text()) for event in self.events), list(range(2000)))
        self.assertTrue(all(service.ledger().consumers[0].received for service in services))


class FailureTests(RouteCase):
    """Calls that fail."""

    async def test_retries_and_dead_letter(self) -> None:
        """The server waits longer each time. The last failure has its dead letter, and the message is gone."""
        await self.create()
        service = await self.consume(self.routes(fail, retries=3, dead_letter="dead.calls"))
        await self.publish("call")
        await self.until(lambda: len(self.events) == 4)
        await self.until_state(0, 0, 0)
        self.assertEqual(self.deliveries, [1, 2, 3, 4])
        for wait, least in zip(self.waits(), (0.1, 0.2, 0.4)):
            self.assertGreaterEqual(wait, least - 0.02)
        await self.until_stored(2)  # the dead letter was published to the stream
        self.adds_up(service, received=4, handed_back=3, retried=3, failed=1, dead_lettered=1)
        self.flushLoggedErrors(ValueError)

    async def test_retries_outlive_a_restart(self) -> None:
        """Another process goes on where the first one has stopped."""
        await self.create()
        first = await self.consume(self.routes(fail, retries=2, dead_letter="dead.calls"))
        await self.publish("call")
        await self.until(lambda: len(self.events) == 1)
        await first.stopService()
        self.assertEqual((await self.state())[:2], (0, 1))
        seen = len(self.events)  # the second delivery may have come before the stop
        second = await self.consume(self.routes(fail, retries=2, dead_letter="dead.calls"))
        await self.until_state(0, 0, 0)
        self.assertEqual(self.deliveries, [1, 2, 3])
        self.adds_up(second, received=3 - seen, failed=1, dead_lettered=1)
        self.flushLoggedErrors(ValueError)

    async def test_reject(self) -> None:
        """Once, with its dead letter; the server's advisory has the reason."""
        advisories: list[Event] = []
        await self.create()

        def reject(event: Event) -> None:
            raise Reject("no such account")

        service = await self.consume(self.routes(reject, retries=5, dead_letter="dead.calls"))
        watching = EventRoutes()
        watching("nats:$JS.EVENT.ADVISORY.CONSUMER.>")(advisories.append)
        await self.connect_service(watching, subject_queue_group="$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>")
        await self.publish("call")
        await self.until(lambda: advisories)
        self.assertEqual(advisories[0].json()["reason"], "no such account")
        await self.until_state(0, 0, 0)
        self.assertEqual(self.deliveries, [1])
        await self.until_stored(2)
        self.adds_up(service, received=1, failed=1, dead_lettered=1, retried=0)

    async def test_max_deliver(self) -> None:
        """Without retries= the consumer says how often. Then there is a dead letter, too."""
        await self.create(max_deliver=2)
        service = await self.consume(self.routes(fail, dead_letter="dead.calls"))
        await self.publish("call")
        await self.until(lambda: len(self.events) == 2)
        await self.until_state(0, 0, 0)
        await self.until_stored(2)
        self.adds_up(service, received=2, handed_back=1, failed=1, dead_lettered=1)
        self.flushLoggedErrors(ValueError)

    async def test_the_backoff_of_the_consumer(self) -> None:
        """It is what a failed call waits for, as a call that is lost."""
        await self.create(backoff=(0.3, 0.8), max_deliver=4)
        await self.consume(self.routes(fail))
        await self.publish("call")
        await self.until_state(0, 0, 0)
        self.assertEqual(self.deliveries, [1, 2, 3, 4])
        for wait, least in zip(self.waits(), (0.3, 0.8, 0.8)):
            self.assertGreaterEqual(wait, least - 0.05)
        self.flushLoggedErrors(ValueError)

    async def test_the_waits_of_the_route(self) -> None:
        """With retries= they are these, also if the consumer has a backoff."""
        await self.create(backoff=(1.0, 300.0), max_deliver=4)
        await self.consume(self.routes(fail, retries=2))
        await self.publish("call")
        await self.until_state(0, 0, 0)
        for wait, least in zip(self.waits(), (0.1, 0.2)):
            self.assertGreaterEqual(wait, least - 0.02)
            self.assertLess(wait, 200)
        self.assertEqual(self.deliveries, [1, 2, 3])
        self.flushLoggedErrors(ValueError)

    async def test_no_route(self) -> None:
        """The message stays in the stream, and is counted."""
        log = LogRecorder(self)
        await self.create()
        service = await self.consume(self.routes())
        await self.publish("other", subject="calls.other.subject")
        await self.publish("call")
        await self.until(lambda: len(self.events) == 1)
        await self.until_state(0, 1, 0)
        self.adds_up(service, received=2, succeeded=1, unrouted=1)
        self.assertEqual(len(log.matching("No event route matches a message to 'calls.other.subject'")), 1)


class TimeTests(RouteCase):
    """Calls that take long, and those that are cut off."""

    async def test_a_call_longer_than_ack_wait(self) -> None:
        """It is reported as in progress; the message behind it, too. Each is delivered once."""
        await self.at_best(self.take_long)

    async def take_long(self) -> None:
        """Calls longer than ack_wait, at a server of their own."""
        await self.server.stop()
        await self._start_server()
        self.events, self.newest = [], 0
        await self.create(ack_wait=1.0)
        running: list[Deferred[None]] = []

        def waiting(event: Event) -> Deferred[None]:
            running.append(Deferred())
            return running[-1]

        await self.consume(self.routes(waiting))
        await self.publish("1", "2", "3")
        await self.until(lambda: running)
        begin = self.reactor.seconds()
        await self.until(lambda: self.reactor.seconds() - begin > 2.5)
        self.assertEqual(await self.state(), (0, 3, 0))
        for number in range(3):
            await self.until(lambda number=number: len(running) > number)
            running[number].callback(None)
        await self.until_state(0, 0, 0)
        self.assertEqual(self.deliveries, [1, 1, 1])

    async def test_drain(self) -> None:
        """A stop waits for the calls, and their acknowledgements are with the server when it has ended."""
        await self.create()
        running: list[Deferred[None]] = []

        def waiting(event: Event) -> Deferred[None]:
            running.append(Deferred())
            return running[-1]

        service = await self.consume(self.routes(waiting, concurrency=10), drain_timeout=60.0)
        await self.publish("1", "2")
        await self.until(lambda: len(running) == 2)
        stopped = service.stopService()
        await self.until(lambda: not service.overview().ready)
        for call in running:
            call.callback(None)
        await stopped
        await self.publish("3")
        # The server takes acknowledgements into account a moment after it has read them.
        while await self.state() != (1, 0, 0):
            pass
        self.adds_up(service, received=2, succeeded=2)

    async def test_cut_off(self) -> None:
        """What is not handled in time is for others at once, and not only after ack_wait."""
        await self.create(ack_wait=300.0)
        first = await self.consume(self.routes(lambda event: Deferred(), key=lambda event: 1), drain_timeout=0.1)
        await self.publish(*map(str, range(5)))
        await self.until(lambda: first.ledger().consumers[0].received == 5)
        await first.stopService()
        self.adds_up(first, received=5, handed_back=5, waiting=0, in_progress=0)
        self.events.clear()
        await self.consume(self.routes())
        await self.until(lambda: len(self.events) == 5)
        await self.until_state(0, 0, 0)
        self.assertEqual(set(self.deliveries), {2})

    async def test_a_service_that_starts_again(self) -> None:
        """In the same process. It goes on."""
        await self.create()
        service = await self.consume(self.routes())
        for number in range(3):
            await self.publish(str(number))
            await self.until(lambda number=number: len(self.events) == number + 1)
            await service.stopService()
            service.startService()
        await self.until_state(0, 0, 0)
        self.assertEqual(set(self.deliveries), {1})
        self.adds_up(service, received=3, succeeded=3)

    async def test_reload(self) -> None:
        """The next message runs in the new code; a call that runs ends as it began."""
        await self.create()
        path = Path(self.mktemp()).with_suffix(".py").resolve()
        source = """
            from natsroute import EventRoutes
            event_route = EventRoutes()
            @event_route("nats:calls.*")
            async def call(event):
                await event.publish("seen.VERSION", event.data)
        """
        path.write_text(dedent(source).replace("VERSION", "1"), encoding="utf-8")
        service = await self.consume(None, event_routes=str(path))
        seen: list[str] = []
        watching = EventRoutes()
        watching("nats:seen.*")(lambda event: seen.append(f"{event.subject} {event.text()}"))
        await self.connect_service(watching, subject_queue_group="seen.*")
        await self.publish("a")
        await self.until(lambda: seen)
        path.write_text(dedent(source).replace("VERSION", "2"), encoding="utf-8")
        await service.reload()
        await self.publish("b")
        await self.until(lambda: len(seen) == 2)
        self.assertEqual(seen, ["seen.1 a", "seen.2 b"])
        await self.until_state(0, 0, 0)


class ReadinessTests(RouteCase):
    """A consumer that is not there."""

    async def test_missing(self) -> None:
        """The service is not ready, and says why. It consumes as soon as the consumer is there."""
        await self.create()
        service = await self.consume(self.routes(), jetstream_consumer=["CALLS:missing"])
        await self.until(lambda: any("not found" in reason.text for reason in service.overview().reasons))
        [reason] = service.overview().reasons
        self.assertEqual((reason.code, reason.about), ("not_consuming", "consumer CALLS:missing"))
        await self.publish("1")
        await self.create_consumer("missing")
        await self.until(lambda: service.overview().ready)
        await self.until(lambda: len(self.events) == 1)


class ScriptTests(RouteCase):
    """Kamailio's scripts consume from a stream as from a subject."""

    def file(self, source: str, suffix: str) -> str:
        path = Path(self.mktemp()).with_suffix(suffix).resolve()
        path.write_text(dedent(source), encoding="utf-8")
        return str(path)

    async def watch(self) -> list[tuple[str, str]]:
        """What scripts publish to ``out.>``."""
        seen: list[tuple[str, str]] = []
        event_route = EventRoutes()
        event_route("nats:out.>")(lambda event: seen.append((event.subject, event.text())))
        await self.connect_service(event_route, subject_queue_group="out.>")
        return seen

    async def test_kamailio_cfg(self) -> None:
        await self.create()
        seen = await self.watch()
        script = self.file('event_route[nats:calls.a] { nats_publish("out.cfg", "$natsData"); }', ".cfg")
        service = await self.consume(None, kamailio_cfg=script)
        await self.publish(*map(str, range(100)))
        await self.until(lambda: len(seen) == 100)
        await self.until_state(0, 0, 0)
        self.assertEqual(seen, [("out.cfg", str(number)) for number in range(100)])
        self.adds_up(service, received=100, succeeded=100)

    async def test_kemi_script(self) -> None:
        """In a thread of its own, several messages at once. One that fails comes again."""
        await self.create(max_deliver=2)
        seen = await self.watch()
        for suffix, source in (
            (
                ".py",
                """
                import KSR
                def on_event(evname):
                    data = KSR.pv.gete("$natsData")
                    if evname.startswith("nats:CALLS"):
                        KSR.nats.publish("out.kemi", evname + " " + data)
                        if data == "bad":
                            raise ValueError("bad")
                """,
            ),
            (
                ".lua",
                """
                function on_event(evname)
                    local data = KSR.pv.gete("$natsData")
                    if string.sub(evname, 1, 10) == "nats:CALLS" then
                        KSR.nats.publish("out.kemi", evname .. " " .. data)
                        if data == "bad" then error("bad") end
                    end
                end
                """,
            ),
        ):
            seen.clear()
            service = await self.consume(None, kemi_script=self.file(source, suffix), event_callback="on_event")
            await self.publish(*map(str, range(100)), "bad")
            await self.until_state(0, 0, 0)
            await self.until(lambda: len(seen) == 102)
            self.assertEqual(seen[:100], [("out.kemi", f"nats:CALLS:billing {number}") for number in range(100)])
            self.assertEqual(seen[100:], [("out.kemi", "nats:CALLS:billing bad")] * 2)
            await self.until(lambda service=service: service.ledger().consumers[0].failed == 1)
            self.adds_up(service, received=102, succeeded=100, handed_back=1, failed=1)
            await service.stopService()
        self.flushLoggedErrors(ValueError)
