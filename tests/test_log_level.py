"""natsroute.console.log_level"""

from __future__ import annotations

from natsroute.console import log_level
from tests.support.console_case import ConsoleTestCase


class LogLevelTests(ConsoleTestCase):
    """What it asks for, and what it prints."""

    ANSWER = {"rules": ["info", "natsroute.client=debug\x1b"]}

    def test_change(self) -> None:
        code, printed = self.run_command(log_level, "info", "natsroute.client=debug", log_level=self.ANSWER)
        self.assertEqual((code, printed), (0, "info\nnatsroute.client=debug\\x1b\n"))
        self.assertEqual(self.client.calls, [("log_level", {"rules": ["info", "natsroute.client=debug"]}, 5.0)])

    def test_show(self) -> None:
        """Without a level, nothing changes."""
        self.run_command(log_level, log_level=self.ANSWER)
        self.assertEqual(self.client.calls, [("log_level", {}, 5.0)])
