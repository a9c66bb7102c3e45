"""natsroute.console.reload"""

from __future__ import annotations

import json

from natsroute.admin.errors import MethodError
from natsroute.console import reload
from tests.support.console_case import HOSTILE, ConsoleTestCase


class ReloadTests(ConsoleTestCase):
    """What it prints."""

    LOADED = {"files": ["a.py", HOSTILE], "needs_restart": [], "seconds": 0.5123}

    def test_reload(self) -> None:
        code, printed = self.run_command(reload, reload=self.LOADED)
        self.assertEqual(code, 0)
        self.assertEqual(printed, "reloaded\n  files: a.py, a\\x1b[2J\\u202eb\\nc\n  seconds: 0.5\n")
        self.assertEqual(self.client.calls, [("reload", None, 60.0)])

    def test_nothing_to_say(self) -> None:
        self.assertEqual(self.run_command(reload, reload=None), (0, "reloaded\n"))

    def test_json(self) -> None:
        code, printed = self.run_command(reload, "--json", reload=self.LOADED)
        self.assertEqual((code, json.loads(printed)), (0, self.LOADED))

    def test_failed(self) -> None:
        """The error is for whoever ends the command."""
        error = self.failureResultOf(self.start(reload, reload=MethodError(1, "no")), MethodError).value
        self.assertEqual(str(error), "no")
