"""The HTTP site on a real socket, and clients that mean harm: it stays alive, and answers a probe."""

from __future__ import annotations

import resource
import ssl
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from natsroute.daemon.operations.http_tls import HttpTls
from natsroute.monitoring.http import channel, resources
from natsroute.monitoring.http.server import HttpServer
from natsroute.monitoring.http.site import Site
from natsroute.monitoring.overview import MAX_CALLS, CallRow
from tests.support.certificates import Certificates
from tests.support.http_client import Answer, get
from tests.support.http_requests import Response, responses
from tests.support.overviews import an_overview
from tests.support.waiting import TIMEOUT, until

GET = b"GET /routes HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
CALLS = GET.replace(b"routes", b"calls")
#: Seconds within which a probe is answered, whatever happens. The machine may be busy: it takes milliseconds.
SOON = 60.0


class Client(Protocol):
    """A client that reads, unless it is paused."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = False

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: object = None) -> None:
        self.closed = True

    def write(self, data: bytes) -> None:
        """Send bytes."""
        transport: Any = self.transport
        transport.write(data)

    def abort(self) -> None:
        """End the connection."""
        transport: Any = self.transport
        transport.abortConnection()

    @property
    def responses(self) -> list[Response]:
        """What it has received."""
        return responses(self.data)


class HostileTestCase(TestCase):
    """A site that shows a thousand calls, which is the most."""

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.start()

    def start(self, **options: Any) -> None:
        """Start a site."""
        calls = tuple(CallRow("nats:a", "subject" * 20, float(number)) for number in range(MAX_CALLS))
        self.site = Site(self.reactor, lambda: an_overview(calls=calls))
        self.server = HttpServer(self.reactor, self.site, "127.0.0.1", 0, **options)
        self.server.startService()
        self.addCleanup(self.server.stopService)

    async def connect(self) -> Client:
        """A new client."""
        endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", self.server.port)
        client: Client = await connectProtocol(endpoint, Client())
        self.addCleanup(client.abort)
        return client

    async def connect_many(self, count: int) -> list[Client]:
        """Many new clients."""
        clients: list[Client] = []
        while len(clients) < count:
            part: list[Deferred[Client]] = [Deferred.fromCoroutine(self.connect()) for _ in range(25)]
            clients += await gatherResults(part)
        return clients

    async def until(self, condition: Callable[[], object]) -> None:
        """See :func:`tests.support.waiting.until`."""
        await until(condition, self.reactor)

    async def probe(self) -> Answer:
        """The answer of /livez, soon. A short time limit of the test may end a request; then it asks again."""
        begin = self.reactor.seconds()
        answer = None
        while answer is None:
            answer = await get(self.reactor, f"{self.server.url}/livez")
            self.assertLess(self.reactor.seconds() - begin, SOON)
        self.assertEqual(answer.status, 200)
        return answer


class NumberTests(HostileTestCase):
    """Many connections."""

    async def test_a_thousand_connections(self) -> None:
        """Silent ones make room. The number of those that the site keeps is bounded, and probes are answered."""
        for _ in range(4):
            await self.connect_many(250)
            await self.probe()
            self.assertLessEqual(len(self.site.channels), channel.MAX_CONNECTIONS)

    async def test_a_thousand_busy_connections(self) -> None:
        """Those that wait for an answer keep their place, and each further one is told that there is none."""
        self.patch(channel, "MAX_CONNECTIONS", 50)
        for module, limit in ((channel, "REQUEST_TIMEOUT"), (resources, "ANSWER_TIMEOUT")):
            self.patch(module, limit, 600.0)  # the busy ones must not end before the others have come
        overview, self.site._overview = self.site._overview, Deferred
        busy = await self.connect_many(50)
        for client in busy:
            client.write(GET)
        await self.until(lambda: [one.busy for one in self.site.channels] == [True] * 50)
        late = await self.connect_many(950)
        await self.until(lambda: all(client.closed for client in late))
        self.assertEqual({client.responses[0].status for client in late if client.data}, {503})
        self.assertEqual([client for client in busy if client.closed], [])
        self.site._overview = overview
        busy[0].abort()
        await self.until(lambda: len(self.site.channels) < 50)
        await self.probe()


class SlowTests(HostileTestCase):
    """Clients that take their time."""

    async def test_slow_loris(self) -> None:
        """A byte now and then does not keep a connection."""
        self.patch(channel, "REQUEST_TIMEOUT", 1.0)
        clients = await self.connect_many(200)
        begin = self.reactor.seconds()
        for byte in GET:
            for client in clients:
                client.write(bytes([byte]))
            if all(client.closed for client in clients):
                break
            await deferLater(self.reactor, 0.1)
            await self.probe()
        self.assertLess(self.reactor.seconds() - begin, 1.0 + SOON)
        self.assertEqual([client.data for client in clients if client.data], [])

    async def test_a_scraper_that_never_reads(self) -> None:
        """It is cut off. Until then, the site does not make responses without a limit."""
        self.patch(channel, "WRITE_TIMEOUT", 3.0)
        client = await self.connect()
        transport: Any = client.transport
        transport.pauseProducing()
        client.write(CALLS * 1000)  # 200 MB of responses
        await self.until(lambda: self.site.channels)  # the site may have it a moment after the client
        (connection,) = self.site.channels
        server_side = connection.transport
        most = probes = 0
        begin = self.reactor.seconds()
        while connection in self.site.channels:
            most = max(most, len(server_side.dataBuffer) + server_side._tempDataLen)
            if most and not probes:
                await self.probe()
                probes += 1
            await deferLater(self.reactor, 0.01)
            self.assertLess(self.reactor.seconds() - begin, 3.0 + SOON)
        self.assertGreater(most, 0)
        self.assertLess(most, 4 * 1024 * 1024)

    async def test_no_tls_handshake(self) -> None:
        """A client that only connects to a site with TLS has the same time limit."""
        certificates = Certificates(Path(self.mktemp()))
        tls = HttpTls(*map(str, certificates.server()), nullcontext)
        self.patch(channel, "REQUEST_TIMEOUT", 0.5)
        self.start(tls=tls)
        clients = await self.connect_many(25)
        for client in clients[::2]:
            client.write(b"\x16\x03\x01")
        clients[1].write(GET)
        await self.until(lambda: all(client.closed for client in clients))
        self.assertNotIn(b"HTTP/1.1 200", clients[1].data)


class LargeTests(HostileTestCase):
    """Requests that are too large."""

    def setUp(self) -> None:
        super().setUp()
        self.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async def refused(self, head: bytes, chunk: bytes, count: int) -> Client:
        """Send a head and many chunks, until the connection is closed."""
        client = await self.connect()
        client.write(head)
        for _ in range(count):
            if client.closed:
                break
            client.write(chunk)
            await deferLater(self.reactor, 0)
        await self.until(lambda: client.closed)
        await self.probe()
        self.assertNotIn(b" 200 ", client.data)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self.peak
        self.assertLess(grown, 64 * 1024, "KiB")
        return client

    async def test_long_line(self) -> None:
        await self.refused(b"GET /", b"a" * 65_536, 400)

    async def test_long_header(self) -> None:
        await self.refused(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: ", b"a" * 65_536, 400)

    async def test_many_headers(self) -> None:
        await self.refused(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"A: a\r\n" * 10_000, 400)

    async def test_body(self) -> None:
        """It is refused before it is read, and nothing is stored."""
        for length in (b"Content-Length: 99999999999", b"Transfer-Encoding: chunked"):
            head = b"POST /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n\r\n" % length
            await self.refused(head, b"fff\r\n" + b"a" * 4095 + b"\r\n", 400)


class SmugglingTests(HostileTestCase):
    """Requests that a proxy before us might understand otherwise."""

    async def test_smuggling(self) -> None:
        """The second request, which one of the two would not see, is not answered."""
        second = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        chunks = b"0\r\n\r\n"
        for lines in (
            b"Content-Length: %d\r\nTransfer-Encoding: chunked" % (len(chunks) + len(second)),
            b"Transfer-Encoding: chunked\r\nContent-Length: 4",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            b"Transfer-Encoding: identity, chunked",
            b"Transfer-Encoding:\x0bchunked",
            b"Transfer-Encoding : chunked",
            b"Transfer-Encoding:\r\n chunked",
            b"Content-Length: 0\r\nContent-Length: 40",
            b"Content-Length: 0, 40",
            b"Content-Length: -1",
            b"Content-Length : 5",
        ):
            for body in (chunks, b"xyz\r\n", b"5\nabcde\r\n0\r\n\r\n", b""):
                client = await self.connect()
                client.write(b"GET /routes HTTP/1.1\r\nHost: 127.0.0.1\r\n" + lines + b"\r\n\r\n" + body + second)
                await self.until(lambda client=client: client.closed)
                self.assertNotIn(b'"alive"', client.data, (lines, body))
                self.assertEqual([one.status // 100 for one in client.responses], [4], (lines, body))
        await self.probe()

    async def test_line_feeds_only(self) -> None:
        """They end no line, so this is one request that has no end."""
        self.patch(channel, "REQUEST_TIMEOUT", 0.5)
        client = await self.connect()
        client.write(GET.replace(b"\r\n", b"\n") * 3)
        await self.until(lambda: client.closed)
        self.assertEqual(client.data, b"")


class FormTests(HostileTestCase):
    """What the other tests have in memory, over TCP."""

    async def test_pipelining(self) -> None:
        """The answers come in order."""
        client = await self.connect()
        paths = [b"/routes", b"/calls", b"/x"] * 40
        client.write(b"".join(GET.replace(b"/routes", path) for path in paths))
        await self.until(lambda: client.data.count(b"HTTP/1.1 ") == len(paths) and client.data.endswith(b"\n"))
        statuses = {b"/routes": 200, b"/calls": 200, b"/x": 404}
        self.assertEqual([one.status for one in client.responses], [statuses[path] for path in paths])
        shown = [b'"calls"' in one.body[:100] for one in client.responses]
        self.assertEqual(shown, [path == b"/calls" for path in paths])

    async def test_paths(self) -> None:
        """None reaches a file."""
        for path in (
            b"/../../../../etc/passwd",
            b"/%2e%2e/%2e%2e/etc/passwd",
            b"/livez%00.txt",
            b"//etc/passwd",
            b"/\\",
        ):
            client = await self.connect()
            client.write(GET.replace(b"/routes", path))
            await self.until(lambda client=client: client.responses)
            self.assertEqual(client.responses[0].status, 404)
            self.assertNotIn(b"root:", client.data)

    async def test_tls(self) -> None:
        """A client that verifies the certificate is answered."""
        certificates = Certificates(Path(self.mktemp()))
        self.start(tls=HttpTls(*map(str, certificates.server()), nullcontext))
        context = ssl.create_default_context(cafile=certificates.ca)
        answer = await self.in_thread(lambda: _https(self.server.port, context))
        self.assertIn(b'"alive": true', answer)

    async def in_thread(self, function: Callable[[], bytes]) -> bytes:
        """Run a function that blocks."""
        from twisted.internet.threads import deferToThreadPool
        from twisted.python.threadpool import ThreadPool

        pool = ThreadPool(0, 1)
        pool.start()
        self.addCleanup(pool.stop)
        found: bytes = await deferToThreadPool(self.reactor, pool, function)
        return found


def _https(port: int, context: ssl.SSLContext) -> bytes:
    from urllib.request import urlopen

    with urlopen(f"https://localhost:{port}/livez", timeout=TIMEOUT, context=context) as response:
        body: bytes = response.read()
    return body
