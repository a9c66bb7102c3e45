"""
The NATS protocol as values and bytes: no Twisted, no I/O.

:mod:`~natsroute.wire.parser` turns the bytes of a server into :mod:`~natsroute.wire.frames`.
:mod:`~natsroute.wire.encoder` turns commands into bytes for a server.
"""
