"""natsroute.console.overview_pages"""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from natsroute.console.overview_pages import MAX_CALLS, MAX_ERRORS, calls_page, ledger_page, status_page
from natsroute.console.pages import Page, Style
from natsroute.monitoring.overview import CallRow, ErrorRow, Overview, ServiceRow
from tests.support.console_case import sample_overview


def column(page: Page, title: str, heading: str) -> list[str]:
    """The texts of a column of a table."""
    [table] = [table for table in page.tables if table.title.startswith(title)]
    number = table.headings.index(heading)
    return [row[number].text for row in table.rows]


class StatusPageTests(SynchronousTestCase):
    """The overview as a page."""

    def test_columns(self) -> None:
        """Each row has a cell for each heading, with rates and without."""
        for before in (None, sample_overview(time=99.0)):
            for table in status_page(sample_overview(), before).tables:
                self.assertEqual({len(row) for row in table.rows}, {len(table.headings)}, table.title)

    def test_numbers(self) -> None:
        page = status_page(sample_overview())
        self.assertEqual(column(page, "Connections", "state"), ["connecting", "connected"])
        self.assertEqual(column(page, "Connections", "round trip"), ["-", "3.5 ms"])
        self.assertEqual(column(page, "Consumers", "dropped"), ["6"])
        self.assertEqual(column(page, "Event routes", "succeeded"), ["1,000"])
        self.assertEqual(column(page, "Publish workers", "publish worker"), ["1"])

    def test_streams(self) -> None:
        """Their columns are there if there is a consumer of one."""
        now = sample_overview()
        [row] = now.consumers
        self.assertRaises(ValueError, column, status_page(now), "Consumers", "in stream")
        streams = attrs.evolve(now, consumers=(row, attrs.evolve(row, name="CALLS:billing", lag=1200, handed_back=7)))
        for page in (status_page(streams), ledger_page(streams)):
            self.assertEqual(column(page, "Consumers", "in stream"), ["-", "1,200"])
            self.assertEqual(column(page, "Consumers", "handed back"), ["0", "7"])
            self.assertEqual({len(line) for line in page.tables[0].rows}, {len(page.tables[0].headings)})

    def test_styles(self) -> None:
        """What is wrong can be seen."""
        page = status_page(sample_overview())
        self.assertEqual([line.style for line in page.lines], [Style.PLAIN, Style.BAD, Style.BAD])
        self.assertEqual(status_page(sample_overview(reasons=())).lines[1].style, Style.GOOD)
        [connections] = [table for table in page.tables if table.title == "Connections"]
        self.assertEqual([row[1].style for row in connections.rows], [Style.BAD, Style.GOOD])

    def test_services(self) -> None:
        """What it is announced as, if it is."""
        now = sample_overview(services=(ServiceRow("calc", "1.0.0", "a1", 1),))
        self.assertEqual(status_page(now).lines[1].text, "service calc 1.0.0, ID a1, 1 endpoint")
        now = Overview.merged([sample_overview(services=(ServiceRow("calc", "1.0.0", "a1", 3),))] * 2)
        self.assertEqual(status_page(now).lines[2].text, "service calc 1.0.0, ID a1, 3 endpoints (process 2)")

    def test_rates(self) -> None:
        """By the times of the overviews. A process that was replaced has no negative rate."""
        now = sample_overview(received=1234, time=100.0)
        for before, rate in [
            (sample_overview(received=1000, time=90.0), "23.4"),
            (sample_overview(received=2000, time=90.0), "0.0"),
            (sample_overview(received=1000, time=100.0), "-"),
            (sample_overview(time=90.0, consumers=()), "123.4"),
        ]:
            self.assertEqual(column(status_page(now, before), "Consumers", "per second"), [rate])

    def test_several_processes(self) -> None:
        page = status_page(Overview.merged([sample_overview(), sample_overview()]))
        self.assertIn("processes 7, 7", page.lines[0].text)
        self.assertIn("publish worker 1 (process 2)", column(page, "Connections", "connection"))
        self.assertEqual(column(page, "Publish workers", "publish worker"), ["1 (process 1)", "1 (process 2)"])
        self.assertTrue(page.lines[2].text.startswith("  process 1: the connection"))

    def test_bounded(self) -> None:
        """Many calls and errors do not fill the terminal; ``calls`` shows more of them."""
        calls = tuple(CallRow("nats:a", "a", 1.0) for _ in range(50))
        errors = tuple(ErrorRow(0.0, "warn", "n", "t") for _ in range(50))
        overview = sample_overview(calls=calls, errors=errors, calls_in_flight=60)
        page = status_page(overview)
        self.assertEqual(len(column(page, "Calls in flight, the 10 oldest of 60", "age")), MAX_CALLS)
        self.assertEqual(len(column(page, "Latest", "text")), MAX_ERRORS)
        self.assertEqual(len(column(calls_page(overview), "Calls in flight, the 50 oldest of 60", "age")), 50)

    def test_ledger_page(self) -> None:
        titles = [table.title for table in ledger_page(sample_overview()).tables]
        self.assertEqual(titles, ["Consumers", "Event routes", "Publish workers"])
