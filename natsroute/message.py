"""A message whose payload can be read as text and as JSON: the answer to a request, and the base of events."""

from __future__ import annotations

from typing import Any

from natsroute import payloads
from natsroute.wire.frames import Msg


class Message(Msg):
    """
    A message. Payload, subject, reply subject and headers are what the publisher sent; the payload is binary-safe.
    """

    __slots__ = ()

    def text(self) -> str:
        """
        Decode the payload as UTF-8 text.

        :raises DecodeError: it is not UTF-8.
        """
        return payloads.to_text(self.data, self.subject)

    def json(self) -> Any:
        """
        Decode the payload as JSON.

        :raises DecodeError: it is not JSON.
        """
        return payloads.to_json(self.data, self.subject)
