"""natsroute.kamailio.kemi.ksr.nats"""

from __future__ import annotations

from tests.support.kemi_scripts import ScriptCase, new_event


class NatsTests(ScriptCase):
    """Publishing."""

    def test_publish(self) -> None:
        """The result is 1 at once. An empty reply subject is none."""
        self.check_calls(
            new_event(),
            [
                (1, "nats.publish", b"a", b"1"),
                (1, "nats.publish_request", b"b", b"2", b"r"),
                (1, "nats.publish_request", b"c", b"3", b""),
                (1, "nats.publish", "\u00e9".encode(), b"\xff"),
            ],
        )
        self.assertEqual(
            self.published, [("a", b"1", None), ("b", b"2", "r"), ("c", b"3", None), ("\u00e9", b"\xff", None)]
        )
