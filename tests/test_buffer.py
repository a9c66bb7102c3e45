"""natsroute.publishing.buffer"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.publishing.batches import ServerLimits
from natsroute.publishing.buffer import Buffer
from natsroute.publishing.options import PublishLimits
from natsroute.wire.frames import MAX_PAYLOAD_LIMIT


class BufferTests(SynchronousTestCase):
    """The bounds of messages and bytes, and the marks at half and at a quarter of them."""

    def setUp(self) -> None:
        self.marks: list[str] = []
        self.buffer = Buffer(
            PublishLimits(messages=8, bytes=80), lambda: self.marks.append("high"), lambda: self.marks.append("low")
        )

    def hold(self, messages: int, size: int) -> None:
        self.buffer.messages += messages
        self.buffer.bytes += size

    def test_bounds(self) -> None:
        """A buffer that is exactly full is within its bounds."""
        self.hold(8, 80)
        self.assertFalse(self.buffer.is_exceeded)
        self.hold(1, 0)
        self.assertTrue(self.buffer.is_exceeded)
        self.buffer.release(8, 0)
        self.buffer.grow(1)
        self.assertTrue(self.buffer.is_exceeded)

    def test_server_limits(self) -> None:
        self.assertEqual(self.buffer.server_limits, ServerLimits(MAX_PAYLOAD_LIMIT, headers=True))
        self.buffer.server_limits = ServerLimits(5, headers=False)
        self.assertEqual((self.buffer.max_payload, self.buffer.takes_headers), (5, False))
        self.assertEqual(self.buffer.server_limits, ServerLimits(5, headers=False))

    def test_full_error(self) -> None:
        """Its numbers leave out the message that does not fit."""
        self.hold(9, 75)
        error = self.buffer.full_error(5)
        self.assertEqual((error.messages, error.max_messages, error.bytes, error.max_bytes), (8, 8, 70, 80))

    def test_marks(self) -> None:
        """
        ``on_high_water`` is called once; ``on_low_water`` when both messages and bytes are down to a quarter, and once.
        """
        self.hold(5, 50)
        self.buffer.signal_high_water()
        self.buffer.signal_high_water()
        for messages, size in ((2, 10), (1, 19), (0, 1)):
            self.buffer.signal_low_water()
            self.assertEqual(self.marks, ["high"])
            self.buffer.release(messages, size)
        self.buffer.signal_low_water()
        self.buffer.signal_low_water()
        self.assertEqual((self.marks, self.buffer.messages, self.buffer.bytes), (["high", "low"], 2, 20))
