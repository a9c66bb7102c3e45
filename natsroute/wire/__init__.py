"""
The NATS protocol as values and bytes: no Twisted, no I/O.

:mod:`~natsroute.wire.parser` turns what a server sends into :mod:`~natsroute.wire.frames`,
:mod:`~natsroute.wire.encoder` turns what we want into what a server reads.
"""
