"""natsroute.jetstream.key_value.bucket; tests.integration has the same with a server"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ConnectionLostError, NoRespondersError, RequestTimeoutError
from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.errors import BucketNotFoundError, JetStreamError, JetStreamUnavailableError
from natsroute.jetstream.key_value.bucket import ServerBucket
from natsroute.jetstream.key_value.config import BucketConfig
from natsroute.jetstream.key_value.entry import Entry
from natsroute.jetstream.key_value.watch import Watch, WatchOptions
from natsroute.message import Message
from natsroute.wire.frames import Address
from natsroute.wire.headers import encode_headers

_STATE = {"messages": 0, "bytes": 0, "first_seq": 0, "last_seq": 0, "consumer_count": 0}
_INFO = {"config": {"name": "KV_b", "allow_direct": True}, "state": _STATE, "created": ""}
_NOT_FOUND = {"error": {"code": 404, "err_code": 10059, "description": "stream not found"}}


def answer(value: Any = None, headers: dict[str, str] | None = None, block: bytes = b"") -> Message:
    """An answer, in JSON unless it is bytes."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Message(Address("_INBOX.x", 1), data, encode_headers(headers) if headers else block)


class FakeConsumer:
    """What a watch reads from: the stream, and the arguments that it was made with."""

    def __init__(self, stream: str, options: dict[str, Any]) -> None:
        self.stream = stream
        self.options = options
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")


class ServerBucketTests(SynchronousTestCase):
    """What is asked, and what becomes of the answers. The test is the server."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[tuple[str, bytes]] = []
        self.answers: dict[str, list[Any]] = {"$JS.API.STREAM.INFO.KV_b": [answer(_INFO)]}
        self.consumers: list[FakeConsumer] = []
        self.bucket = self.new()

    def new(self, prefix: str = "$JS.API") -> ServerBucket:
        """A bucket that has not been looked up."""
        return ServerBucket("b", JetStreamApi(self.request, prefix), self.request, self.clock, self.consume)

    def request(self, subject: str, payload: bytes, timeout: float, headers: Any = None) -> Deferred[Any]:
        """Each subject has its answers; the last one is given again."""
        self.asked.append((subject, payload))
        answers = self.answers.get(subject, [NoRespondersError(subject)])
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(found, Deferred):
            return found
        return fail(found) if isinstance(found, Exception) else succeed(found)

    def consume(self, stream: str, **options: Any) -> Any:
        """Make the consumer of a watch."""
        self.consumers.append(FakeConsumer(stream, options))
        return self.consumers[-1]

    def start(self, coroutine: Any) -> Deferred[Any]:
        """Let it run."""
        return Deferred.fromCoroutine(coroutine)

    def subjects(self) -> list[str]:
        """What was asked since the last call."""
        asked, self.asked = self.asked, []
        return [subject for subject, _ in asked]

    def test_it_is_looked_up_once(self) -> None:
        waiting: Deferred[Any] = Deferred()
        self.answers["$JS.API.STREAM.INFO.KV_b"] = [waiting]
        opened = [self.start(self.bucket.open()) for _ in range(3)]
        waiting.callback(answer(_INFO))
        for one in opened:
            self.successResultOf(one)
        self.successResultOf(self.start(self.bucket.open()))
        self.assertEqual(self.subjects(), ["$JS.API.STREAM.INFO.KV_b"])

    def test_created(self) -> None:
        """Only if that was asked for."""
        self.answers["$JS.API.STREAM.INFO.KV_b"] = [answer(_NOT_FOUND)]
        self.answers["$JS.API.STREAM.CREATE.KV_b"] = [answer(_INFO)]
        self.failureResultOf(self.start(self.bucket.open()), BucketNotFoundError)
        self.bucket.configure(BucketConfig(history=3))
        self.successResultOf(self.start(self.bucket.open()))
        self.assertEqual(json.loads(self.asked[-1][1])["max_msgs_per_subject"], 3)

    def test_no_leader(self) -> None:
        """A change is written again after a while, and later changes of the key wait for it."""
        self.answers["$KV.b.a"] = [
            NoRespondersError("x"),
            answer({"stream": "KV_b", "seq": 7}),
            answer({"stream": "KV_b", "seq": 8}),
        ]
        self.answers["$KV.b.c"] = [answer({"stream": "KV_b", "seq": 6})]
        first, second = (self.start(self.bucket.store("a", value, {})) for value in (b"1", b"2"))
        self.assertEqual(self.successResultOf(self.start(self.bucket.store("c", b"", {}))), 6)
        self.assertNoResult(first)
        self.clock.advance(1)
        self.assertEqual([self.successResultOf(one) for one in (first, second)], [7, 8])
        self.assertEqual([payload for subject, payload in self.asked if subject == "$KV.b.a"], [b"1", b"1", b"2"])

    def test_never_a_leader(self) -> None:
        stored = self.start(self.bucket.store("a", b"", {}))
        self.clock.pump([0.25] * 4)
        self.failureResultOf(stored, JetStreamUnavailableError)

    def test_a_stream_that_is_gone(self) -> None:
        """The error names the bucket."""
        self.answers["$JS.API.STREAM.INFO.KV_b"] = [answer(_INFO), answer(_NOT_FOUND)]
        stored = self.start(self.bucket.store("a", b"", {}))
        self.clock.pump([0.25] * 4)
        self.failureResultOf(stored, BucketNotFoundError)

    def test_a_change_that_is_cancelled(self) -> None:
        """The next one of the key goes on."""
        self.answers["$KV.b.a"] = [Deferred(), answer({"stream": "KV_b", "seq": 8})]
        first, second = (self.start(self.bucket.store("a", b"", {})) for _ in range(2))
        first.addErrback(lambda cancelled: None)
        first.cancel()
        self.assertEqual(self.successResultOf(second), 8)

    def test_a_change_that_is_cancelled_while_it_waits(self) -> None:
        """The next one of the key waits for the one before it all the same."""
        before: Deferred[Any] = Deferred()
        self.answers["$KV.b.a"] = [before, answer({"stream": "KV_b", "seq": 8})]
        first, second, third = (self.start(self.bucket.store("a", value, {})) for value in (b"1", b"2", b"3"))
        second.addErrback(lambda cancelled: None)
        second.cancel()
        fourth = self.start(self.bucket.store("a", b"4", {}))
        self.assertEqual([payload for subject, payload in self.asked if subject == "$KV.b.a"], [b"1"])
        before.callback(answer({"stream": "KV_b", "seq": 7}))
        self.assertEqual([self.successResultOf(one) for one in (first, third, fourth)], [7, 8, 8])
        self.assertEqual([payload for subject, payload in self.asked if subject == "$KV.b.a"], [b"1", b"3", b"4"])
        self.assertEqual(self.bucket._storing, {})

    def test_prefix(self) -> None:
        """In another domain, the subjects of the keys are behind that of the API."""
        self.answers["$JS.hub.API.STREAM.INFO.KV_b"] = [answer(_INFO)]
        self.answers["$JS.hub.API.$KV.b.a"] = [answer({"stream": "KV_b", "seq": 7, "domain": "hub"})]
        self.assertEqual(self.successResultOf(self.start(self.new("$JS.hub.API").store("a", b"", {}))), 7)

    def test_mirrors(self) -> None:
        """Changes go to the bucket that is mirrored, perhaps in another domain."""
        mirror: dict[str, Any] = {"name": "KV_origin"}
        info = {**_INFO, "config": {"name": "KV_b", "mirror": mirror}}
        for external, subject in ((None, "$KV.origin.a"), ({"api": "$JS.hub.API"}, "$JS.hub.API.$KV.origin.a")):
            mirror["external"] = external
            self.answers = {
                "$JS.API.STREAM.INFO.KV_b": [answer(info)],
                subject: [answer({"stream": "KV_origin", "seq": 7})],
            }
            self.assertEqual(self.successResultOf(self.start(self.new().store("a", b"", {}))), 7)
            self.assertEqual(self.subjects()[-1], subject)

    def test_direct(self) -> None:
        found = {
            "Nats-Stream": "KV_b",
            "Nats-Subject": "$KV.b.a",
            "Nats-Sequence": "7",
            "Nats-Time-Stamp": "2026-11-26T21:18:15Z",
        }
        self.answers["$JS.API.DIRECT.GET.KV_b.$KV.b.a"] = [
            answer(b"v", found),
            answer(b"", block=b"NATS/1.0 404 Message Not Found\r\n\r\n"),
            answer(b"", block=b"NATS/1.0 408 Bad Request\r\n\r\n"),
        ]
        self.assertEqual(self.successResultOf(self.start(self.bucket.last("a"))).revision, 7)
        self.assertIsNone(self.successResultOf(self.start(self.bucket.last("a"))))
        error = self.failureResultOf(self.start(self.bucket.last("a")), JetStreamError).value
        self.assertEqual((error.code, error.description), (408, "Bad Request"))
        self.answers["$JS.API.DIRECT.GET.KV_b"] = [answer(b"v", found)]
        self.successResultOf(self.start(self.bucket.at(7)))
        self.assertEqual(self.asked[-1], ("$JS.API.DIRECT.GET.KV_b", b'{"seq":7}'))

    def test_from_the_leader(self) -> None:
        """A bucket whose stream has no direct get."""
        self.answers["$JS.API.STREAM.INFO.KV_b"] = [answer({**_INFO, "config": {"name": "KV_b"}})]
        message = {"subject": "$KV.b.a", "seq": 7, "data": "dg==", "time": "2026-11-26T21:18:15Z"}
        self.answers["$JS.API.STREAM.MSG.GET.KV_b"] = [
            answer({"message": message}),
            answer({"error": {"code": 404, "err_code": 10037, "description": "no message found"}}),
            answer({"error": {"code": 500, "err_code": 10999, "description": "else"}}),
            answer({}),
            answer(_NOT_FOUND),
        ]
        self.assertEqual(self.successResultOf(self.start(self.bucket.last("a"))).value, b"v")
        self.assertEqual(json.loads(self.asked[-1][1]), {"last_by_subj": "$KV.b.a"})
        self.assertIsNone(self.successResultOf(self.start(self.bucket.at(7))))
        for expected in (JetStreamError, JetStreamError, BucketNotFoundError):
            self.failureResultOf(self.start(self.bucket.last("a")), expected)

    def test_watch(self) -> None:
        """It looks the bucket up, and reads its stream."""
        entries: list[Entry] = []
        watch = Watch(entries.append)
        self.bucket.watch(watch, WatchOptions(patterns=("a.>", "b"), meta_only=True))
        (consumer,) = self.consumers
        self.assertEqual((consumer.stream, consumer.calls), ("KV_b", ["start"]))
        self.assertEqual(consumer.options["filter_subjects"], ["$KV.b.a.>", "$KV.b.b"])
        self.assertEqual(
            (consumer.options["start"].policy, consumer.options["headers_only"]), ("last_per_subject", True)
        )
        ack = b"$JS.ACK.KV_b.x.1.7.2.1700000000250000000.3"
        consumer.options["on_msg"](Message(Address("$KV.b.a.c", 1), b"v", b"", ack))
        self.assertEqual([(entry.key, entry.revision) for entry in entries], [("a.c", 7)])
        problem = JetStreamError("gone")
        consumer.options["on_problem"](problem)
        self.assertIs(watch.problem, problem)
        consumer.options["on_caught_up"]()
        self.successResultOf(watch.caught_up())
        self.bucket.stop_watches()
        self.assertEqual(consumer.calls, ["start", "stop"])

    def test_watch_with_patterns_that_overlap(self) -> None:
        """The server would refuse them. What matches none of them is left out here."""
        entries: list[Entry] = []
        self.bucket.watch(Watch(entries.append), WatchOptions(patterns=("a.*", "*.b")))
        self.assertEqual(self.consumers[0].options["filter_subjects"], ["$KV.b.>"])
        for key in ("a.x", "c.d", "c.b"):
            ack = b"$JS.ACK.KV_b.x.1.7.2.1700000000250000000.3"
            self.consumers[0].options["on_msg"](Message(Address(f"$KV.b.{key}", 1), b"v", b"", ack))
        self.assertEqual([entry.key for entry in entries], ["a.x", "c.b"])

    def test_watch_before_there_is_a_server(self) -> None:
        """The bucket is looked up again; if there is none, the watch ends."""
        for answers, problem in (
            ([RequestTimeoutError("x", 5, was_sent=False), answer(_INFO)], None),
            ([ConnectionLostError("gone"), answer(_NOT_FOUND)], BucketNotFoundError),
        ):
            self.answers["$JS.API.STREAM.INFO.KV_b"] = answers
            watch = Watch(lambda entry: None)
            self.bucket = self.new()
            self.bucket.watch(watch, WatchOptions())
            assert watch.problem is not None
            self.assertIsNone(watch.problem.__traceback__, "its frames would be kept as long")
            self.clock.advance(1)
            if problem is None:
                self.assertIsNone(watch.problem)
            else:
                self.failureResultOf(watch.caught_up(), problem)
        self.assertEqual([consumer.calls for consumer in self.consumers], [["start"]])

    def test_watch_that_is_stopped_before(self) -> None:
        """Nothing is read."""
        self.answers["$JS.API.STREAM.INFO.KV_b"] = [Deferred()]
        watch = Watch(lambda entry: None)
        self.bucket.watch(watch, WatchOptions(history=True))
        watch.stop()
        self.assertEqual(self.consumers, [])
