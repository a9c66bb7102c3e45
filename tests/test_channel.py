"""natsroute.monitoring.http.channel: limits of a connection; tests.integration.test_hostile_http breaks real ones"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.monitoring.http.channel import (
    IDLE_TIMEOUT,
    MAX_CONNECTIONS,
    REQUEST_TIMEOUT,
    WRITE_TIMEOUT,
    Channel,
)
from natsroute.monitoring.http.site import Site
from tests.support.http_requests import Client
from tests.support.overviews import an_overview
from tests.support.waiting import run_one_call

GET = b"GET /routes HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
PROBE = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class ChannelTestCase(SynchronousTestCase):
    """Connections to a site in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.overview: Callable[[], Any] = an_overview
        self.site = Site(self.clock, lambda: self.overview())

    def connect(self) -> Client:
        """A new connection."""
        return Client(self.site)

    def statuses(self, client: Client) -> list[int]:
        """The statuses of the responses that a client has received. Each request has a turn."""
        self.clock.advance(0)
        return [response.status for response in client.received()]


class TimeTests(ChannelTestCase):
    """How long what may take."""

    def test_slow_request(self) -> None:
        """A byte now and then gives no more time."""
        client = self.connect()
        for byte in GET[: int(REQUEST_TIMEOUT) - 1]:
            self.clock.advance(1)
            client.send(bytes([byte]))
            self.assertFalse(client.transport.aborted)
        self.clock.advance(1)
        self.assertTrue(client.transport.aborted)
        self.assertEqual((client.received(), self.site.channels), ([], {}))

    def test_nothing(self) -> None:
        client = self.connect()
        self.clock.advance(REQUEST_TIMEOUT)
        self.assertTrue(client.transport.aborted)

    def test_further_requests(self) -> None:
        """A connection may wait longer for them. Each has the time of the first."""
        client = self.connect()
        for _ in range(3):
            client.send(GET)
            self.assertEqual(self.statuses(client), [200])
            self.clock.advance(IDLE_TIMEOUT - 0.1)
        client.send(GET[:-1])
        self.clock.advance(REQUEST_TIMEOUT - 0.1)
        client.send(GET[-1:])
        self.assertEqual(self.statuses(client), [200])
        self.clock.advance(IDLE_TIMEOUT)
        self.assertTrue(client.transport.aborted)

    def test_slow_answer(self) -> None:
        """While it is made, the client is not at fault."""
        self.overview = Deferred
        client = self.connect()
        client.send(GET)
        self.assertTrue(client.channel.busy)
        self.assertEqual(client.channel._request_timer.active(), False)

    def test_a_client_that_does_not_read(self) -> None:
        """It is cut off when nothing has been read for a time."""
        client = self.connect()
        self.overview = Deferred
        client.send(GET)
        for _ in range(2):
            client.channel.pauseProducing()
            self.clock.advance(WRITE_TIMEOUT - 0.1)
            self.assertFalse(client.transport.aborted)
            client.channel.resumeProducing()
        client.channel.pauseProducing()
        client.channel.pauseProducing()
        self.clock.advance(WRITE_TIMEOUT)
        self.assertTrue(client.transport.aborted)

    def test_a_client_that_does_not_read_the_last_response(self) -> None:
        """A connection that is to be closed is closed, even if the client never reads."""
        client = self.connect()
        client.send(PROBE)
        self.assertEqual((client.transport.disconnecting, client.transport.aborted), (True, False))
        self.clock.advance(WRITE_TIMEOUT)
        self.assertTrue(client.transport.aborted)

    def test_no_timers_are_left(self) -> None:
        for data in (b"", GET, GET[:9], PROBE, b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"):
            client = self.connect()
            client.send(data)
            client.channel.connectionLost()
            self.assertEqual((self.clock.getDelayedCalls(), self.site.channels), ([], {}))


class NumberTests(ChannelTestCase):
    """How many connections there may be."""

    def busy(self) -> Client:
        """A connection whose request is being answered."""
        client = self.connect()
        client.send(GET)
        self.assertEqual(client.received(), [])
        return client

    def test_the_oldest_that_waits_makes_room(self) -> None:
        """However many connections say nothing, a probe is answered."""
        waiting = [self.connect() for _ in range(MAX_CONNECTIONS)]
        waiting[0].send(GET)  # it becomes the youngest
        probe = self.connect()
        probe.send(PROBE)
        self.assertEqual(self.statuses(probe), [200])
        self.assertEqual([client.transport.aborted for client in waiting[:3]], [False, True, False])
        self.assertEqual(len(self.site.channels), MAX_CONNECTIONS)

    def test_all_busy(self) -> None:
        """Then a new one is told so."""
        self.overview = Deferred
        clients = [self.busy() for _ in range(MAX_CONNECTIONS)]
        late = self.connect()
        self.assertEqual((self.statuses(late), late.transport.disconnecting), ([503], True))
        late.send(PROBE)
        self.assertEqual(self.statuses(late), [])
        self.clock.advance(WRITE_TIMEOUT - 1)
        self.assertEqual(len(self.site.channels), MAX_CONNECTIONS)
        clients[0].channel.connectionLost()
        probe = self.connect()
        probe.send(PROBE)
        self.assertEqual(self.statuses(probe), [200])

    def test_all_busy_with_tls(self) -> None:
        """Then a new one is closed at once: its handshake would have to be waited for."""
        self.overview = Deferred
        for _ in range(MAX_CONNECTIONS):
            self.busy()
        self.patch(Channel, "isSecure", lambda channel: True)
        late = self.connect()
        self.assertEqual((late.received(), late.transport.aborted), ([], True))


class FormTests(ChannelTestCase):
    """What is no request that the site takes."""

    def refused(self, data: bytes) -> list[int]:
        """The statuses of the answers to bytes, after which the connection is closed and nothing more is read."""
        client = self.connect()
        client.send(data)
        self.assertTrue(client.transport.disconnecting, data)
        statuses = self.statuses(client)
        client.send(GET)
        self.assertEqual(client.received(), [], data)
        return statuses

    def test_bodies(self) -> None:
        """No path takes one."""
        for lines in (
            b"Content-Length: 1",
            b"Content-Length: 999999999999",
            b"Transfer-Encoding: chunked",
            b"Content-Length: 1\r\nExpect: 100-continue",
            b"Content-Length: 0\r\nTransfer-Encoding: identity",
        ):
            for method in (b"GET", b"POST"):
                data = b"%s / HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n\r\n" % (method, lines)
                self.assertEqual(self.refused(data), [413])
                self.assertEqual(self.refused(data + b"0\r\n\r\n" + GET), [413])

    def test_an_empty_body(self) -> None:
        client = self.connect()
        client.send(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(self.statuses(client), [200])

    def test_two_lengths(self) -> None:
        """Request smuggling: a proxy before us might believe the other one."""
        for lines in (
            b"Content-Length: 5\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked\r\nContent-Length: 5",
            b"Content-Length: 0\r\nTransfer-Encoding: chunked",
            b"Content-Length: 0\r\nContent-Length: 5",
            b"Content-Length: +1",
            b"Content-Length: 0x1",
            b"Transfer-Encoding: xchunked",
            b"Transfer-Encoding: chunked, identity",
            b"no colon",
        ):
            data = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n\r\n%s" % (lines, GET)
            self.assertIn(self.refused(data), ([400], [413]))

    def test_long_headers(self) -> None:
        """One long line, and many short ones."""
        for lines in (b"A: " + b"a" * 20_000, b"\r\n".join(b"A%d: a" % number for number in range(600)), b"A" * 20_000):
            client = self.connect()
            client.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n\r\n" % lines)
            self.assertIn(self.statuses(client), ([400], []))
            self.assertTrue(client.transport.disconnecting)

    def test_first_lines(self) -> None:
        for line in (
            b"",
            b"GET",
            b"GET /",
            b"G\x00T / HTTP/1.1",
            b"\x16\x03\x01\x02",
            b"GET / HTTP/9",
        ):
            client = self.connect()
            client.send(b"\r\n" + line + b"\r\nHost: 127.0.0.1\r\n\r\n")
            self.assertNotIn(200, self.statuses(client), line)

    def test_line_feeds_only(self) -> None:
        """They do not end a line, so there is no request, and the time limit ends it."""
        client = self.connect()
        client.send(GET.replace(b"\r\n", b"\n"))
        self.assertEqual(client.received(), [])
        self.clock.advance(REQUEST_TIMEOUT)
        self.assertTrue(client.transport.aborted)

    def test_pipelining(self) -> None:
        """Requests that come together are answered in order, each in a turn of its own."""
        client = self.connect()
        client.send(GET * 500)
        for _ in range(500):
            self.assertEqual([response.status for response in client.received()], [200])
            run_one_call(self.clock)
        self.assertEqual(client.received(), [])

    def test_pipelining_without_reading(self) -> None:
        """The next request waits until the client has read."""
        client = self.connect()
        client.send(GET * 2)
        self.assertEqual([response.status for response in client.received()], [200])
        client.channel.pauseProducing()
        self.clock.advance(1)
        self.assertEqual(client.received(), [])
        client.channel.resumeProducing()
        self.assertEqual([self.statuses(client), self.statuses(client)], [[200], []])

    def test_pipelining_and_gone(self) -> None:
        client = self.connect()
        client.send(GET * 3)
        client.channel.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_pipelining_behind_a_slow_one(self) -> None:
        """They wait, and the client is read no further when there are many."""
        self.overview = Deferred
        client = self.connect()
        client.send(GET)
        for _ in range(1000):
            client.send(GET)
        self.assertEqual((client.received(), client.transport.producerState), ([], "paused"))
