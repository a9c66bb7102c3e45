"""HTTP of twistd natsroute in a process of its own, as an operator and a probe see it."""

from __future__ import annotations

import json
import re
import signal
import socket
import ssl
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from twisted.trial.unittest import TestCase

from natsroute.daemon.operations.http_tls import HttpTls
from natsroute.monitoring.http.security import Access
from natsroute.monitoring.http.server import HttpServer
from natsroute.monitoring.http.site import Site
from natsroute.monitoring.http.stand_in import StandIn
from natsroute.monitoring.pulse import Pulse
from tests.support.certificates import Certificates
from tests.support.documents import snippet
from tests.support.nats_server import reserve_tcp_port
from tests.support.overviews import an_overview
from tests.support.twistd import Twistd, TwistdTestCase
from tests.support.waiting import TIMEOUT

ROUTES = """
import os
import time
from natsroute import EventRoutes

event_route = EventRoutes()

@event_route.on_start
def later(service):
    from twisted.internet.task import LoopingCall
    LoopingCall(block).start(0.1)

def block():
    while os.path.exists("block"):
        time.sleep(0.01)
"""


def ask(
    url: str, context: ssl.SSLContext | None = None, *, timeout: float = TIMEOUT, **headers: str
) -> tuple[int, Any]:
    """Status and JSON of a path."""
    request = Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urlopen(request, timeout=timeout, context=context) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        with error:
            body = error.read()
        return error.code, json.loads(body) if body.startswith(b"{") else body.decode()


class ProcessTests(TwistdTestCase):
    """The whole process."""

    files = {"routes.py": ROUTES}

    def start(self, *arguments: str, **environment: str) -> tuple[Twistd, str]:
        """Start natsroute; gives its URL, too."""
        program = self.run_program("natsroute", "--embedded_server", *arguments, **environment)
        self.wait_for("Operators can see natsroute at", program)
        found = re.search(r"Operators can see natsroute at (\S+)/", program.output())
        assert found is not None
        return program, found[1]

    def wait_until_ready(self, url: str, program: Twistd, context: ssl.SSLContext | None = None) -> None:
        """Wait until /readyz is 200."""
        self.until(lambda: ask(f"{url}/readyz", context)[0] == 200, program)

    def test_port_in_use(self) -> None:
        """One line that says what to do, exit code 1, and no traceback."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            program = self.run_program("natsroute", "--http_listen", address)
            self.assertEqual(program.wait(), 1)
        output = program.output()
        self.assertIn(
            f"natsroute does not start: http_listen = '{address}' (from --http_listen): natsroute cannot listen there: "
            "Address already in use. Give an address of this machine and a port that is free",
            output,
        )
        self.assertNotIn("Traceback", output)
        self.assertNotIn("Cannot use nats://", output)

    def test_other_addresses(self) -> None:
        """An address that is not of this machine is the same mistake."""
        program = self.run_program("natsroute", "--http_listen", "203.0.113.1:80")
        self.assertEqual(program.wait(), 1)
        self.assertIn("http_listen = '203.0.113.1:80'", program.output())

    def test_login(self) -> None:
        """The password is in no log line, and an address that others reach needs one."""
        program, url = self.start(
            *("--http_listen", "127.0.0.1:0"), NATSROUTE_HTTP_USER="u", NATSROUTE_HTTP_PASSWORD="hunter2"
        )
        self.wait_until_ready(url, program)
        self.assertEqual(ask(f"{url}/routes"), (401, "A login is required\n"))
        self.assertEqual(ask(f"{url}/routes", Authorization="Basic dTpodW50ZXIy")[0], 200)
        self.assertNotIn("hunter2", program.output())
        self.assertNotIn("everybody who can reach", program.output())
        program.process.send_signal(signal.SIGTERM)
        program.wait()

    def test_warning(self) -> None:
        """Without a login."""
        program, _ = self.start("--http_listen", "0.0.0.0:0")
        self.wait_for("http_listen = 0.0.0.0:0: everybody who can reach this address sees", program)

    def test_tls_and_a_blocked_reactor(self) -> None:
        """The stand-in has the same certificate."""
        certificates = Certificates(self.folder / "certificates")
        certificate, key = certificates.server()
        context = ssl.create_default_context(cafile=certificates.ca)
        program, url = self.start(
            *("--http_listen", "0", "--event_routes", "routes.py"),
            *("--http_tls_cert_file", str(certificate), "--http_tls_key_file", str(key)),
        )
        self.wait_until_ready(url, program, context)
        answers = [(200, {})]
        (self.folder / "block").touch()

        def is_blocked() -> object:
            try:
                answers.append(ask(f"{url}/readyz", context, timeout=2.0))
            except OSError:  # the reactor took the request, and is blocked now
                return False
            if answers[-1][0] != 503:
                return False
            # Now and then it is inside os.path.exists().
            return re.search(r" at \S+routes.py:1[45]$", answers[-1][1]["reasons"][0]["text"])

        self.until(is_blocked, program)
        status, body = answers[-1]
        (reason,) = body["reasons"]
        self.assertEqual((status, reason["code"], reason["about"]), (503, "blocked_reactor", ""))
        status, body = ask(f"{url}/livez", context)
        self.assertEqual((status, body["alive"]), (503, False) if body["reasons"] else (200, True))
        (self.folder / "block").unlink()
        self.wait_until_ready(url, program, context)


class DocumentTests(TwistdTestCase):
    """What docs/monitoring.md says to Kubernetes."""

    def test_probes(self) -> None:
        """The paths are there, for a client that calls the pod by its address."""
        probes = snippet("docs/monitoring.md", "Kubernetes", "yaml").text
        paths = re.findall(r"(\w+)Probe: \{ httpGet: \{ path: (\S+), port: 8080 \}, timeoutSeconds: \d \}", probes)
        self.assertEqual(paths, [("liveness", "/livez"), ("readiness", "/readyz")])
        program = self.run_program("natsroute", "--embedded_server", "--http_listen", "0.0.0.0:0")
        self.wait_for("Operators can see natsroute at", program)
        (port,) = re.findall(r"Operators can see natsroute at http://0.0.0.0:(\d+)/", program.output())
        for _, path in paths:
            self.until(lambda path=path: ask(f"http://127.0.0.1:{port}{path}", Host="10.1.2.3:8080")[0] == 200, program)


class ServerTests(TestCase):
    """A server in this process."""

    async def test_stop(self) -> None:
        """The port is free at once, although the stand-in has a copy of the socket."""
        from twisted.internet import reactor

        certificates = Certificates(Path(self.mktemp()))
        tls = HttpTls(*map(str, certificates.server()), nullcontext)
        access = Access(None, local=True)
        site = Site(reactor, an_overview, access=access)  # type: ignore[arg-type]
        port = reserve_tcp_port()
        for _ in range(3):
            server = HttpServer(
                reactor,
                site,
                "127.0.0.1",
                port,
                tls=tls,
                stand_in=lambda listening: StandIn(
                    Pulse(reactor), listening, access, lambda: ("", ""), tls.ssl_context
                ),
            )
            server.startService()
            self.assertEqual(server.port, port)
            await server.stopService()
            self.assertRaises(ConnectionRefusedError, socket.create_connection, ("127.0.0.1", port))
