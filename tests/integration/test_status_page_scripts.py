"""The scripts of the status page in a real browser: rates, formats, and what the page says of each kind of overview"""

from __future__ import annotations

import time
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from twisted.web.server import Site

from natsroute.monitoring.event_stream import EventStream
from natsroute.monitoring.overview import ErrorRow, Overview, Reason
from natsroute.monitoring.status_page.page import StatusPage
from tests.support.browser import SKIP, Browser
from tests.support.overviews import an_overview

#: Feeds a history with counters and gauges, a list of [time, instance, counter, gauge], and returns what it says.
HISTORY = """async (steps) => {
    const { History } = await import("/assets/history.js");
    const history = new History();
    for (const [time, instance, counter, gauge] of steps)
        history.add(time, instance, new Map([["c", counter]]), new Map([["g", gauge]]));
    return {
        rate: history.rate("c"), growth: history.growth("c"), span: history.span,
        counters: history.chart("c"), gauges: history.chart("g"), unknown: history.rate("x"),
    };
}"""
FORMATS = """async ([name, values]) => {
    const format = await import("/assets/format.js");
    return values.map((value) => format[name](value));
}"""


class BrowserTestCase(TestCase):
    """A site in this process, with an overview that the test sets, and a browser."""

    skip = SKIP or None

    def setUp(self) -> Deferred[None]:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.shown: Overview | Exception = an_overview()
        self.time = 1_000_000.0
        self.browser = Browser(reactor)
        self.addCleanup(self.browser.stop)
        self.page_resource = StatusPage(self.overview, self.reactor)
        self.listen(self.page_resource)
        return self.browser.start()

    def tearDown(self) -> None:
        self.assertEqual(self.browser.faults, [])

    def listen(self, page: StatusPage) -> None:
        """Serve a page at :attr:`url`; :attr:`streams` has its connections."""
        site = Site(page, reactor=self.reactor)
        self.streams: list[Any] = []
        build = site.buildProtocol

        def build_protocol(address: Any) -> Any:
            protocol = build(address)
            made = protocol.makeConnection
            protocol.makeConnection = lambda transport: (self.streams.append(transport), made(transport))
            return protocol

        site.buildProtocol = build_protocol  # type: ignore[method-assign]
        port = self.reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.url = f"http://127.0.0.1:{port.getHost().port}/"

    def overview(self) -> Overview:
        """The overview of the test, a second later each time."""
        if isinstance(self.shown, Exception):
            raise self.shown
        self.time += 1.0
        return attrs.evolve(self.shown, time=self.time)

    def show(self, shown: Overview | Exception) -> None:
        """Show this from the next second on. May be called in the browser's thread."""
        self.shown = shown


class ModuleTests(BrowserTestCase):
    """Modules on their own."""

    def look(self, function: Any) -> Deferred[None]:
        """Call a function with a page, in the browser's thread."""

        def run() -> None:
            page = self.browser.open(self.url)
            function(page)
            self.browser.close(page)

        return self.browser.run(run)

    def test_history(self) -> Deferred[None]:
        """Rates and charts, over steady counting, restarts, gaps and clocks that are set."""

        def look(page: Any) -> None:
            def history(*steps: tuple[float, str, int, int]) -> Any:
                return page.evaluate(HISTORY, [list(step) for step in steps])

            steady = history(*[(1000.0 + second, "a", 10 * second, second) for second in range(11)])
            self.assertEqual((steady["rate"], steady["growth"], steady["span"]), (10, 100, 10))
            self.assertEqual(steady["counters"][-3:], [10, 10, 10])
            self.assertEqual(steady["counters"][:-3], [None] * 72)
            self.assertEqual(steady["gauges"][-3:], [3, 7, 10])
            self.assertIsNone(steady["unknown"])

            first = history((1000.0, "a", 500, 0))
            self.assertEqual((first["rate"], first["growth"], first["counters"][-1]), (None, 0, None))

            # The rate is that of the last five seconds, whatever was before, and however long the steps are.
            uneven = history((1000.0, "a", 0, 0), (1001.0, "a", 900, 0), (1004.5, "a", 900, 0), (1007.0, "a", 960, 0))
            self.assertEqual((uneven["rate"], uneven["growth"]), (10, 960))

            # A counter that goes back has begun again, and so have all counters of another instance.
            back = history((1000.0, "a", 50, 0), (1001.0, "a", 60, 0), (1002.0, "a", 3, 0), (1003.0, "a", 5, 0))
            self.assertEqual((back["rate"], back["growth"]), (6, 12))
            restart = history((1000.0, "a", 50, 0), (1001.0, "b", 4000, 0), (1002.0, "b", 4007, 0))
            self.assertEqual((restart["rate"], restart["growth"]), (7, 7))

            # Nothing is said of a time in which no overview came.
            gap = history((1000.0, "a", 0, 0), (1001.0, "a", 5, 0), (1100.0, "a", 700, 0))
            self.assertEqual((gap["rate"], gap["growth"], gap["counters"][-1]), (None, 5, None))

            # The same overview again is no step, and a clock that was set back begins a new history.
            again = history((1000.0, "a", 0, 0), (1001.0, "a", 5, 0), (1001.0, "a", 5, 0), (1002.0, "a", 10, 0))
            self.assertEqual(again["rate"], 5)
            earlier = history((1000.0, "a", 0, 0), (1001.0, "a", 5, 0), (500.0, "a", 6, 0), (501.0, "a", 8, 0))
            self.assertEqual((earlier["rate"], earlier["growth"], earlier["span"]), (2, 2, 1))

            # What is older than five minutes is forgotten.
            long = history(*[(1000.0 + second, "a", second, 9 if second == 1 else 0) for second in range(400)])
            self.assertEqual((long["growth"], long["span"], max(long["gauges"])), (300, 300, 0))
            self.assertNotIn(None, long["counters"])

        return self.look(look)

    def test_formats(self) -> Deferred[None]:
        """Numbers and times as people read them."""

        def look(page: Any) -> None:
            dash = "\N{EN DASH}"
            for name, values in {
                "count": {None: dash, 0: "0", 1234567: "1,234,567"},
                "rate": {None: dash, 0: "0", 0.01: "0.1", 9.96: "10.0", 99.94: "99.9", 99.96: "100", 1234.5: "1,235"},
                "bytes": {None: dash, 0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_960: "1.0 MB", 5e15: "5,000.0 TB"},
                "milliseconds": {None: dash, 0.0003: "0.3 ms", 0.00996: "10 ms", 0.9: "900 ms", 1.25: "1.3 s"},
                "duration": {
                    None: dash, -3: "0 s", 0.9: "0 s", 59.9: "59 s", 60: "1 min", 125: "2 min 5 s", 3600: "1 h",
                    3661: "1 h 1 min", 86400: "1 d", 90061: "1 d 1 h", 31_536_000: "365 d",
                },
                "printable": {"a b": "a b", "\x00\x1b\u202e\u2028": "\\u0000\\u001b\\u202e\\u2028", "é😀": "é😀"},
            }.items():  # fmt: skip
                self.assertEqual(page.evaluate(FORMATS, [name, list(values)]), list(values.values()), name)

        return self.look(look)


class OverviewTests(BrowserTestCase):
    """What the page says of an overview."""

    def test_states(self) -> Deferred[None]:
        """Ready, not ready with each reason, an overview that fails, and ready again."""

        def look() -> None:
            page = self.browser.open(self.url)
            self.browser.wait_for(page, "Ready")
            self.assertEqual(page.inner_text("#explanation"), "1 consumer, 1 publish worker and 1 connection are up.")
            reasons = (
                Reason("not_connected", "consumer a:q", "the connection is waiting", 1),
                Reason("stopping", "", "the service stops", 2),
            )
            self.show(an_overview(reasons=reasons, pids=(7, 8)))
            self.browser.wait_for(page, "Not ready")
            shown = page.eval_on_selector_all("#reasons li", "(all) => all.map((one) => one.innerText)")
            self.assertEqual(
                [" ".join(one.split()) for one in shown],
                ["consumer a:q · process 1 the connection is waiting", "process 2 the service stops"],
            )
            self.assertEqual((page.inner_text("#pids-label"), page.inner_text("#pids")), ("2 processes", "7, 8"))
            self.show(ValueError("process 2 does not answer"))
            self.browser.wait_for(page, "No contact")
            self.assertIn("ValueError: process 2 does not answer", page.inner_text("#explanation"))
            self.assertEqual(page.inner_text("#reasons"), "")
            self.show(an_overview())
            self.browser.wait_for(page, "Ready")
            self.browser.close(page)

        def flush(_: None) -> None:
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

        return self.browser.run(look).addCallback(flush)

    def test_rates(self) -> Deferred[None]:
        """A counter that grows by 40 each second is shown with this rate, and the sum of two consumers with 80."""
        rows = an_overview().consumers
        counted = 0

        def overview() -> Overview:
            nonlocal counted
            counted += 40
            each = tuple(attrs.evolve(rows[0], name=name, received=counted + 1, succeeded=counted) for name in "ab")
            return attrs.evolve(self.overview(), consumers=each)

        self.page_resource = StatusPage(overview, self.reactor)

        def look() -> None:
            page = self.browser.open(self.url)
            self.browser.wait_for(page, "Ready")
            for selector, rate in (("#glance-received", "80.0/s"), ("#consumers tbody tr:last-child", "40.0/s")):
                page.wait_for_function(
                    "([selector, rate]) => document.querySelector(`${selector} .number`).textContent === rate",
                    arg=[selector, rate],
                )
            self.assertIn("peak 80.0/s", page.inner_text("#glance-received"))
            self.assertIn("✓ adds up", page.inner_text("#ledger-received"))
            self.browser.close(page)

        self.listen(self.page_resource)
        return self.browser.run(look)

    def test_a_ledger_that_does_not_add_up(self) -> Deferred[None]:
        """The page says so, and by how much."""
        self.show(an_overview(consumers=(attrs.evolve(an_overview().consumers[0], received=9),)))

        def look() -> None:
            page = self.browser.open(self.url)
            self.browser.wait_for(page, "Ready")
            self.assertIn("▲ 7 unaccounted for", page.inner_text("#ledger-received"))
            self.assertIn("✓ adds up", page.inner_text("#ledger-published"))
            self.browser.close(page)

        return self.browser.run(look)

    def test_nothing_to_show(self) -> Deferred[None]:
        """Each section says that it is empty; rows that come later are shown, and go again."""
        bare = Overview("natsroute", "1", (7,), 100.0, 200.0)
        self.show(bare)

        def look() -> None:
            page = self.browser.open(self.url)
            self.browser.wait_for(page, "Ready")
            self.assertEqual(page.locator(".empty:visible").count(), 6)
            self.assertEqual(page.locator("table[role]:visible").count(), 0)
            self.show(an_overview(errors=(ErrorRow(150.0, "error", "natsroute", "it broke"),)))
            page.wait_for_selector("#errors li")
            self.assertEqual(page.locator(".empty:visible").count(), 0)
            self.show(bare)
            page.wait_for_selector("#errors li", state="detached")
            self.assertEqual(page.locator("tbody tr:visible").count(), page.locator(".sum tbody tr").count())
            self.browser.close(page)

        return self.browser.run(look)

    def test_upgrade(self) -> Deferred[None]:
        """A page that is connected again to a natsroute with another page loads itself again, once."""

        def upgrade() -> None:
            self.page_resource.putChild(b"events", EventStream(self.overview, self.reactor, edition="another"))
            for stream in tuple(self.streams):
                stream.abortConnection()

        def look() -> None:
            page = self.browser.open(self.url)
            self.browser.wait_for(page, "Ready")
            page.evaluate("() => { window.marker = 1; }")
            with page.expect_navigation():
                self.reactor.callFromThread(upgrade)
            self.browser.wait_for(page, "Ready")
            self.assertEqual(page.evaluate("() => window.marker ?? 0"), 0)
            page.evaluate("() => { window.marker = 2; }")
            page.wait_for_timeout(1500)
            self.assertEqual(page.evaluate("() => window.marker"), 2)
            self.browser.close(page)

        return self.browser.run(look)

    def test_refused(self) -> Deferred[None]:
        """A page that is one too many says that it has no contact, tries again, and then shows the numbers."""

        def look() -> None:
            page = self.browser.open(self.url)
            self.browser.wait_for(page, "Ready")
            refused = []

            def refuse(route: Any) -> None:
                refused.append(route.request.url)
                route.fulfill(status=503, headers={"Retry-After": "10"}, body="Too many status pages are open.\n")

            other = page.context.new_page()
            other.clock.install()
            other.route("**/events", refuse)
            began = time.monotonic()
            other.goto(self.url)
            self.browser.wait_for_headline(other, "Connecting")
            other.clock.run_for(6_000)
            self.browser.wait_for_headline(other, "No contact")
            other.unroute("**/events")
            seconds = time.monotonic() - began + 6.0  # the page's clock goes on meanwhile
            other.clock.run_for(6_000)
            self.browser.wait_for_headline(other, "Ready")
            self.assertIn(len(refused), range(1, 2 + int(seconds / 10)))
            self.browser.close(page)

        return self.browser.run(look)
