"""A parser whose messages have receivers, as those of a connection have, and which yields all frames nevertheless."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from natsroute.errors import ProtocolError
from natsroute.wire.frames import Frame
from natsroute.wire.parser import Parser


class FrameParser(Parser):
    """
    Yields the frames in order, those that a receiver got included.

    :param sids: the subscriptions that have a receiver.
    """

    def __init__(self, *, sids: range = range(1, 20), **options: Any) -> None:
        self._received: list[Any] = []
        super().__init__(receivers=dict.fromkeys(sids, self._received.append), **options)

    def feed(self, data: bytes) -> Generator[Frame, None, None]:
        """See :meth:`natsroute.wire.parser.Parser.feed`."""
        try:
            for frame in super().feed(data):
                yield from self._take()
                yield frame
        except ProtocolError:
            yield from self._take()
            raise
        yield from self._take()

    def _take(self) -> list[Frame]:
        taken = self._received[:]
        self._received.clear()
        return taken
