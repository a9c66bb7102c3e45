"""Signals to ``twistd natsroute``: they come in quick succession, and at awkward moments"""

from __future__ import annotations

import signal
import time

from tests.support.twistd import Twistd, TwistdTestCase

QUIET = """
from natsroute import EventRoutes
event_route = EventRoutes()

@event_route("nats:in")
async def hang(event):
    from twisted.internet.defer import Deferred
    print("BEGUN", flush=True)
    await Deferred()

@event_route("nats:connected")
async def begin(event):
    if event.queue_group:
        await event.publish("in", "hello")
"""

NO_SERVER = ("natsroute", "--nats_url", "nats://127.0.0.1:1", "--event_routes", "routes.py")
EMBEDDED = ("natsroute", "--embedded_server", "--subject_queue_group", "in:q", "--event_routes", "routes.py")


class StopSignalTests(TwistdTestCase):
    """SIGTERM, once, twice and three times."""

    files = {"routes.py": QUIET}

    def signals(self, program: Twistd, *numbers: signal.Signals, pause: float = 0.0) -> None:
        for number in numbers:
            program.process.send_signal(number)
            time.sleep(pause)

    def test_two_within_milliseconds(self) -> None:
        """50 times, 1 to 5 ms apart: the process ends by the signal, and there is no traceback."""
        for batch in range(10):
            programs = [self.run_program(*NO_SERVER) for _ in range(5)]
            for number, program in enumerate(programs):
                self.wait_for("keeps trying", program)
                pause = (number % 5 + 1) / 1000
                self.signals(program, signal.SIGTERM, signal.SIGTERM, pause=pause)
            for program in programs:
                self.assertEqual(program.wait(), -signal.SIGTERM, program.output())
                self.assertNotIn("Traceback", program.output(), f"batch {batch}")

    def test_three(self) -> None:
        """After the third, whatever is waited for, the process ends at once."""
        (self.folder / "blocks.py").write_text(
            QUIET.replace("await Deferred()", "import time; time.sleep(1000)"), encoding="utf-8"
        )
        for routes in ("routes.py", "blocks.py"):
            program = self.run_program(*EMBEDDED[:-1], routes)
            self.wait_for("BEGUN", program)
            self.stop_twice(program, signal.SIGTERM, signal.SIGINT)
            program.process.send_signal(signal.SIGTERM)
            self.assertEqual(program.wait(), -signal.SIGTERM, program.output())  # and not after 1000 s
            self.assertNotIn("Traceback", program.output())


class OtherSignalTests(TwistdTestCase):
    """SIGHUP, SIGUSR1 and SIGUSR2 do not end the process: running, stopping, and without a server."""

    files = {"routes.py": QUIET}
    NUMBERS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

    def survives(self, program: Twistd, number: signal.Signals) -> None:
        """It still answers SIGUSR2, which is delivered after the others."""
        reports = self.reports(program)
        program.process.send_signal(number)
        program.process.send_signal(signal.SIGUSR2)
        self.until(lambda: self.reports(program) > reports or program.process.poll() is not None, program)
        self.assertIs(program.process.poll(), None, f"{number!r}:\n{program.output()}")

    def reports(self, program: Twistd) -> int:
        return program.output().count("Publisher: ")

    def test_running(self) -> None:
        program = self.run_program(*EMBEDDED)
        self.wait_for("BEGUN", program)
        for number in self.NUMBERS:
            self.survives(program, number)
        self.wait_for("Reload: loaded 1 file in", program)
        for line in (
            "Consumer in:q: 1 received = 0 succeeded + 0 failed + 0 dropped + 1 in progress + 0 waiting",
            "Publisher: 1 published = 1 confirmed",
            "Connection consumer in:q: connected to nats://127.0.0.1:",
            "Call in flight: nats:in",
        ):
            self.wait_for(line, program)

    def test_stopping(self) -> None:
        """While a stop waits for a route."""
        program = self.run_program(*EMBEDDED)
        self.wait_for("BEGUN", program)
        program.process.send_signal(signal.SIGTERM)
        self.wait_for("Received SIGTERM", program)
        for number in self.NUMBERS:
            self.survives(program, number)
        self.wait_for("Call in flight: nats:in", program)

    def test_starting(self) -> None:
        """No server can be reached."""
        program = self.run_program(*NO_SERVER)
        self.wait_for("keeps trying", program)
        for number in self.NUMBERS:
            self.survives(program, number)
        self.wait_for("Connection publish worker 1: waiting", program)

    def test_log_file(self) -> None:
        """With one, SIGUSR1 rotates it, as twistd does for every program."""
        program = self.run_program("--logfile", "log", *EMBEDDED)
        log = self.folder / "log"
        self.until(lambda: log.exists() and "connected to" in log.read_text(encoding="utf-8"), program)
        program.process.send_signal(signal.SIGUSR1)
        self.until((self.folder / "log.1").exists, program)
        program.process.send_signal(signal.SIGUSR2)
        # twistd renames the file, and then opens the next one.
        self.until(lambda: log.exists() and "Publisher: " in log.read_text(encoding="utf-8"), program)
