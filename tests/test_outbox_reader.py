"""natsroute.kamailio.kemi.outbox_reader"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.kemi import outbox_reader
from natsroute.kamailio.kemi.outbox_reader import OutboxReader
from natsroute.kamailio.kemi.worker import Worker


class OutboxReaderTests(SynchronousTestCase):
    """Publishing what a script has published."""

    def setUp(self) -> None:
        self.published: list[tuple[str, bytes, str | None]] = []
        self.reader = OutboxReader(self.publish)
        self.fills_up = False
        self.on_publish: Callable[[], object] = lambda: None
        self.worker = Worker(
            "test",
            deque(),
            lambda worker: self.fail(),
            may_begin=lambda: True,
            on_loaded=lambda failure: None,
            on_pause=lambda: None,
            on_ended=lambda: None,
            call_from_thread=lambda function: function(),
        )

    def publish(self, subject: str, payload: bytes, reply: str | None) -> None:
        self.published.append((subject, payload, reply))
        self.on_publish()
        if self.fills_up:
            self.reader.hold()

    def test_arguments(self) -> None:
        """Subjects and reply subjects are text for the publisher."""
        self.worker.publish_all([(b"a", b"1", None), (b"b", b"2\xff", b"r\xff"), (b"c", b"", b"")])
        self.reader.publish_all(self.worker)
        self.assertEqual(self.published, [("a", b"1", None), ("b", b"2\xff", "r\udcff"), ("c", b"", None)])
        self.assertEqual((self.worker.taken_bytes, len(self.worker.outbox)), (3, 0))

    def test_remembers_some(self) -> None:
        """A script may publish to any number of subjects."""
        self.patch(outbox_reader, "_MAX_SUBJECTS", 3)
        for number in (*range(10), 9):
            self.worker.publish(b"%d" % number, b"")
        self.reader.publish_all(self.worker)
        self.assertEqual([subject for subject, _, _ in self.published], [*map(str, range(10)), "9"])
        self.assertLessEqual(len(self.reader._subjects), 3)

    def test_publishes_meanwhile(self) -> None:
        """A script that is as fast as the reader does not keep the reactor."""
        self.worker.publish(b"a", b"1")
        self.on_publish = lambda: self.worker.publish(b"a", b"2") if len(self.published) < 10 else None
        self.reader.publish_all(self.worker)
        self.assertEqual([payload for _, payload, _ in self.published], [b"1"])
        self.reader.publish_all(self.worker)
        self.assertEqual([payload for _, payload, _ in self.published], [b"1", b"2"])

    def test_hold(self) -> None:
        """The message that fills the publisher's buffer is the last, until each hold is undone."""
        self.fills_up = True
        self.worker.publish_all([(b"a", b"1", None), (b"a", b"2", None)])
        self.reader.publish_all(self.worker)
        self.assertEqual((len(self.published), self.worker.taken_bytes), (1, 1))
        self.fills_up = False
        self.reader.hold()
        self.assertEqual((self.reader.release(), self.reader.release()), (False, True))
        self.reader.publish_all(self.worker)
        self.assertEqual([payload for _, payload, _ in self.published], [b"1", b"2"])
