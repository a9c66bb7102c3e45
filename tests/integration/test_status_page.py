"""The status page in a real browser, with a real nats-server: what it shows is what the server counted"""

from __future__ import annotations

import json
import re
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.support.browser import SKIP, Browser
from tests.support.natsroute_process import NatsrouteProcess
from tests.support.plain_client import PlainClient
from tests.support.server_case import OneServerTestCase
from tests.support.waiting import TIMEOUT

ROUTES = """
from twisted.internet.defer import Deferred
from natsroute import EventRoutes

event_route = EventRoutes()

@event_route("nats:dialog")
async def dialog(event):
    await event.publish("presence.dialog", event.data)

@event_route("nats:broken")
def broken(event):
    raise ValueError("no such account")

@event_route("nats:cdr", retries=2, dead_letter="dead.cdr")
def cdr(event):
    if event.data == b"bad":
        raise ConnectionError("the database is away")

@event_route("nats:hangs.>", concurrency=10)
def hangs(event):
    return Deferred()
"""

#: Reads the texts of a table: a row for each row, a field for each column.
READ_TABLE = """(id) => Object.fromEntries([...document.querySelectorAll(`#${id} tbody tr`)].map((row) => [
    row.querySelector(".name").textContent,
    Object.fromEntries([...row.querySelectorAll("td")].map((cell) => [
        cell.dataset.label, (cell.querySelector(".number, .state") ?? cell).textContent,
    ])),
]))"""
READ_LEDGER = """(id) => Object.fromEntries(
    [...document.querySelectorAll(`#${id} [data-part]`)].map((cell) => [cell.dataset.part, cell.textContent])
)"""
#: All texts whose contrast with what is behind them is less than WCAG's AA asks for.
FAINT = """() => {
    const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
    const luminance = (color) => {
        const [r, g, b] = color.map((one) => {
            const part = one / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let one = element; one; one = one.parentElement) {
            const color = numbers(getComputedStyle(one).backgroundColor);
            if (color.length === 3 || color[3] > 0) return color.slice(0, 3);
        }
        return [255, 255, 255];
    };
    const found = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let count = 0;
    while (texts.nextNode()) {
        const element = texts.currentNode.parentElement;
        if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
        count += 1;
        const style = getComputedStyle(element);
        const [one, two] = [luminance(numbers(style.color).slice(0, 3)), luminance(behind(element))];
        const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
        if (ratio < 4.5) found.push(`${texts.currentNode.data.trim()}: ${ratio.toFixed(2)}`);
    }
    return [count, found];
}"""
#: Notes the layout shifts from now on.
WATCH_SHIFTS = """() => {
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries())
            window.shifts.push(...entry.sources.map((one) => `${entry.value} ${one.node?.parentElement?.outerHTML}`));
    }).observe({ type: "layout-shift" });
}"""

NO_RATE = "\N{EN DASH}/s"


def number(text: str) -> int:
    """The number that a cell shows."""
    return int(text.replace(",", ""))


class StatusPageTestCase(OneServerTestCase):
    """
    A natsroute in a process of its own, with traffic, and a browser that looks at it.

    :cvar options: more options of natsroute.
    """

    skip = SKIP or None
    options: tuple[str, ...] = ()

    def setUp(self) -> Deferred[None]:
        return super().setUp().addCallback(lambda _: Deferred.fromCoroutine(self._start()))

    async def _start(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.browser = Browser(self.reactor)
        self.addCleanup(self.browser.stop)
        await self.browser.start()
        self.program = await self.start_natsroute()

    def tearDown(self) -> None:
        self.assertEqual(self.browser.faults, [])

    async def start_natsroute(self, port: int = 0) -> NatsrouteProcess:
        """Start natsroute, and wait until it serves its page at :attr:`page_url`."""
        entries = ("dialog:q", "broken:q", "cdr", "hangs.>", "nobody.wants")
        options = [word for entry in entries for word in ("--subject_queue_group", entry)]
        program = NatsrouteProcess(
            self.reactor, self.folder, ROUTES, "--nats_url", self.url, "--http_listen", f"127.0.0.1:{port}",
            "--drain_timeout", "0.1", *options, *self.options,
        )  # fmt: skip
        self.addCleanup(program.stop)
        found: list[str] = []

        def listening() -> bool:
            found[:] = re.findall(r"at (http://127\.0\.0\.1:\d+/)", "\n".join(program.output))
            return bool(found)

        await self.until(listening)
        [self.page_url] = found
        return program

    def publish(self, *messages: tuple[str, bytes]) -> None:
        """Publish messages with a client that knows nothing of natsroute."""
        with PlainClient(self.url) as client:
            client.write(b"".join(b"PUB %b %d\r\n%b\r\n" % (to.encode(), len(data), data) for to, data in messages))
            client.flush()

    def get(self, path: str) -> Any:
        """The JSON at a path."""
        with urlopen(self.page_url + path, timeout=TIMEOUT) as response:
            return json.load(response)

    def open(self, **options: Any) -> Any:
        """Open the page, and wait until natsroute is ready."""
        page = self.browser.open(self.page_url, **options)
        self.browser.wait_for(page, "Ready")
        return page

    def wait_until(self, condition: Any) -> None:
        """Wait until a function returns without AssertionError. The page is drawn once a second."""
        give_up = time.monotonic() + TIMEOUT
        while True:
            try:
                condition()
                return
            except AssertionError:
                if time.monotonic() > give_up:
                    raise
            time.sleep(0.1)

    async def look(self, function: Any) -> None:
        """Call a function in the browser's thread."""
        await self.browser.run(function)

    def check_numbers(self, page: Any) -> None:
        """Compare all that the page shows with the JSON of the site, at rest."""
        ledger = self.get("ledger")
        shown = page.evaluate(READ_TABLE, "consumers")
        self.assertEqual(list(shown), [row["name"] for row in ledger["consumers"]])
        for row in ledger["consumers"]:
            cells = shown[row["name"]]
            dropped = row["overflowed"] + row["unclaimed"] + row["unrouted"]
            expected = [row["received"], row["failed"], dropped, row["waiting"]]
            self.assertEqual([number(cells[one]) for one in ("Received", "Failed", "Dropped", "Backlog")], expected)
        columns = {
            "Succeeded": "succeeded",
            "Failed": "failed",
            "Retried": "retried",
            "Dead-lettered": "dead_lettered",
        }
        self.compare(page, "routes", {row["route"]: row for row in ledger["routes"]}, columns)
        workers = {"Held": "in_progress", "Confirmed": "confirmed", "Failed": "failed", "Resent": "resent"}
        self.compare(page, "workers", {row["name"]: row for row in ledger["workers"]}, workers)
        connections = {row["purpose"]: row for row in self.get("connections")["connections"]}
        self.compare(page, "connections", connections, {"Reconnects": "reconnects"})
        states = {name: cells["State"] for name, cells in page.evaluate(READ_TABLE, "connections").items()}
        self.assertEqual(states, {name: row["state"] for name, row in connections.items()})
        for table, whole in (("ledger-received", "received"), ("ledger-published", "published")):
            parts = page.evaluate(READ_LEDGER, table)
            self.assertEqual(parts.pop("verdict"), "✓ adds up")
            self.assertEqual(parts.pop("sum"), parts[whole])
            rows = ledger["consumers"] if whole == "received" else [ledger["publisher"]]
            total = number(parts.pop(whole))
            self.assertEqual(total, sum(row[whole] for row in rows))
            self.assertEqual(total, sum(map(number, parts.values())))

    def check_contrast(self, page: Any) -> None:
        """Each text has enough contrast, in light and dark."""
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            count, faint = page.evaluate(FAINT)
            self.assertEqual(faint, [], scheme)
            self.assertGreater(count, 100)

    def compare(self, page: Any, table: str, rows: dict[str, Any], columns: dict[str, str]) -> None:
        """Compare columns of a table with fields of the rows of the JSON, both by name."""
        shown = page.evaluate(READ_TABLE, table)
        self.assertEqual(list(shown), list(rows))
        for name, cells in shown.items():
            expected = {label: rows[name][field] for label, field in columns.items()}
            self.assertEqual({label: number(cells[label]) for label in columns}, expected, name)


class HostileTests(StatusPageTestCase):
    """What others send does no harm, and only who has the login sees it."""

    options = ("--http_user", "night", "--http_password", "watch")

    async def test_hostile_subjects(self) -> None:
        """Markup, ESC and marks that turn the direction of text are shown as what they are."""
        hostile = "hangs.<script>alert(1)</script>.<img/src=x/onerror=alert(2)>.\x1b[31m.\u202egnp.exe"

        def look() -> None:
            page = self.open(http_credentials={"username": "night", "password": "watch"})
            self.publish((hostile, b"x"))
            page.wait_for_selector("#calls tbody tr")
            text = page.inner_text("#calls tbody tr .below")
            self.assertEqual(text, hostile.replace("\x1b", "\\u001b").replace("\u202e", "\\u202e"))
            self.assertEqual(page.evaluate("document.querySelectorAll('body script, img').length"), 0)
            self.assertEqual(page.inner_text("#calls-count"), "1")
            first = page.inner_text("#calls tbody td .number")
            self.assertRegex(first, r"^\d+ s$")
            page.wait_for_function(
                "(age) => document.querySelector('#calls td .number').textContent !== age", arg=first
            )
            self.browser.close(page)

        await self.look(look)


class StatusPageTests(StatusPageTestCase):
    """What the page shows, and how."""

    async def test_numbers(self) -> None:
        """Consumers, routes, publish workers, connections and ledger: as sent, and as in the JSON of the same site."""
        sent = {"dialog": 1234, "broken": 17, "cdr": 40, "nobody.wants": 5}
        messages = [(subject, b"x") for subject, count in sent.items() for _ in range(count)]
        messages += [("cdr", b"bad")] * 3

        def look() -> None:
            page = self.open()
            self.publish(*messages)
            self.wait_until(lambda: self.assertEqual(self.get("ledger")["publisher"]["confirmed"], 1234 + 3))
            self.wait_until(lambda: self.check_numbers(page))
            consumers = page.evaluate(READ_TABLE, "consumers")
            received = {name.partition(":")[0]: number(row["Received"]) for name, row in consumers.items()}
            self.assertEqual(received, {**sent, "cdr": 43, "hangs.>": 0})
            self.assertEqual(consumers["nobody.wants"]["Dropped"], "5")
            routes = page.evaluate(READ_TABLE, "routes")
            self.assertEqual(routes["nats:broken"]["Failed"], "17")
            self.assertEqual((routes["nats:cdr"]["Retried"], routes["nats:cdr"]["Dead-lettered"]), ("6", "3"))
            self.assertEqual(routes["nats:dialog"]["Succeeded"], "1,234")
            self.assertEqual(page.inner_text("#glance-failed .number"), "20")
            self.assertIn("no such account", page.inner_text("#errors"))
            self.browser.close(page)

        await self.look(look)

    async def test_server_stops(self) -> None:
        """The page says that natsroute is not ready, and why; and when it is ready again."""
        page = await self.browser.run(self.open)
        await self.server.stop()
        await self.browser.run(self.browser.wait_for, page, "Not ready")

        def look() -> None:
            self.wait_until(lambda: self.assertEqual(len(page.query_selector_all("#reasons li")), 7))
            self.browser.wait_until_drawn(page)
            self.assertIn("consumer dialog:q", page.inner_text("#reasons"))
            self.assertIn("publish worker 1", page.inner_text("#reasons"))
            self.assertTrue(page.title().startswith("Not ready · "))
            self.assertIn("alarm", page.get_attribute("#icon", "href"))
            states = page.evaluate(READ_TABLE, "connections")
            self.assertNotIn("connected", {cells["State"] for cells in states.values()})
            self.assertEqual(page.evaluate("getComputedStyle(document.querySelector('h1')).color"), "rgb(179, 38, 30)")
            self.check_contrast(page)

        await self.look(look)
        await self.server.start()
        await self.browser.run(self.browser.wait_for, page, "Ready")
        await self.look(lambda: self.wait_until(lambda: self.check_numbers(page)))
        await self.browser.run(self.browser.close, page)

    async def test_natsroute_ends(self) -> None:
        """The page says since when it knows nothing, and shows no rate. A new natsroute begins with zero."""
        page = await self.browser.run(self.open)
        await deferToThread(self.publish, *[("dialog", b"x")] * 50)
        received = "document.querySelector('#ledger-received [data-part=received]').textContent"
        await self.browser.run(page.wait_for_function, f"() => {received} === '50'")
        await self.program.stop()
        await self.browser.run(self.browser.wait_for, page, "No contact")

        def look() -> None:
            self.assertRegex(page.inner_text("#age"), r"^Since \d\d:\d\d:\d\d, for \d+ s\. All numbers are from ")
            self.assertEqual(page.evaluate(READ_TABLE, "consumers")["dialog:q"]["Rate"], NO_RATE)
            self.assertEqual(page.inner_text("#glance-received .number"), NO_RATE)
            self.assertTrue(page.title().startswith("No contact · "))
            self.check_contrast(page)
            self.assertEqual(page.evaluate(received), "50")

        await self.look(look)
        await self.start_natsroute(int(self.page_url.rstrip("/").rpartition(":")[2]))
        await self.browser.run(self.browser.wait_for, page, "Ready")
        await self.browser.run(page.wait_for_function, f"() => {received} === '0'")
        rates = await self.browser.run(page.inner_text, "#consumers")
        self.assertNotIn("-", re.sub(r"[\w.>]-[\w.>]", "", rates))
        await self.browser.run(self.browser.close, page)

    async def test_looks(self) -> None:
        """Light and dark, wide and narrow: enough contrast, nothing to scroll sideways, and nothing that jumps."""
        long_name = "hangs." + "a-very-long-subject-without-any-space." * 5 + "end"

        def look() -> None:
            self.browser.close(self.open())  # natsroute is ready then
            self.publish((long_name, b"x"), *[("broken", b"x")] * 3, *[("dialog", b"x")] * 1000)
            papers = []
            for scheme in ("light", "dark"):
                page = self.open(color_scheme=scheme)
                page.wait_for_selector("#calls tbody tr")
                page.wait_for_selector("#errors li")
                papers.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
                for width in (320, 360, 480, 768, 1024, 1280, 1920, 2560):
                    page.set_viewport_size({"width": width, "height": 800})
                    self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), width)
                self.browser.close(page)
            self.assertEqual(papers, ["rgb(251, 250, 247)", "rgb(17, 20, 23)"])
            page = self.open(reduced_motion="reduce")
            self.check_contrast(page)
            self.assertEqual(page.evaluate("getComputedStyle(document.documentElement).scrollBehavior"), "auto")
            page.wait_for_selector("#errors li")
            page.evaluate(WATCH_SHIFTS)
            for _ in range(20):
                self.publish(*[("dialog", b"x")] * 37, *[("cdr", b"x")] * 5)
                time.sleep(0.1)
            self.wait_until(lambda: self.check_numbers(page))
            self.assertEqual(page.evaluate("shifts"), [])
            self.browser.close(page)

        await self.look(look)

    async def test_keyboard(self) -> None:
        """All that can be done can be done with the keyboard, and the focus can be seen."""

        def focused(page: Any) -> str:
            style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            self.assertEqual(style, "solid")
            text: str = page.evaluate("document.activeElement.textContent")
            return text

        def look() -> None:
            page = self.open()
            page.keyboard.press("Tab")
            self.assertEqual(focused(page), "Skip to the numbers")
            self.assertTrue(page.evaluate("document.activeElement.getBoundingClientRect().left >= 0"))
            page.keyboard.press("Enter")
            self.assertEqual(page.evaluate("document.activeElement.id"), "main")
            page.reload()
            self.browser.wait_for(page, "Ready")
            reached = []
            for _ in range(9):
                page.keyboard.press("Tab")
                reached.append(focused(page))
            sections = ["Consumers", "Routes", "Publishing", "Connections", "Errors", "Ledger", "Calls"]
            self.assertEqual(reached, ["Skip to the numbers", *sections, "Pause"])
            page.keyboard.press("Space")
            self.browser.wait_for(page, "Paused")
            self.assertEqual(focused(page), "Resume")
            self.assertRegex(page.inner_text("#age"), r"^Since .* All numbers are from \d\d:\d\d:\d\d\.$")
            self.check_contrast(page)
            before = page.inner_text(".columns")
            self.publish(*[("dialog", b"x")] * 7)
            self.wait_until(lambda: self.assertEqual(self.get("ledger")["publisher"]["confirmed"], 7))
            time.sleep(2.5)
            self.assertEqual(page.inner_text(".columns"), before)
            page.keyboard.press("Space")
            self.browser.wait_for(page, "Ready")
            self.wait_until(lambda: self.check_numbers(page))
            self.browser.close(page)

        await self.look(look)
