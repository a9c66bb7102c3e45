"""Publishing to streams of real nats-servers that restart, die, refuse messages, and lose their streams."""

from __future__ import annotations

from collections import Counter
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, gatherResults

from natsroute import Event, EventRoutes, NatsrouteService
from natsroute.errors import NatsrouteError, PublisherStoppedError
from natsroute.jetstream.errors import (
    BatchError,
    DuplicateInBatchError,
    ExpectedStreamError,
    InvalidPubAckError,
    MessageTooLargeError,
    MessageTtlError,
    NoStreamError,
    ScheduleError,
    StreamFullError,
    WrongLastMessageIdError,
    WrongLastSequenceError,
)
from natsroute.jetstream.publishing.pub_ack import PubAck
from tests.support.documents import snippet
from tests.support.server_case import OneServerTestCase

FAST = {"num_publish_workers": 1, "reconnect_wait": 0.02, "reconnect_max_wait": 0.05}


class StreamTestCase(OneServerTestCase):
    """A server with JetStream, whose streams outlive it."""

    config = "jetstream: {}"
    settings = {"drain_timeout": 1.0, **FAST}

    async def api(self, service: NatsrouteService, method: str, request: dict[str, Any] | None = None) -> Any:
        """Ask the JetStream API."""
        answer = await service.request(f"$JS.API.{method}", b"" if request is None else request)
        found = answer.json()
        self.assertNotIn("error", found)
        return found

    async def with_stream(self, routes: EventRoutes | None = None, **config: Any) -> NatsrouteService:
        """A service, and the stream CALLS for ``calls.>`` unless the configuration says otherwise."""
        service = await self.connect_service(routes)
        stream = {"name": "CALLS", "subjects": ["calls.>"], **config}
        await self.api(service, f"STREAM.CREATE.{stream['name']}", stream)
        return service

    async def state(self, service: NatsrouteService, stream: str = "CALLS") -> dict[str, Any]:
        """The state of a stream, with the number of messages of each subject."""
        info = await self.api(service, f"STREAM.INFO.{stream}", {"subjects_filter": ">"})
        state: dict[str, Any] = info["state"]
        return state

    async def error_of(self, publish: Deferred[Any]) -> type[Exception]:
        """The type of the error of a publish."""
        try:
            await publish
        except NatsrouteError as error:
            return type(error)
        raise AssertionError("it was acknowledged")


class AcknowledgementTests(StreamTestCase):
    """What the server says."""

    async def test_acknowledged(self) -> None:
        """Many messages in flight; each has its own sequence, in order."""
        service = await self.with_stream()
        acks = await gatherResults([service.publish("calls.a", b"%d" % n, stream=True) for n in range(5000)])
        self.assertEqual(acks[0], PubAck("CALLS", 1))
        self.assertEqual([ack.sequence for ack in acks], [*range(1, 5001)])
        self.assertEqual((await self.state(service))["messages"], 5000)
        self.assertEqual(service.ledger().differences(), [])
        self.assertGreaterEqual(service.ledger().publisher.confirmed, 5000)

    async def test_subjects_of_the_settings(self) -> None:
        """Without a word in the program."""
        service = await self.connect_service(jetstream_publish=["calls.>"])
        await self.api(service, "STREAM.CREATE.CALLS", {"name": "CALLS", "subjects": ["calls.>"]})
        self.assertEqual(await service.publish("calls.a", {"n": 1}), PubAck("CALLS", 1))
        self.assertIs(await service.publish("calls.a", b"", stream=False), None)
        self.assertIs(await service.publish("other", b""), None)

    async def test_duplicate(self) -> None:
        service = await self.with_stream()
        first = await service.publish("calls.a", b"1", stream=True, msg_id="call-1")
        second = await service.publish("calls.a", b"1", stream=True, msg_id="call-1")
        self.assertEqual((first, second), (PubAck("CALLS", 1), PubAck("CALLS", 1, duplicate=True)))

    async def test_expectations(self) -> None:
        """Each has its error, and holds otherwise."""
        service = await self.with_stream()

        def publish(**options: Any) -> Deferred[Any]:
            return service.publish("calls.a", b"", stream=True, **options)

        await publish(msg_id="1", expected_last_subject_sequence=0, expected_stream="CALLS")
        await publish(expected_last_msg_id="1", expected_last_sequence=1)
        self.assertIs(await self.error_of(publish(expected_stream="OTHER")), ExpectedStreamError)
        self.assertIs(await self.error_of(publish(expected_last_sequence=1)), WrongLastSequenceError)
        self.assertIs(await self.error_of(publish(expected_last_subject_sequence=0)), WrongLastSequenceError)
        self.assertIs(await self.error_of(publish(expected_last_msg_id="1")), WrongLastMessageIdError)
        self.assertEqual((await self.state(service))["messages"], 2)

    async def test_limits(self) -> None:
        """A full stream keeps its old messages."""
        service = await self.with_stream(max_bytes=1000, discard="new", max_msg_size=400)
        results: Any = await DeferredList(
            [service.publish("calls.a", b"x" * 300, stream=True) for _ in range(5)], consumeErrors=True
        )
        self.assertEqual([one.type if not good else None for good, one in results][:2], [None, None])
        self.assertEqual({one.type for good, one in results if not good}, {StreamFullError})
        self.assertIs(await self.error_of(service.publish("calls.a", b"x" * 500, stream=True)), MessageTooLargeError)

    async def test_options_that_the_stream_does_not_allow(self) -> None:
        service = await self.with_stream()
        self.assertIs(await self.error_of(service.publish("calls.a", b"", stream=True, ttl=5)), MessageTtlError)
        self.assertIs(await self.error_of(service.publish("calls.a", b"", stream=True, after=5)), ScheduleError)

    async def test_ttl(self) -> None:
        """The stream removes the message."""
        service = await self.with_stream(allow_msg_ttl=True)
        await service.publish("calls.a", b"", stream=True, ttl=1)
        await service.publish("calls.b", b"", stream=True, ttl="never")
        while (await self.state(service))["messages"] != 1:
            pass
        self.assertEqual((await self.state(service))["subjects"], {"calls.b": 1})

    async def test_scheduled(self) -> None:
        """It appears in the stream later, with its headers. Another one with the same schedule replaces it."""
        service = await self.with_stream(allow_msg_schedules=True, allow_msg_ttl=True, allow_direct=True)
        began = self.reactor.seconds()
        await service.publish("calls.reminder", b"call back", headers={"A": "b"}, stream=True, after=5.0)
        await service.publish("calls.reminder", b"replaced", stream=True, after=900, schedule="calls.later.1")
        await service.publish("calls.reminder", b"now", stream=True, at=0, ttl=60, schedule="calls.later.1")
        while (await self.state(service))["subjects"] != {"calls.reminder": 2}:
            pass
        self.assertGreaterEqual(self.reactor.seconds() - began, 4.0)
        found: dict[bytes, str | None] = {}
        sequence = 0
        for _ in range(2):
            asked = {"seq": sequence + 1, "next_by_subj": "calls.reminder"}
            message = await service.request("$JS.API.DIRECT.GET.CALLS", asked)
            found[message.data] = message.headers.get("A")
            sequence = int(message.headers["Nats-Sequence"])
        self.assertEqual(found, {b"call back": "b", b"now": None})

    async def test_from_threads(self) -> None:
        service = await self.with_stream()
        waits: list[Deferred[Any]] = []

        def work() -> None:
            waits.extend(service.publish("calls.a", {"n": n}, stream=True) for n in range(100))

        thread = Thread(target=work)
        thread.start()
        thread.join()
        acks = await gatherResults(waits)
        self.assertEqual([ack.sequence for ack in acks], [*range(1, 101)])

    async def test_something_else_answers(self) -> None:
        """A subscriber that takes the message for a request."""
        event_route = EventRoutes()
        event_route("nats:calls.a", responds=True)(lambda event: b"thanks")
        service = await self.connect_service(event_route, subject_queue_group=["calls.a"])
        self.assertIs(await self.error_of(service.publish("calls.a", b"", stream=True)), InvalidPubAckError)


class BatchTests(StreamTestCase):
    """All or none."""

    async def test_stored(self) -> None:
        service = await self.with_stream(allow_atomic=True)
        await service.publish("calls.a", b"0", stream=True)
        ack = await service.publish_all([("calls.a", b"1"), ("calls.b", {"n": 2}), ("calls.a", "3", {"ttl": None})])
        self.assertEqual((ack.stream, ack.sequence, ack.count), ("CALLS", 4, 3))
        self.assertTrue(ack.batch)
        self.assertEqual((await self.state(service))["subjects"], {"calls.a": 3, "calls.b": 1})
        self.assertEqual((await service.publish_all([("calls.a", b"alone")])).sequence, 5)
        self.assertEqual(service.ledger().differences(), [])
        self.assertGreaterEqual(service.ledger().publisher.confirmed, 5)

    async def test_refused(self) -> None:
        """Nothing of it is stored."""
        service = await self.with_stream(allow_atomic=True)
        wrong = [("calls.a", b"1"), ("calls.a", b"2", {"expected_last_sequence": 77})]
        self.assertIs(await self.error_of(service.publish_all(wrong)), WrongLastSequenceError)
        other = [("calls.a", b"1"), ("other", b"2")]
        self.assertTrue(issubclass(await self.error_of(service.publish_all(other, policy="fail")), NatsrouteError))
        many = [("calls.a", b"")] * 1001
        self.assertIs(await self.error_of(service.publish_all(many)), BatchError)
        self.assertEqual((await self.state(service))["messages"], 0)

    async def test_not_allowed(self) -> None:
        service = await self.with_stream()
        batch = [("calls.a", b"1"), ("calls.a", b"2")]
        self.assertIs(await self.error_of(service.publish_all(batch)), BatchError)
        self.assertEqual((await self.state(service))["messages"], 0)

    async def test_ids(self) -> None:
        """A batch with an id that the stream has is refused."""
        service = await self.with_stream(allow_atomic=True)
        batch = [("calls.a", b"1", {"msg_id": "1"}), ("calls.a", b"2", {"headers": {"A": "b"}})]
        await service.publish_all(batch)
        self.assertIs(await self.error_of(service.publish_all(batch)), DuplicateInBatchError)
        self.assertEqual((await self.state(service))["messages"], 2)

    async def test_from_a_route(self) -> None:
        """And through a restart of the server."""
        event_route = EventRoutes()
        acks: list[PubAck] = []
        runs: list[bytes] = []  # a message of NATS may arrive twice, because of a restart

        @event_route("nats:in")
        async def route(event: Event) -> None:
            runs.append(event.data)
            acks.append(await event.publish_all([("calls.a", event.data), ("calls.b", event.data)]))

        service = await self.with_stream(allow_atomic=True)
        other = await self.connect_service(event_route, subject_queue_group=["in"])
        for number in range(20):
            await service.publish("in", b"%d" % number)
            if number == 10:
                # What a server has not passed on yet is lost with it.
                await self.until(lambda: len(acks) > 5 and other.ledger().consumers[0].received > 10)
                await self.server.restart()
                await self.until(lambda: other.connected)
        await self.until(lambda: len(set(runs)) == 20 and len(acks) == len(runs))
        self.assertEqual((await self.state(service))["subjects"], {"calls.a": len(runs), "calls.b": len(runs)})


class OutageTests(StreamTestCase):
    """Servers that restart, and streams that come and go."""

    async def stored_once(self, service: NatsrouteService, count: int) -> list[bytes]:
        """The numbers that the stream has, in its order; each message is there once."""
        state = await self.state(service)
        self.assertEqual(state["messages"], count)
        found: list[bytes] = []
        for sequence in range(1, state["last_seq"] + 1):
            message = await service.request("$JS.API.DIRECT.GET.CALLS", {"seq": sequence})
            found.append(message.data)
        self.assertEqual(Counter(found).most_common(1)[0][1], 1)
        return found

    async def publish_through(self, service: NatsrouteService, outage: Any) -> list[bytes]:
        """Publish while something happens; returns what the stream has."""
        count = 600
        waits: list[Deferred[Any]] = []
        for number in range(count):
            waits.append(service.publish("calls.a", b"%d" % number, stream=True))
            if number == count // 2:
                await waits[count // 4]
                await outage()
            elif number % 20 == 0:
                await self.turn()
        await gatherResults(waits)
        return await self.stored_once(service, count)

    def turn(self) -> Deferred[None]:
        """A turn of the reactor."""
        passed: Deferred[None] = Deferred()
        self.reactor.callLater(0, passed.callback, None)
        return passed

    async def test_restart(self) -> None:
        service = await self.with_stream(allow_direct=True)
        found = await self.publish_through(service, self.server.restart)
        self.assertEqual(found, [b"%d" % number for number in range(600)])

    async def test_kill(self) -> None:
        """SIGKILL, and a start with the files that there are."""

        async def outage() -> None:
            await self.server.kill()
            await self.server.start()

        service = await self.with_stream(allow_direct=True)
        found = await self.publish_through(service, outage)
        self.assertEqual(sorted(found, key=int), [b"%d" % number for number in range(600)])

    async def test_stream_comes_later(self) -> None:
        """Until it is there, messages are sent again; then they are stored in their order."""
        service = await self.connect_service()
        waits = [service.publish("calls.a", b"%d" % number, stream=True) for number in range(10)]
        await self.until(lambda: service.ledger().publisher.resent > 0)
        await self.api(service, "STREAM.CREATE.CALLS", {"name": "CALLS", "subjects": ["calls.>"], "allow_direct": True})
        await gatherResults(waits)
        self.assertEqual(await self.stored_once(service, 10), [b"%d" % number for number in range(10)])

    async def test_missing_stream(self) -> None:
        """It never comes."""
        service = await self.connect_service(publish_max_age=3.0)
        self.assertIs(await self.error_of(service.publish("calls.a", b"", stream=True)), NoStreamError)
        failed = service.publish("calls.a", b"", stream=True, policy="fail")
        self.assertIs(await self.error_of(failed), NoStreamError)

    async def test_not_ready(self) -> None:
        """A subject that no stream takes is a reason, until one takes it."""
        service = await self.connect_service()
        wait = service.publish("calls.a", b"", stream=True)

        def reasons() -> list[str]:
            return [reason.text for reason in service.overview().reasons]

        await self.until(reasons)
        (text,) = reasons()
        self.assertIn("cannot publish to 'calls.a': no stream takes messages", text)
        await self.api(service, "STREAM.CREATE.CALLS", {"name": "CALLS", "subjects": ["calls.>"]})
        await wait
        self.assertEqual(reasons(), [])

    async def test_stream_deleted(self) -> None:
        """In the middle, and another one of its name follows."""
        service = await self.with_stream(allow_direct=True)
        await service.publish("calls.a", b"old", stream=True)
        await self.api(service, "STREAM.DELETE.CALLS")
        waits = [service.publish("calls.a", b"%d" % number, stream=True) for number in range(5)]
        await self.until(lambda: service.ledger().publisher.resent > 0)
        await self.api(service, "STREAM.CREATE.CALLS", {"name": "CALLS", "subjects": ["calls.>"], "allow_direct": True})
        await gatherResults(waits)
        self.assertEqual(await self.stored_once(service, 5), [b"%d" % number for number in range(5)])

    async def test_stop(self) -> None:
        """What was published is acknowledged before the service ends; without a stream it fails."""
        watcher = await self.with_stream()
        service = await self.connect_service()
        # The connection to streams begins with these messages, and the stop waits for it.
        kept = [service.publish("calls.a", b"", stream=True) for _ in range(100)]
        missing = service.publish("other", b"", stream=True)
        ended = service.stopService()
        await gatherResults(kept)
        self.assertIs(await self.error_of(missing), PublisherStoppedError)
        await ended
        self.assertEqual((await self.state(watcher))["messages"], 100)


class DocumentTests(StreamTestCase):
    """docs/jetstream-publishing.md"""

    def routes_of(self, heading: str) -> EventRoutes:
        """The routes of the snippet under a heading."""
        names: dict[str, Any] = {"__name__": "snippet"}
        exec(compile(snippet("docs/jetstream-publishing.md", heading).source, heading, "exec"), names)
        routes: EventRoutes = names["event_route"]
        return routes

    async def test_snippet(self) -> None:
        """The route stores what it gets."""
        watcher = await self.with_stream(subjects=["cdr.>"])
        await self.connect_service(self.routes_of("Publishing to streams"), subject_queue_group=["calls.ended"])
        await watcher.publish("calls.ended", b"1")
        while (await self.state(watcher))["messages"] != 1:
            pass

    async def test_batch(self) -> None:
        """Both messages are stored."""
        watcher = await self.with_stream(subjects=["cdr.>", "balance.>"], allow_atomic=True)
        routes = self.routes_of("Several messages, all or none")
        await self.connect_service(routes, subject_queue_group=["calls.billed"])
        await watcher.publish("calls.billed", {"id": "1", "user": "alice", "cents": 5})
        while (await self.state(watcher)).get("subjects") != {"cdr.new": 1, "balance.change": 1}:
            pass
