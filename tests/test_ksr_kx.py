"""natsroute.kamailio.kemi.ksr.kx"""

from __future__ import annotations

from tests.support.kemi_scripts import ScriptCase, new_event


class KxTests(ScriptCase):
    """``KSR.kx``."""

    def test_definitions(self) -> None:
        """Of the ``kamailio.cfg``. Without one of this name, the text is empty, as in Kamailio."""
        self.service.definitions = {b"A": b"text", b"N": b"-5", b"E": b""}
        self.check_calls(
            new_event(),
            [
                (True, "kx.ifdef", b"A"),
                (False, "kx.ifdef", b"B"),
                (True, "kx.ifdef", b"E"),
                (False, "kx.ifndef", b"A"),
                (True, "kx.ifndef", b"B"),
                (b"text", "kx.get_def", b"A"),
                (b"", "kx.get_def", b"B"),
                (-5, "kx.get_defn", b"N"),
                (0, "kx.get_defn", b"A"),
                (0, "kx.get_defn", b"B"),
            ],
        )

    def test_surroundings(self) -> None:
        """Environment variables and the time."""
        self.service.environment = {"A": "t\udcff", "N": "7"}
        self.service.now = lambda: 1000.9
        self.check_calls(
            new_event(),
            [
                (b"t\xff", "kx.get_env", b"A"),
                (b"", "kx.get_env", b"B"),
                (7, "kx.get_envn", b"N"),
                (0, "kx.get_envn", b"A"),
                (0, "kx.get_envn", b"B"),
                (1000, "kx.get_timestamp"),
            ],
        )
