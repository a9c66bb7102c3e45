"""natsroute.kamailio.kemi.callback: a callback that is not there is found without running the script"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ScriptError
from natsroute.kamailio.kemi.callback import check_callback


class CallbackTests(SynchronousTestCase):
    """Scripts in Python and Lua."""

    def path(self, source: str) -> str:
        """A script."""
        path = Path(self.mktemp())
        path.write_text(source, "utf-8")
        return str(path)

    def test_there(self) -> None:
        """Functions, methods, and names that come from elsewhere."""
        for source in (
            "def ksr_nats_event(evname): pass\n",
            "class Events:\n    def ksr_nats_event(self, msg, evname): pass\n",
            "from events import other as ksr_nats_event\n",
            "from events import *\n",
            "globals()['ksr_' + 'nats_event'] = print\n",
            "function ksr_nats_event(evname) end\n",
            "ksr_nats_event = function(evname) end\n",
            'dofile("events.lua")\n',
        ):
            check_callback(self.path(source), "ksr_nats_event")

    def test_missing(self) -> None:
        """The error names the nearest function."""
        for source, remedy in (
            ("def ksr_nats_events(evname): pass\n", "Did you mean ksr_nats_events?"),
            ("function ksr_nats_evnt(evname) end\n", "Did you mean ksr_nats_evnt?"),
            ("def other(): pass\n", "Define it as a function of the script"),
            ("", "Define it as a function of the script"),
        ):
            path = self.path(source)
            error = self.assertRaises(ScriptError, check_callback, path, "ksr_nats_event")
            self.assertEqual((error.file, error.line, error.remedy), (path, 1, remedy))
            self.assertIn("event_callback is 'ksr_nats_event', and there is no such thing", error.problem)
