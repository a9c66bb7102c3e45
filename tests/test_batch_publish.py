"""natsroute.daemon.sending.batch_publish"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.sending.batch_publish import BatchPublish, batch_message
from natsroute.daemon.sending.reactor_thread import ReactorThread
from natsroute.errors import MisuseError, PayloadError, PublisherStoppedError, SettingError, SubjectError
from natsroute.jetstream.publishing.atomic_batch import BatchMessage
from natsroute.wire.headers import parse_headers


def encoded(*item: Any) -> BatchMessage:
    """A message of a batch."""
    return batch_message(item, lambda: "id7")  # type: ignore[arg-type]


class MessageTests(SynchronousTestCase):
    """From a tuple to a message."""

    def test_plain(self) -> None:
        self.assertEqual(encoded("a", {"n": 1}), BatchMessage("a", b'{"n":1}'))

    def test_options(self) -> None:
        made = encoded("a", b"", {"headers": {"A": "b"}, "msg_id": "m", "ttl": 5, "expected_last_sequence": 3})
        self.assertEqual(
            dict(parse_headers(made.block)),
            {"A": "b", "Nats-Msg-Id": "m", "Nats-TTL": "5000ms", "Nats-Expected-Last-Sequence": "3"},
        )

    def test_scheduled(self) -> None:
        self.assertEqual(encoded("a", b"", {"after": 5}).subject, "a.schedule.id7")

    def test_invalid(self) -> None:
        for item, error in (
            (("a",), MisuseError),
            (("a", b"", {}, 1), MisuseError),
            (("two words", b""), SubjectError),
            (("a", {1}), PayloadError),
            (("a", lambda: b""), PayloadError),
            (("a", b"", {"ttl": 0}), MisuseError),
        ):
            self.assertRaises(error, encoded, *item)
        self.assertRaises(TypeError, encoded, "a", b"", {"tll": 5})
        self.assertRaises(MisuseError, batch_message, "ab", lambda: "")  # type: ignore[arg-type]


class Batches:
    """Keeps the batches."""

    def __init__(self) -> None:
        self.published: list[tuple[Any, bool]] = []

    def publish(self, messages: Any, *, is_kept: bool) -> Deferred[str]:
        self.published.append((messages, is_kept))
        return succeed("ack")


class PublishTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.calls: list[Any] = []
        self.thread = ReactorThread(self.calls.append)
        self.batches = Batches()
        self.needed: list[bool] = []
        self.publish = BatchPublish(
            self.batches,  # type: ignore[arg-type]
            self.thread,
            lambda: self.needed.append(True),
            "keep",
            lambda: "id",
        )

    def test_publish_all(self) -> None:
        self.thread.start()
        self.assertEqual(self.successResultOf(self.publish.publish_all([("a", b"1"), ("b", b"2")])), "ack")
        self.publish.publish_all((one for one in [("a", b"1")]), policy="fail")
        a, b = BatchMessage("a", b"1"), BatchMessage("b", b"2")
        self.assertEqual(self.batches.published, [([a, b], True), ([a], False)])
        self.assertEqual(self.needed, [True, True])

    def test_another_thread(self) -> None:
        """What is published there is encoded there."""
        payload = {"n": 1}
        wait = self.publish.publish_all([("a", payload)])
        payload["n"] = 2
        self.assertEqual(self.batches.published, [])
        for call in self.calls:
            call()
        self.successResultOf(wait)
        self.assertEqual(self.batches.published[0][0][0].data, b'{"n":1}')

    def test_errors(self) -> None:
        self.thread.start()
        self.failureResultOf(self.publish.publish_all([]), MisuseError)
        self.failureResultOf(self.publish.publish_all([("a", b""), ("two words", b"")]), SubjectError)
        self.failureResultOf(self.publish.publish_all([("a", b"")], policy="never"), SettingError)
        self.publish.is_open = False
        self.failureResultOf(self.publish.publish_all([("a", b"")]), PublisherStoppedError)
        self.assertEqual(self.batches.published, [])
