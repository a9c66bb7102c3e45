"""The event of a route for the changes of a key-value bucket."""

from __future__ import annotations

from natsroute.routes.event import Event
from natsroute.wire.ack_subject import Delivery, parse_ack_subject
from natsroute.wire.key_value import Operation, bucket_of, key_of, operation_of


class KeyValueEvent(Event):
    """
    A change of a key-value bucket, on its way through a route such as ``kv:BUCKET:calls.>``.

    ``data``, ``text()`` and ``json()`` are the value. ``subject`` is that of the key in the stream of the bucket.
    """

    __slots__ = ()

    @property
    def bucket(self) -> str:
        """The bucket."""
        return bucket_of(self.subject)

    @property
    def key(self) -> str:
        """The key."""
        return key_of(self.subject)

    @property
    def operation(self) -> Operation:
        """
        ``"put"``, ``"delete"`` or ``"purge"``; a value that has expired was purged. ``data`` is empty for the last two.
        """
        return operation_of(self.headers) if self.header_block else "put"

    @property
    def revision(self) -> int:
        """The revision of the change."""
        return self.sequence or 0

    @property
    def delivery(self) -> Delivery | None:
        """What the stream says of the message, all together."""
        try:
            return self._delivery
        except AttributeError:
            self._delivery = None if self.reply_to is None else parse_ack_subject(self.reply_to)
            return self._delivery

    @property
    def reply(self) -> None:
        """Nobody waits for an answer."""
        return None
