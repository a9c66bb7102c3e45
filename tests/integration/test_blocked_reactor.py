"""A route that keeps the reactor is named, while it does."""

from __future__ import annotations

import signal

from tests.support.twistd import TwistdTestCase

ROUTES = """
import os
import time
from natsroute import EventRoutes
event_route = EventRoutes()

@event_route("nats:connected")
def blocks(event):
    if event.queue_group is None:
        while not os.path.exists("free"):
            time.sleep(0.01)
        print("SLEPT", flush=True)
"""


class BlockedReactorTests(TwistdTestCase):
    """The whole process."""

    files = {"routes.py": ROUTES}

    def test_named(self) -> None:
        program = self.run_program(
            *("natsroute", "--embedded_server", "--event_routes", "routes.py", "--num_publish_workers", "1"),
            *("--blocked_reactor_warning", "0.5"),
        )
        self.wait_for("has kept the reactor", program)
        (self.folder / "free").touch()
        self.wait_for("The reactor runs again", program)
        output = program.output()
        self.assertRegex(
            output, r"Event route nats:connected has kept the reactor for \d+\.\d s, and is at .*routes.py:1[01]"
        )
        self.assertLess(output.index("has kept the reactor"), output.index("SLEPT"))
        program.process.send_signal(signal.SIGTERM)
        program.wait()
