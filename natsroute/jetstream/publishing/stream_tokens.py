"""The reply subjects of messages to streams, and their ids."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from secrets import token_bytes, token_hex

#: How many are made at once. A call of the operating system for each would cost more than everything else.
_AT_ONCE = 256
_TOKEN_DIGITS = 16
_ID_PREFIX_BYTES = 9  # 12 characters
_ID_DIGITS = 10


class StreamTokens:
    """
    Makes reply subjects that nobody can guess, and ids that are unique among all processes.

    :param inbox_prefix: what the reply subjects begin with.

    :ivar base: what all reply subjects begin with, and the last dot.
    :ivar id_length: the length of all ids.
    :ivar ready: reply subjects, the last tokens of these, and ids. The hot path takes the last one; :meth:`more` adds
        to an empty list.
    """

    __slots__ = ("_id_prefix", "_ids", "base", "id_length", "ready")

    def __init__(self, inbox_prefix: str) -> None:
        self.base = f"{inbox_prefix}.{token_hex(11)}."
        self.ready: list[tuple[str, bytes, bytes]] = []
        self._id_prefix = urlsafe_b64encode(token_bytes(_ID_PREFIX_BYTES)).decode()
        self.id_length = len(self._id_prefix) + _ID_DIGITS
        self._ids = 0

    def more(self) -> list[tuple[str, bytes, bytes]]:
        """Make more of them."""
        digits, base = token_hex(_TOKEN_DIGITS // 2 * _AT_ONCE), self.base
        tokens = [digits[at : at + _TOKEN_DIGITS] for at in range(0, len(digits), _TOKEN_DIGITS)]
        ids = map(f"{self._id_prefix}%0{_ID_DIGITS}x".__mod__, range(self._ids, self._ids + _AT_ONCE))
        self._ids += _AT_ONCE
        self.ready += [(base + token, token.encode(), one.encode()) for token, one in zip(tokens, ids)]
        return self.ready
