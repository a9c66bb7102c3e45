"""natsroute.message"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import DecodeError
from natsroute.message import Message
from natsroute.wire.frames import Address


class MessageTests(SynchronousTestCase):
    """A payload as text and as JSON."""

    def test_text_and_json(self) -> None:
        message = Message(Address("a", 1), '{"ä": 1}'.encode())
        self.assertEqual((message.text(), message.json()), ('{"ä": 1}', {"ä": 1}))

    def test_neither(self) -> None:
        message = Message(Address("calls", 1), b"\xff")
        for read in (message.text, message.json):
            with self.assertRaisesRegex(DecodeError, "calls"):
                read()
