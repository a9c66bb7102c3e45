"""Subjects and payloads that try to write into the log of a natsroute of its own, through a real nats-server"""

from __future__ import annotations

import signal
import subprocess

from natsroute.daemon.nats_server import ServerLog, server_command
from tests.support.plain_client import PlainClient
from tests.support.twistd import TwistdTestCase

ROUTES = r"""
from natsroute import EventRoutes

event_route = EventRoutes()
@event_route("nats:in.ready")
def ready(event):
    event.publish("ready", b"")

@event_route("nats:in.raises")
def raises(event):
    text = event.data.decode("utf-8", "surrogateescape")
    if len(text) > 1000:
        raise RuntimeError(text)  # another type and line: only the first of several equal errors is logged
    raise ValueError(text)

@event_route("nats:in.decodes")
def decodes(event):
    event.json()

@event_route("nats:in.answers")
def answers(event):
    event.respond("to nobody")

@event_route("nats:in.*")
async def publishes(event):
    await event.publish(event.subject + ".\udcff", {"a": float("nan")})

@event_route("nats:in.headers")
def headers(event):
    event.headers[event.text()]
"""


HOSTILE = "\x1b[2J\r\n2026-01-01T00:00:00+0000 [-] forged\u2028\u202e{log_time}{".encode()
#: Not UTF-8, with ESC, U+2028 and a bell.
SUBJECT = b"\x1b[2J\xff\xe2\x80\xa8\x07"


class HostileTextTests(TwistdTestCase):
    """twistd's own log file."""

    files = {"routes.py": ROUTES}

    def start_server(self) -> str:
        """Start a nats-server that ends with the test; returns its URL."""
        server = subprocess.Popen(
            server_command("--addr", "127.0.0.1", "--port", "-1"), stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.addCleanup(server.wait)
        self.addCleanup(server.communicate)
        assert server.stderr is not None
        log = ServerLog()
        while not log.ready:
            log.feed(server.stderr.readline())
        return f"nats://127.0.0.1:{log.ports['client']}"

    def test_log_file(self) -> None:
        """Each event has one line, which is printable and of bounded length; tracebacks follow after a tab."""
        url = self.start_server()
        program = self.run_program(
            *("--logfile", "log", "natsroute", "--nats_url", url, "--event_routes", "routes.py"),
            *("--subject_queue_group", "in.*", "--subject_queue_group", "unrouted.*"),
        )
        log = self.folder / "log"
        with PlainClient(url) as client:
            client.subscribe("ready")

            def ready() -> object:
                client.publish("in.ready")
                return client.messages_within(0.1)

            self.until(ready, program)
            for payload in (HOSTILE + b"\xff", HOSTILE * 10_000):
                client.publish("in.raises", payload)
            for last in (b"in.decodes", b"in.answers", b"in.headers", b"in." + SUBJECT, b"unrouted." + SUBJECT):
                client.write(b"PUB %b %d\r\n%b\r\n" % (last, len(HOSTILE), HOSTILE))
            client.flush()
            self.until(lambda: b"No event route matches a message" in log.read_bytes(), program)
        program.process.send_signal(signal.SIGTERM)
        program.wait()
        text = log.read_bytes().decode()
        lines = text.removesuffix("\n").split("\n")
        for line in lines:
            self.assertTrue(line.removeprefix("\t").isprintable(), ascii(line)[:300])
            self.assertLess(len(line), 2600)
            # With a comma: "NatsProtocol,client" is where Twisted logs a signal that comes while a message is handled.
            self.assertRegex(line, r"^\t|^[-+0-9T:]+ \[[\w.,#-]+\] ")
        self.assertEqual([line for line in lines if line.startswith("2026-01-01T00:00:00+0000")], [])
        for part in (
            r"ValueError: \x1b[2J\r\n2026-01-01T00:00:00+0000 [-] forged\u2028\u202e{log_time}{\xff",
            "characters)",
            "failed on a message to 'in.decodes': the payload on in.decodes is not JSON",
            "the message to in.answers has no reply subject",
            r"failed on a message to 'in.\x1b[2J\xff\u2028\x07'",
            r"No event route matches a message to 'unrouted.\x1b[2J\xff\u2028\x07'",
        ):
            self.assertIn(part, text)
