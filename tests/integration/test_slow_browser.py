"""A browser that does not read, on a real socket: what it is given when it reads again"""

from __future__ import annotations

import json
import re
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import TestCase
from twisted.web.server import Site

from natsroute.monitoring import event_stream
from natsroute.monitoring.overview import ErrorRow, Overview
from natsroute.monitoring.status_page.page import StatusPage
from tests.support.overviews import an_overview
from tests.support.waiting import until

#: An overview of about 200 KB, so that buffers fill in seconds.
LARGE = an_overview(errors=(ErrorRow(150.0, "error", "natsroute", "x" * 200_000),))


class Reader(Protocol):
    """Opens the event stream, and keeps what it receives."""

    transport: Any

    def __init__(self) -> None:
        self.received = b""

    def connectionMade(self) -> None:
        self.transport.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    @property
    def times(self) -> list[float]:
        """The times of the overviews that have begun to arrive."""
        found = re.findall(rb'"pids":\[7\],"started":100\.0,"time":([\d.]+)', self.received)
        return [float(json.loads(time)) for time in found]


class SlowBrowserTests(TestCase):
    """Two browsers, one of which does not read for a while."""

    def test_newest(self) -> Deferred[None]:
        """It gets the few overviews that were on their way, and then the newest. The other one gets all."""
        return Deferred.fromCoroutine(self.look())

    async def look(self) -> None:
        from twisted.internet import reactor as global_reactor

        reactor: Any = global_reactor
        made = 0
        self.patch(event_stream, "WRITE_TIMEOUT", 600.0)

        def overview() -> Overview:
            nonlocal made
            made += 1
            return attrs.evolve(LARGE, time=float(made))

        port = reactor.listenTCP(0, Site(StatusPage(overview, reactor), reactor=reactor), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        slow, quick = Reader(), Reader()
        for reader in (slow, quick):
            await connectProtocol(endpoint, reader)
            # What its own system holds for it is not natsroute's.
            reader.transport.socket.setsockopt(SOL_SOCKET, SO_RCVBUF, 32_768)
            self.addCleanup(reader.transport.abortConnection)
        await until(lambda: slow.times and quick.times, reactor)
        slow.transport.pauseProducing()
        before, pause_ends = len(slow.times), made + 8
        await until(lambda: made >= pause_ends, reactor)
        slow.transport.resumeProducing()
        newest = made
        await until(lambda: slow.times[-1] > newest and quick.times[-1] > newest, reactor)
        self.assertEqual(quick.times, [quick.times[0] + number for number in range(len(quick.times))])
        old = [time for time in slow.times[before:] if time <= newest]
        self.assertLessEqual(len(old), 3, slow.times)
