"""
Faster reads and writes on TCP without TLS.

Twisted sends what is written in the reactor's next iteration, after it has copied it, and it reads 64 KiB at most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from socket import socket
from typing import Any

from twisted.internet.tcp import Connection

#: Bytes of one read, as in Twisted. More would cost a small read 15 µs instead of 2 µs: glibc takes memory for 128 KiB
#: or more from the system, each time.
READ_SIZE = 64 * 1024
#: Bytes of one read when at least :data:`READ_SIZE` bytes came with the one before. A busy connection then needs fewer
#: turns of the reactor. To relay the messages of such a read takes one to four milliseconds.
BUSY_READ_SIZE = 256 * 1024

# Bytes that Twisted sends in one turn of the reactor. What the socket does not take at once waits for that; with the
# 128 KiB of Twisted, large batches would pile up.
_SEND_LIMIT = 1024 * 1024


def direct_writer(transport: Any) -> Callable[[Sequence[bytes]], object]:
    """
    Make the function that writes to a transport: like its ``writeSequence``, but at once if it can.

    On TCP without TLS, the pieces go straight into the socket, without a copy. If older data waits in the transport,
    they wait behind it, and the rest of what the socket does not take waits there too. So the order is kept, and the
    transport alone reports errors and pauses its producer. TLS must not be started later. After ``abortConnection``,
    nothing may be written.

    For any other transport it is the ``writeSequence`` of the transport.
    """
    if not _is_plain_tcp(transport):
        write: Callable[[Sequence[bytes]], object] = transport.writeSequence
        return write
    transport.SEND_LIMIT = _SEND_LIMIT
    send = transport.socket.sendmsg

    def write_at_once(pieces: Sequence[bytes]) -> None:
        if _waits(transport):
            transport.bufferSize = READ_SIZE
            transport.writeSequence(pieces)
            return
        try:
            sent = send(pieces)
        except OSError:  # the transport meets the same error when it sends
            sent = 0
        for piece in pieces:
            if sent < len(piece):
                transport.bufferSize = READ_SIZE
                transport.write(piece[sent:])
                sent = 0
            else:
                sent -= len(piece)

    return write_at_once


def read_more(transport: Any, more: bool) -> None:
    """
    Let one read take :data:`BUSY_READ_SIZE` bytes on TCP without TLS, or :data:`READ_SIZE` again.

    More unsent data than that also counts as a full buffer, which pauses the producer of the transport. So a read takes
    no more than :data:`READ_SIZE` while data waits to be sent.
    """
    if _is_plain_tcp(transport):
        transport.bufferSize = BUSY_READ_SIZE if more and not _waits(transport) else READ_SIZE


def _waits(transport: Any) -> bool:
    """Whether a transport has data that the socket has not taken yet."""
    return bool(transport.dataBuffer or transport._tempDataBuffer)


def _is_plain_tcp(transport: Any) -> bool:
    """Whether a transport is a socket of Twisted that sends the bytes as they are, and whose buffer is known."""
    return (
        isinstance(transport, Connection)
        and type(transport).writeSomeData is Connection.writeSomeData
        and not transport.TLS
        and hasattr(socket, "sendmsg")
        and hasattr(transport, "dataBuffer")
        and hasattr(transport, "_tempDataBuffer")
    )
