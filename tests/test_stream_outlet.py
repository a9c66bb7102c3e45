"""natsroute.publishing.stream_outlet"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.confirmation import Confirmation
from natsroute.errors import MisuseError, PayloadError, PublisherStoppedError, SubjectError
from natsroute.ledger import PublisherAccount
from natsroute.publishing.publisher import Publisher
from natsroute.wire.headers import parse_headers
from natsroute.wire.subjects import check_subject, matcher
from tests.support.memory_publisher import MemoryLink, MemoryPool


class MemoryTarget:
    """Keeps the messages to a subject."""

    def __init__(self, name: str, taken: list[tuple[Any, ...]]) -> None:
        self._name = name
        self._taken = taken

    def add(self, confirmation: Confirmation, payload: bytes, policy: str) -> None:
        self._taken.append((self._name, payload, {}, policy))
        confirmation.callback(None)

    def add_with_headers(
        self, confirmation: Confirmation, payload: bytes | Callable[[], bytes], block: bytes, policy: str
    ) -> None:
        data = payload() if callable(payload) else payload
        self._taken.append((self._name, data, dict(parse_headers(block)) if block else {}, policy))
        confirmation.callback(None)


class MemoryStreams:
    """Streams for all subjects; ``calls.>`` without being asked to."""

    def __init__(self) -> None:
        self.taken: list[tuple[Any, ...]] = []
        self.takes = matcher(["calls.>"])
        self.cancels = 0

    def next_id(self) -> str:
        return "id7"

    def subject(self, name: str) -> MemoryTarget:
        check_subject(name)
        return MemoryTarget(name, self.taken)

    def account(self) -> PublisherAccount:
        count = len(self.taken)
        return PublisherAccount(count, confirmed=count, failed=0, dropped=0, resent=0, in_progress=0)

    def cancelled(self) -> None:
        self.cancels += 1

    def flush(self) -> Deferred[None]:
        return succeed(None)

    def drain(self) -> Deferred[None]:
        return succeed(None)

    def abandon(self) -> None: ...


class StreamOutletTests(SynchronousTestCase):
    """From ``publish()`` to a stream."""

    def setUp(self) -> None:
        self.streams = MemoryStreams()
        self.calls: list[Callable[[], None]] = []
        self.link = MemoryLink()
        self.publisher = Publisher(
            [self.link], Clock(), run_in_pool=MemoryPool(), call_from_thread=self.calls.append, streams=self.streams
        )
        self.publisher.start()

    def test_stream(self) -> None:
        """The program asks for it."""
        self.successResultOf(self.publisher.publish("a", {"n": 1}, stream=True))
        self.successResultOf(self.publisher.publish("a", "é", headers={"A": "b"}, stream=True, policy="fail"))
        self.successResultOf(self.publisher.publish("a", lambda: [1], stream=True, msg_id="m"))
        self.assertEqual(
            self.streams.taken,
            [
                ("a", b'{"n":1}', {}, "keep"),
                ("a", "é".encode(), {"A": "b"}, "fail"),
                ("a", b"[1]", {"Nats-Msg-Id": "m"}, "keep"),
            ],
        )
        self.assertEqual(self.publisher.account().confirmed, 3)

    def test_subjects_of_streams(self) -> None:
        """The settings ask for it; stream=False does not."""
        self.publisher.publish("calls.a", b"1")
        self.publisher.publish("calls.a", "2")
        self.publisher.publish("calls.a", b"3", headers={"A": "b"})
        self.publisher.publish("calls.a", b"4", ttl=5)
        self.publisher.publish("calls.a", b"5", policy="fail")
        self.assertEqual(
            [one[1:] for one in self.streams.taken],
            [
                (b"1", {}, "keep"),
                (b"2", {}, "keep"),
                (b"3", {"A": "b"}, "keep"),
                (b"4", {"Nats-TTL": "5000ms"}, "keep"),
                (b"5", {}, "fail"),
            ],
        )
        self.publisher.publish("calls.a", b"core", stream=False).addErrback(lambda _: None)
        self.publisher.publish("other", b"core").addErrback(lambda _: None)
        self.assertEqual(len(self.streams.taken), 5)
        self.assertEqual(self.publisher.account().in_progress, 2)

    def test_scheduled(self) -> None:
        """The stream keeps it at a subject of its own."""
        self.publisher.publish("calls.a", b"1", after=60)
        self.publisher.publish("calls.a", b"2", after=60, schedule="calls.later.1")
        (first, _, headers, _), (second, *_) = self.streams.taken
        self.assertEqual((first, second), ("calls.a.schedule.id7", "calls.later.1"))
        self.assertEqual(headers["Nats-Schedule-Target"], "calls.a")

    def test_errors(self) -> None:
        """Each fails the Deferred."""
        for subject, payload, options, error in (
            ("a", b"", {"ttl": 5}, MisuseError),
            ("a", b"", {"stream": True, "reply": "r"}, MisuseError),
            ("calls.a", b"", {"reply": "r"}, MisuseError),
            ("a", b"", {"stream": True, "ttl": 0}, MisuseError),
            ("two words", b"", {"stream": True}, SubjectError),
            (None, b"", {"stream": True}, SubjectError),
            ("a", {1, 2}, {"stream": True}, PayloadError),
        ):
            failed: Deferred[Any] = self.publisher.publish(subject, payload, **options)  # type: ignore[arg-type]
            self.failureResultOf(failed, error)
        self.assertEqual(self.publisher.account().failed, 7)
        self.assertRaises(TypeError, self.publisher.publish, "a", b"", tll=5)

    def test_nothing_publishes_to_streams(self) -> None:
        publisher = Publisher([self.link], Clock(), run_in_pool=MemoryPool(), call_from_thread=self.calls.append)
        publisher.start()
        self.failureResultOf(publisher.publish("a", b"", stream=True), MisuseError)

    def test_stopped(self) -> None:
        """Nothing is published after a stop, also to subjects that were known before."""
        self.publisher.publish("calls.a", b"1")
        self.publisher.stop(5.0)
        self.failureResultOf(self.publisher.publish("calls.a", b"2"), PublisherStoppedError)
        self.failureResultOf(self.publisher.publish("calls.a", b"3", stream=True), PublisherStoppedError)
        self.publisher.start()
        self.successResultOf(self.publisher.publish("calls.a", b"4"))
        self.assertEqual([one[1] for one in self.streams.taken], [b"1", b"4"])

    def test_a_subject_of_another_type_in_another_thread(self) -> None:
        """The Deferred fails, and what is published after it is taken."""
        waits: list[Deferred[Any]] = []

        def work() -> None:
            subjects: list[Any] = [None, ["a"], "a"]
            waits.extend(self.publisher.publish(subject, b"1", stream=True) for subject in subjects)

        thread = Thread(target=work)
        thread.start()
        thread.join()
        for call in self.calls:
            call()
        for wait in waits[:2]:
            self.failureResultOf(wait, SubjectError)
        self.successResultOf(waits[2])

    def test_other_threads(self) -> None:
        """What is published there is encoded there, and taken in the reactor thread, in order."""
        waits: list[Deferred[Any]] = []

        def work() -> None:
            payload = {"n": 1}
            waits.append(self.publisher.publish("calls.a", payload))
            payload["n"] = 2
            waits.append(self.publisher.publish("a", payload, stream=True, ttl=5))
            waits.append(self.publisher.publish("a", payload, ttl=5))
            waits.append(self.publisher.publish("two words", payload, stream=True))

        thread = Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual(self.streams.taken, [])
        for call in self.calls:
            call()
        self.assertEqual([one[1] for one in self.streams.taken], [b'{"n":1}', b'{"n":2}'])
        for wait in waits[:2]:
            self.successResultOf(wait)
        self.failureResultOf(waits[2], MisuseError)
        self.failureResultOf(waits[3], SubjectError)

    def test_cancelled(self) -> None:
        """What publishes to streams is told, too."""
        wait = self.publisher.publish("other", b"1")
        wait.addErrback(lambda _: None)
        wait.cancel()
        self.assertEqual(self.streams.cancels, 1)
