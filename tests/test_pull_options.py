"""natsroute.jetstream.consuming.pull_options"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from natsroute.jetstream.consuming.pull_options import PullOptions


class PullOptionsTests(SynchronousTestCase):
    """The payload of a pull."""

    def test_request(self) -> None:
        """The server takes nanoseconds, and no heartbeat above half of the time."""
        options = PullOptions(batch=500, max_bytes=1000, expires=5.0)
        self.assertEqual(
            json.loads(options.request(250)),
            {"batch": 250, "max_bytes": 1000, "expires": 5_000_000_000, "idle_heartbeat": 2_500_000_000},
        )
        self.assertEqual(json.loads(PullOptions(expires=30.0).request(1))["idle_heartbeat"], 3_000_000_000)
        for expires in (0.1, 0.7, 1 / 3, 30.0, 86_400.1):
            fields = json.loads(PullOptions(expires=expires).request(1))
            self.assertLessEqual(2 * fields["idle_heartbeat"], fields["expires"])

    def test_priority_groups(self) -> None:
        """Only what is set is sent: the server refuses options of another policy."""
        fields = json.loads(PullOptions(group="jobs").request(1))
        self.assertEqual(fields["group"], "jobs")
        self.assertEqual(fields.keys() & {"min_pending", "min_ack_pending", "priority", "id"}, set())
        fields = json.loads(PullOptions(group="jobs", min_pending=5, min_ack_pending=6, priority=7).request(1, "pin"))
        self.assertEqual(
            [fields[name] for name in ("min_pending", "min_ack_pending", "priority", "id")], [5, 6, 7, "pin"]
        )
        self.assertNotIn("priority", json.loads(PullOptions(priority=7).request(1)))
