"""
The subject that a message of a JetStream consumer is acknowledged at. It tells about the delivery (NATS ADR-15).

There are two forms: ``$JS.ACK.STREAM.CONSUMER.DELIVERED.SEQUENCE.CONSUMER_SEQUENCE.TIME.PENDING`` with 9 tokens, and
``$JS.ACK.DOMAIN.ACCOUNT_HASH.STREAM.CONSUMER.…`` with 11, and possibly more behind them.
"""

from __future__ import annotations

import attrs

_PREFIX = b"$JS.ACK."
_TOKENS, _TOKENS_WITH_DOMAIN = 9, 11
#: Stands for "no domain".
_NO_DOMAIN = "_"


@attrs.frozen
class Delivery:
    """
    What the ack subject of a message says of it.

    :ivar stream: the stream that it comes from.
    :ivar consumer: the consumer that delivered it.
    :ivar delivered: how often it has been delivered, this time included.
    :ivar sequence: its sequence in the stream.
    :ivar consumer_sequence: the sequence of this delivery.
    :ivar timestamp: when the stream stored it, in nanoseconds since 1970 (UTC).
    :ivar pending: messages of the stream that the consumer has not delivered yet.
    :ivar domain: the JetStream domain, or None.
    """

    stream: str
    consumer: str
    delivered: int
    sequence: int
    consumer_sequence: int
    timestamp: int
    pending: int
    domain: str | None = None


def parse_ack_subject(subject: bytes) -> Delivery | None:
    """Read an ack subject; None if it is none."""
    if not subject.startswith(_PREFIX):
        return None
    tokens = subject.decode("utf-8", "surrogateescape").split(".")
    if len(tokens) == _TOKENS:
        domain, rest = None, tokens[2:]
    elif len(tokens) >= _TOKENS_WITH_DOMAIN:
        domain, rest = tokens[2] if tokens[2] != _NO_DOMAIN else None, tokens[4:]
    else:
        return None
    try:
        delivered, sequence, consumer_sequence, timestamp, pending = map(int, rest[2:7])
    except ValueError:
        return None
    return Delivery(rest[0], rest[1], delivered, sequence, consumer_sequence, timestamp, pending, domain)
