"""natsroute.console.status"""

from __future__ import annotations

import json

from twisted.internet.defer import CancelledError

from natsroute.admin.errors import NoServiceError
from natsroute.console import status
from natsroute.console.session import ConsoleError
from natsroute.monitoring.overview import Overview
from tests.support.console_case import ConsoleTestCase, sample_overview


class StatusTests(ConsoleTestCase):
    """What it prints, and its exit code."""

    def test_not_ready(self) -> None:
        """Exit code 1, and the reasons."""
        code, printed = self.run_command(status, overview=sample_overview().as_json())
        self.assertEqual(code, 1)
        self.assertIn("not ready:\n  the connection of a\\x1b[2J", printed)
        titles = (
            *("Consumers", "Event routes", "Publish workers", "Connections"),
            *("Calls in flight, the 1 oldest of 20", "Latest warnings and errors"),
        )
        places = [printed.find(f"\n\n{title}\n") for title in titles]
        self.assertNotIn(-1, places)
        self.assertEqual(places, sorted(places))  # what matters most first: a terminal shows 24 lines
        self.assert_harmless(printed)

    def test_ready(self) -> None:
        code, printed = self.run_command(status, overview=sample_overview(reasons=()).as_json())
        self.assertEqual(code, 0)
        self.assertTrue(printed.startswith("me: natsroute 26.11.0, process 7, running for 1 h 1 min\nready\n"), printed)

    def test_json(self) -> None:
        code, printed = self.run_command(status, "--json", overview=sample_overview().as_json())
        self.assertEqual(code, 1)
        self.assertEqual(Overview.from_json(json.loads(printed)), sample_overview())
        self.assert_harmless(printed)

    def test_watch(self) -> None:
        """Rates come with the second page, and the last one goes with Ctrl-C."""
        watching = self.start(status, "--watch", "--interval", "2", overview=sample_overview().as_json())
        self.assertNotIn("per second", self.output.getvalue())
        self.client.answers["overview"] = sample_overview(received=1244, time=102.0).as_json()
        self.clock.advance(2)
        second = self.output.getvalue().rpartition("me: natsroute")[2]
        self.assertRegex(second, r"waiting +idle +per second\na:q +1,244 .* 5\.0\n")
        self.assertNoResult(watching)
        watching.cancel()
        self.assertEqual(self.successResultOf(watching), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_watch_json(self) -> None:
        """One line each time."""
        watching = self.start(status, "--watch", "--json", overview=sample_overview().as_json())
        self.clock.advance(1)
        self.assertEqual([json.loads(line)["name"] for line in self.output.getvalue().splitlines()], ["me", "me"])
        watching.cancel()
        self.successResultOf(watching)

    def test_service_ends(self) -> None:
        """Watching ends with the error."""
        watching = self.start(status, "--watch", overview=sample_overview().as_json())
        self.client.answers["overview"] = NoServiceError("/a")
        self.clock.advance(1)
        self.failureResultOf(watching, NoServiceError)

    def test_cancelled(self) -> None:
        """Without --watch, Ctrl-C is an interruption."""
        self.failureResultOf(self.start(status, overview=CancelledError()), CancelledError)

    def test_other_version(self) -> None:
        """An answer that is not understood says so."""
        for answer in ({}, [], {**sample_overview().as_json(), "consumers": [{}]}):
            error = self.failureResultOf(self.start(status, overview=answer), ConsoleError).value
            self.assertEqual(error.code, 1)
            self.assertIn("another version", str(error))

    def test_timeout(self) -> None:
        self.run_command(status, "--timeout", "3", overview=sample_overview().as_json())
        self.assertEqual(self.client.calls, [("overview", None, 3.0)])
