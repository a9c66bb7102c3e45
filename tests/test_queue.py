"""natsroute.publishing.queue"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from natsroute.confirmation import Confirmation
from natsroute.publishing.batches import MAX_BATCH, Messages, ServerLimits
from natsroute.publishing.buffer import Buffer
from natsroute.publishing.options import PublishLimits
from natsroute.publishing.queue import Queue
from natsroute.wire.encoder import encode_pub


class QueueTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.buffer = Buffer(PublishLimits(), lambda: None, lambda: None)
        self.queue = Queue(self.buffer, 5.0)
        self.kept: list[Confirmation] = []

    def add(self, *payloads: bytes, since: float | None = None, resendable: bool = True) -> None:
        for payload in payloads:
            messages = self.queue.gathered()
            if since is not None:
                messages.since = since
            self.kept.append(Confirmation())
            self.kept[-1].resendable = resendable
            messages.add(self.kept[-1], encode_pub("a", payload))

    def payloads(self) -> list[list[bytes]]:
        """The payloads of each of the messages that are written together, the oldest first."""
        return [[command.split(b"\r\n")[1] for _, command in messages] for messages in self.queue]

    def test_turns(self) -> None:
        """Those of one turn wait with those of earlier turns, if they expire together."""
        self.buffer.is_open = True
        self.queue.end_turn()
        self.assertEqual((self.buffer.is_open, self.payloads()), (False, [[]]))
        self.add(b"1", b"2", since=1.0)
        self.assertEqual(self.payloads(), [[b"1", b"2"]])
        self.queue.end_turn()
        self.assertEqual(self.payloads(), [[b"1", b"2"], []])
        self.add(b"3", since=6.0)
        self.queue.end_turn()
        self.add(b"4", since=6.1)
        self.queue.end_turn()
        self.add(b"5", since=7.0)
        self.assertEqual(self.payloads(), [[b"1", b"2", b"3"], [b"4"], [b"5"]])
        self.assertEqual([messages.since for messages in self.queue], [1.0, 6.1, 7.0])
        self.assertIs(self.queue.waiting[0].confirmations[2], self.kept[2])

    def test_large_turn(self) -> None:
        """A batch that is full waits, and the next one has the same age."""
        self.add(*[b"x"] * (2 * MAX_BATCH + 1), since=3.0)
        self.assertEqual([len(messages.confirmations) for messages in self.queue], [MAX_BATCH, MAX_BATCH, 1])
        self.queue.end_turn()
        self.add(b"y", since=3.0)
        self.queue.end_turn()
        self.assertEqual([len(messages.confirmations) for messages in self.queue], [MAX_BATCH, MAX_BATCH, 2, 0])
        messages = self.queue.waiting.popleft()
        self.assertEqual((messages.since, messages.confirmations), (3.0, self.kept[:MAX_BATCH]))

    def test_abandoned(self) -> None:
        """Deferreds that nobody has any more are not kept."""
        self.add(b"1", b"2")
        del self.kept[0]
        self.queue.end_turn()
        self.assertEqual(self.queue.waiting[0].confirmations, [None, self.kept[0]])

    def test_limit(self) -> None:
        self.add(b"12", b"1234")
        self.queue.end_batch()
        self.add(b"1234", b"1")
        failed: list[object] = []
        self.queue.limit(
            ServerLimits(3, headers=True), lambda messages, _: failed.extend(command for _, command in messages)
        )
        self.assertEqual(failed, [encode_pub("a", b"1234")] * 2)
        self.assertEqual(self.payloads(), [[b"12"], [b"1"]])
        self.add(b"3")
        self.assertEqual(self.payloads(), [[b"12"], [b"1", b"3"]])

    def test_unresendable(self) -> None:
        self.add(b"1")
        self.add(b"2", resendable=False)
        self.queue.end_batch()
        self.add(b"3", resendable=False)
        taken = self.queue.take_unresendable()
        self.assertEqual([message[0] for messages in taken for message in messages], self.kept[1:])
        self.assertEqual(self.payloads(), [[b"1"], []])

    def test_cancelled(self) -> None:
        self.add(b"1", b"2")
        self.queue.end_batch()
        self.add(b"3", b"4")
        for confirmation in self.kept[::2]:
            confirmation.cancel()
            self.failureResultOf(confirmation, CancelledError)
        taken = [message[0] for messages in self.queue.take_cancelled() for message in messages]
        self.assertEqual(taken, self.kept[::2])
        self.assertEqual(self.payloads(), [[b"2"], [b"4"]])

    def test_old(self) -> None:
        """Only those that wait are taken."""
        for since in (1.0, 10.0, 20.0):
            self.add(b"%d" % since, since=since)
            self.queue.end_batch()
        self.add(b"gathered", since=1.0)

        def is_old(messages: Messages) -> bool:
            return messages.since < 15

        self.assertEqual([messages.since for messages in self.queue.take_old(is_old)], [1.0, 10.0])
        self.assertEqual(self.payloads(), [[b"20"], [b"gathered"]])

    def test_clear(self) -> None:
        self.add(b"1")
        self.queue.end_batch()
        self.add(b"2")
        self.queue.clear()
        self.assertEqual(self.payloads(), [[]])
        self.add(b"3")
        self.assertEqual(self.payloads(), [[b"3"]])
