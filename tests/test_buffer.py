"""natsroute.publishing.buffer"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.publishing.buffer import Buffer
from natsroute.publishing.options import PublishLimits


class RoomTests(SynchronousTestCase):
    """So many messages and bytes, and the news of half and of a quarter."""

    def setUp(self) -> None:
        self.pressure: list[bool] = []
        self.room = Buffer(PublishLimits(messages=8, bytes=80), self.pressure.append)

    def hold(self, messages: int, size: int) -> None:
        self.room.messages += messages
        self.room.bytes += size

    def test_bounds(self) -> None:
        """What is exactly full is not too full."""
        self.hold(8, 80)
        self.assertFalse(self.room.is_exceeded)
        self.hold(1, 0)
        self.assertTrue(self.room.is_exceeded)
        self.room.free(8, 0)
        self.hold(0, 1)
        self.assertTrue(self.room.is_exceeded)

    def test_why_the_newest_is_not_taken(self) -> None:
        """The numbers are those without it."""
        self.hold(9, 75)
        error = self.room.full_without(5)
        self.assertEqual((error.messages, error.max_messages, error.bytes, error.max_bytes), (8, 8, 70, 80))

    def test_pressure_is_told_once(self) -> None:
        """And it ends when both messages and bytes are down to a quarter."""
        self.hold(5, 50)
        self.room.press()
        self.room.press()
        for messages, size in ((2, 10), (1, 19), (0, 1)):
            self.room.tell()
            self.assertEqual(self.pressure, [True])
            self.room.free(messages, size)
        self.room.tell()
        self.room.tell()
        self.assertEqual((self.pressure, self.room.messages, self.room.bytes), ([True, False], 2, 20))
