"""natsroute.monitoring.event_stream: who is sent what, and how much the server does for it"""

from __future__ import annotations

import json
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface.verify import verifyObject

from natsroute.monitoring.event_stream import (
    ANSWER_TIMEOUT,
    MAX_CALLS_SENT,
    MAX_ERRORS_SENT,
    RETRY_AFTER,
    EventStream,
    _Stream,
)
from natsroute.monitoring.overview import CallRow, ErrorRow, Overview
from tests.support.log_recorder import LogRecorder

REQUEST = b"%s /events HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Transport(StringTransport):
    """A transport that a test can let be full, and that tells whether it was aborted."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class Browser:
    """A connection to a site, in memory."""

    def __init__(self, site: Site, method: bytes = b"GET") -> None:
        self.transport = Transport()
        self._protocol: Any = site.buildProtocol(None)
        self._protocol.makeConnection(self.transport)
        self._protocol.dataReceived(REQUEST % method)

    @property
    def head(self) -> bytes:
        """The status line and the headers of the response."""
        return self.transport.value().partition(b"\r\n\r\n")[0]

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The events so far, with their data."""
        found: list[tuple[str, Any]] = []
        for event in self.text.split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in event.splitlines())
            found.append((fields["event"], json.loads(fields["data"])))
        return found

    @property
    def text(self) -> str:
        """The body so far, without its chunks."""
        chunks = self.transport.value().partition(b"\r\n\r\n")[2]
        body = b""
        while chunks:
            size, _, chunks = chunks.partition(b"\r\n")
            body, chunks = body + chunks[: int(size, 16)], chunks[int(size, 16) + 2 :]
        return body.decode()

    def times(self) -> list[float]:
        """The times of the overviews that it was sent."""
        return [data["time"] for name, data in self.events if name == "overview"]

    def fill(self) -> None:
        """Read nothing from now on."""
        self.transport.producer.pauseProducing()

    def drain(self) -> None:
        """Read again."""
        self.transport.producer.resumeProducing()

    def leave(self) -> None:
        """Close the connection."""
        from twisted.internet.error import ConnectionDone
        from twisted.python.failure import Failure

        self._protocol.connectionLost(Failure(ConnectionDone()))


class StreamTestCase(SynchronousTestCase):
    """A site with an event stream, on a test's clock."""

    max_streams = 3

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked = 0
        self.answer: Any = None
        self.log = LogRecorder(self)
        self.stream = EventStream(
            self.overview, self.clock, edition="one", max_streams=self.max_streams, write_timeout=30.0
        )
        root = Resource()
        root.putChild(b"events", self.stream)
        self.site = Site(root, reactor=self.clock)

    def overview(self) -> Overview | Deferred[Overview]:
        """An overview whose time is that of the clock; or what the test wants."""
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            answer: Overview | Deferred[Overview] = self.answer
            return answer
        return Overview("natsroute", "1.0", (1,), started=0.0, time=self.clock.seconds())

    def browse(self, method: bytes = b"GET") -> Browser:
        """A browser that opens the stream."""
        return Browser(self.site, method)

    def seconds(self, count: int) -> None:
        """Let some seconds pass, one at a time."""
        for _ in range(count):
            self.clock.advance(1.0)


class SendingTests(StreamTestCase):
    """What is sent, and when."""

    def test_headers(self) -> None:
        """EventSource requires the type; nothing on the way may keep the response."""
        browser = self.browse()
        self.assertTrue(browser.head.startswith(b"HTTP/1.1 200 "))
        for header in (
            b"Content-Type: text/event-stream; charset=utf-8",
            b"Cache-Control: no-store",
            b"X-Accel-Buffering: no",
        ):
            self.assertIn(header.lower(), browser.head.lower())

    def test_first(self) -> None:
        """The edition of the page and an overview come at once, and the wait before a new connection."""
        browser = self.browse()
        self.assertEqual(browser.events[0], ("page", "one"))
        self.assertEqual(browser.times(), [0.0])
        self.assertTrue(browser.text.startswith("retry: 2000\n"))

    def test_each_second(self) -> None:
        """The overview is sent again each second, as JSON, with whether the service is ready."""
        browser = self.browse()
        self.seconds(3)
        self.assertEqual(browser.times(), [0.0, 1.0, 2.0, 3.0])
        self.assertEqual(Overview.from_json(browser.events[-1][1]), attrs.evolve(self.overview(), time=3.0))
        self.assertIs(browser.events[-1][1]["ready"], True)

    def test_one_overview_for_all(self) -> None:
        """Each of three browsers gets each overview, which is made once."""
        browsers = [self.browse() for _ in range(3)]
        self.seconds(2)
        self.assertEqual([browser.times() for browser in browsers], [[0.0, 1.0, 2.0]] * 3)
        self.assertEqual(self.asked, 3)

    def test_a_later_browser(self) -> None:
        """It gets the newest overview at once, without another one being made."""
        self.browse()
        self.seconds(2)
        self.clock.advance(0.5)
        self.assertEqual((self.browse().times(), self.asked), ([2.0], 3))

    def test_nobody_looks(self) -> None:
        """No overview is made, and no timer runs, before the first browser and after the last one."""
        self.seconds(5)
        self.assertEqual((self.asked, self.clock.getDelayedCalls()), (0, []))
        browsers = [self.browse(), self.browse()]
        browsers[0].leave()
        self.seconds(1)
        self.assertEqual(self.asked, 2)
        browsers[1].leave()
        self.assertEqual(self.stream.streams, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.seconds(5)
        self.assertEqual(self.asked, 2)

    def test_looks_again(self) -> None:
        """The first overview of a browser is not an old one that was made for another browser."""
        self.browse().leave()
        self.seconds(100)
        browser = self.browse()
        self.seconds(1)
        self.assertEqual(browser.times(), [100.0, 101.0])

    def test_head(self) -> None:
        """HEAD has the headers, and opens no stream."""
        browser = self.browse(b"HEAD")
        self.assertIn(b"text/event-stream", browser.head)
        self.assertEqual((self.stream.streams, self.asked), (0, 0))

    def test_long_lists(self) -> None:
        """The oldest calls and the latest errors are sent, however many there are; the number of calls is there."""
        calls = tuple(CallRow("nats:a", "a", float(age)) for age in range(1000, 0, -1))
        errors = tuple(ErrorRow(float(time), "warn", "natsroute", "slow") for time in range(100, 0, -1))
        self.answer = Overview("n", "1", (1,), 0.0, 0.0, calls=calls, calls_in_flight=5000, errors=errors)
        [_, (_, data)] = self.browse().events
        self.assertEqual([len(data["calls"]), len(data["errors"])], [MAX_CALLS_SENT, MAX_ERRORS_SENT])
        self.assertEqual([data["calls"][0]["age"], data["errors"][0]["time"]], [1000.0, 100.0])
        self.assertEqual(data["calls_in_flight"], 5000)

    def test_hostile_text(self) -> None:
        """A line end or half a character in a subject ends no event, and can be read."""
        subject = "a\r\n\r\nevent: page\ndata: 1\n\n\u2028\udcff</script>"
        self.answer = Overview("n", "1", (1,), 0.0, 0.0, calls=(CallRow("nats:a", subject, 1.0),))
        [_, (name, data)] = self.browse().events
        self.assertEqual((name, data["calls"][0]["subject"]), ("overview", subject))


class BoundTests(StreamTestCase):
    """How many streams there may be, and what a slow one costs."""

    def test_too_many(self) -> None:
        """One more is refused and told when to try again; when one has gone, it is let in."""
        browsers = [self.browse() for _ in range(3)]
        refused = self.browse()
        self.assertTrue(refused.head.startswith(b"HTTP/1.1 503 "))
        self.assertIn(f"retry-after: {RETRY_AFTER}".encode(), refused.head.lower())
        self.seconds(1)
        self.assertEqual(self.stream.streams, 3)
        browsers[0].leave()
        self.assertEqual(self.browse().times(), [1.0])

    def test_slow_browser(self) -> None:
        """It is sent nothing while it reads nothing, and then the newest overview; the others get each."""
        slow, quick = self.browse(), self.browse()
        self.seconds(1)
        slow.fill()
        self.seconds(20)
        self.assertEqual(slow.times(), [0.0, 1.0])
        slow.drain()
        self.seconds(1)
        self.assertEqual(slow.times(), [0.0, 1.0, 22.0])
        self.assertEqual(quick.times(), [float(second) for second in range(23)])
        self.assertFalse(slow.transport.aborted)

    def test_write_timeout(self) -> None:
        """A browser that reads nothing for 30 s is disconnected, even if others read."""
        slow, quick = self.browse(), self.browse()
        slow.fill()
        self.clock.advance(29.9)
        self.assertFalse(slow.transport.aborted)
        self.clock.advance(0.1)
        self.assertTrue(slow.transport.aborted)
        self.assertFalse(quick.transport.aborted)
        self.seconds(1)
        self.assertEqual(slow.times(), [0.0])
        slow.leave()
        self.assertEqual(self.stream.streams, 1)

    def test_each_pause_has_its_own_time(self) -> None:
        """A browser on a slow line that reads now and then stays connected."""
        slow = self.browse()
        for _ in range(10):
            slow.fill()
            self.seconds(20)
            slow.drain()
        self.assertFalse(slow.transport.aborted)

    def test_gone_while_full(self) -> None:
        """No timer is left of a browser that goes while it reads nothing."""
        browser = self.browse()
        browser.fill()
        browser.leave()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_producer(self) -> None:
        """The transport can pause and resume each stream."""
        self.browse()
        [stream] = self.stream._streams
        self.assertIsInstance(stream, _Stream)
        self.assertTrue(verifyObject(IPushProducer, stream))


class FailureTests(StreamTestCase):
    """There is no overview."""

    def test_raises(self) -> None:
        """The browsers are told why; the log has it once. When there is an overview again, it is sent."""
        self.answer = ValueError("no such\x1b[2J thing")
        browser = self.browse()
        self.seconds(2)
        self.assertEqual(browser.events[1:], [("failure", "ValueError: no such\\x1b[2J thing")] * 3)
        self.assertEqual(len(self.log.matching("The status page has no overview")), 1)
        self.flushLoggedErrors(ValueError)
        self.answer = None
        self.seconds(1)
        self.assertEqual(browser.times(), [3.0])
        self.answer = ValueError("again")
        self.seconds(1)
        self.assertEqual(len(self.log.matching("The status page has no overview")), 2)
        self.flushLoggedErrors(ValueError)

    def test_later(self) -> None:
        """An overview may be a Deferred. No other one is asked for in the meantime."""
        self.answer = Deferred()
        browser = self.browse()
        self.seconds(3)
        self.assertEqual((browser.times(), self.asked), ([], 1))
        self.answer.callback(Overview("n", "1", (1,), 0.0, 7.0))
        self.assertEqual(browser.times(), [7.0])
        self.answer = None
        self.seconds(1)
        self.assertEqual(browser.times(), [7.0, 4.0])

    def test_never(self) -> None:
        """An overview that does not come is given up, and the browsers are told so."""
        cancelled: list[Deferred[Overview]] = []
        self.answer = Deferred(cancelled.append)
        browser = self.browse()
        self.clock.advance(ANSWER_TIMEOUT - 0.1)
        self.assertEqual(len(browser.events), 1)
        self.answer = None
        self.clock.advance(0.1)
        self.assertEqual(len(cancelled), 1)
        name, text = browser.events[1]
        self.assertEqual(name, "failure")
        self.assertIn("TimeoutError", text)
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_nobody_waits_any_more(self) -> None:
        """An overview that is still to come when the last browser goes is cancelled, and nothing is logged."""
        cancelled: list[Deferred[Overview]] = []
        self.answer = Deferred(cancelled.append)
        self.browse().leave()
        self.assertEqual((len(cancelled), self.clock.getDelayedCalls()), (1, []))
        self.assertEqual(self.log.matching("The status page has no overview"), [])
        self.answer = None
        self.assertEqual(self.browse().times(), [0.0])

    def test_no_json(self) -> None:
        """A number that JavaScript cannot read is a failure, not a stream that breaks the page."""
        self.answer = Overview("n", "1", (1,), 0.0, float("nan"))
        [_, (name, text)] = self.browse().events
        self.assertEqual(name, "failure")
        self.assertIn("ValueError", text)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
