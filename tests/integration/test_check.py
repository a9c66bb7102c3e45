"""``twistd natsroute --check`` and ``--check_connect``, as an operator runs them"""

from __future__ import annotations

import os

from twisted.internet.threads import deferToThread

from tests.support.server_case import ServerTestCase
from tests.support.twistd import TwistdTestCase

ROUTES = """
from natsroute import EventRoutes
event_route = EventRoutes()

@event_route.on_start
def begin(service):
    print("STARTED", flush=True)

@event_route("nats:Kamailio-World")
def dialog(event):
    print("ARRIVED", flush=True)
"""

CFG = """
modparam("nats", "subject_queue_group", "Kamailio-World:2021")
modparam("nats", "subject_queue_group", "Kamailio-World:2021")
modparam("nats", "subject_queue_group", "other")
"""


class CheckTests(TwistdTestCase):
    """Nothing is started."""

    files = {"routes.py": ROUTES, "kamailio.cfg": CFG}

    def check(self, *arguments: str) -> tuple[int, str]:
        """The exit code and the output of ``--check``."""
        program = self.run_program("natsroute", "--check", *arguments)
        code = program.wait()
        return code, program.output()

    def test_routes_in_python(self) -> None:
        """The routes are loaded, and no hook runs. No file is written."""
        code, output = self.check("--event_routes", "routes.py", "--subject_queue_group", "Kamailio-World:2021")
        self.assertEqual(
            output.splitlines(),
            [
                "NATS servers: nats://127.0.0.1:4222",
                "publish workers: 2, each with a connection",
                "",
                "subject         queue group  connections  runs",
                "Kamailio-World  2021         1            nats:Kamailio-World",
            ],
        )
        self.assertEqual(code, 0)
        self.assertEqual({"routes.py", "kamailio.cfg"}, {name for name in os.listdir(self.folder) if "." in name})

    def test_kamailio_cfg(self) -> None:
        """With a warning for each thing that Kamailio ignores."""
        code, output = self.check("--event_routes", "routes.py", "--kamailio_cfg", "kamailio.cfg")
        self.assertEqual(code, 0)
        self.assertIn("Kamailio-World  2021         2            nats:Kamailio-World\n", output)
        self.assertIn(f"kamailio.cfg: {self.folder / 'kamailio.cfg'}\n", output)
        self.assertIn("kamailio.cfg:4:41: subject_queue_group 'other' has no group", output)

    def test_mistakes(self) -> None:
        """One line that says what to do, and exit code 1."""
        for arguments, problem in [
            (["--event_routes", "none.py"], "there is no such file"),
            (["--subject_queue_group", "a b"], "subject_queue_group = 'a b' (from --subject_queue_group)"),
            (["--tls", "1", "--tls_ca_file", "none.pem"], "tls_ca_file"),
        ]:
            code, output = self.check(*arguments)
            self.assertEqual(code, 1)
            self.assertIn(problem, output)
            self.assertNotIn("Traceback", output)

    def test_beside_a_running_service(self) -> None:
        """A pid file of twistd does not matter."""
        (self.folder / "twistd.pid").write_text(str(os.getpid()))
        program = self.run_program("--pidfile=twistd.pid", "natsroute", "--check")
        self.assertEqual(program.wait(), 0)
        self.assertEqual((self.folder / "twistd.pid").read_text(), str(os.getpid()))


class CheckConnectTests(ServerTestCase, TwistdTestCase):
    """The servers are reached, with login."""

    def setUp(self) -> None:
        ServerTestCase.setUp(self)
        TwistdTestCase.setUp(self)

    async def check(self, *arguments: str) -> tuple[int, str]:
        """The exit code and the output of ``--check_connect``."""
        program = self.run_program("natsroute", "--check_connect", *arguments)
        code = await deferToThread(program.wait)
        return code, program.output()

    async def test_servers(self) -> None:
        """One that can be used is enough. No client stays, and nothing is subscribed."""
        server = await self.start_server('authorization { user: u, password: "hunter2" }')
        url = f"nats://127.0.0.1:{server.port}"
        code, output = await self.check(
            *("--nats_url", f"nats://u:hunter2@127.0.0.1:{server.port}", "--nats_url", "nats://127.0.0.1:1"),
            *("--nats_url", url, "--subject_queue_group", "a:q"),
        )
        first, second, third = output.splitlines()[-3:]
        self.assertRegex(first, rf"^{url}: connected \(nats-server \d+\.\d+\.\d+\)$")
        self.assertRegex(second, "^nats://127.0.0.1:1: cannot be used: .*refused")
        self.assertRegex(third, f"^{url}: cannot be used: ")
        self.assertEqual(code, 0)
        self.assertNotIn("hunter2", output)

    async def test_no_server(self) -> None:
        """If none of the servers can be used, the exit code is 1."""
        code, output = await self.check("--nats_url", "nats://127.0.0.1:1")
        self.assertEqual(code, 1)
        self.assertNotIn("Traceback", output)

    async def test_embedded_server(self) -> None:
        """It is not started."""
        code, output = await self.check("--embedded_server")
        self.assertEqual((code, output.splitlines()[-1]), (0, "The embedded server is not started"))
