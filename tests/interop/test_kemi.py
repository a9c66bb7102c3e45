"""KEMI: the same scripts in Kamailio and in natsroute, and scripts of others"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import SkipTest

from natsroute import EventRoutes
from natsroute.errors import ScriptError
from natsroute.kamailio.kemi import ksr_module
from natsroute.kamailio.kemi.lua_script import LuaScript
from natsroute.kamailio.kemi.missing import missing_functions
from natsroute.kamailio.tables import HashTable
from tests.support.judge import HERE
from tests.support.kamailio import REQUIRE, START_TIMEOUTS, find, reserve_udp_port
from tests.support.kemi_scripts import ScriptCase, new_event
from tests.support.program import Program
from tests.support.server_case import OneServerTestCase
from tests.support.waiting import TIMEOUT

#: Checks with another result here, and why; docs/kamailio/kemi.md has them too.
ALLOWED = {
    "avp_is_null": "Kamailio deletes the value before it looks",
    "avp_is_null of an integer": "likewise",
    "avp_is_null of a longer text": "likewise",
    "fnmatch_ex": "Kamailio is built without the flag i",
}

REQUEST = b"""\
OPTIONS sip:you@127.0.0.1:%d SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1;rport
From: <sip:you@kamailio.org>;tag=123
To: <sip:you@kamailio.org>
Call-ID: 123
CSeq: 1 OPTIONS
Content-Length: 0

""".replace(b"\n", b"\r\n")

PAYLOAD = b'{"From":"sip:al@example.com","n":5}'


class KemiJudgeTests(OneServerTestCase):
    """Values, types and results."""

    def setUp(self) -> Deferred[Any]:
        if find("kamailio") is None:
            if os.environ.get(REQUIRE) == "1":
                self.fail(f"kamailio is not installed, and {REQUIRE} is 1")
            raise SkipTest("not installed: kamailio")
        return super().setUp()

    async def start_kamailio(self, script: Path, *more: str) -> tuple[Program, int]:
        """Kamailio with a script, and the port on which it takes SIP requests."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir(parents=True)
        reserved = reserve_udp_port()
        self.addCleanup(reserved.close)
        port = reserved.getsockname()[1]
        command = [find("kamailio") or "kamailio", "-f", str(HERE / "kemi.cfg"), "-w", str(folder), "-Y", str(folder)]
        for definition in (f'NATS_URL="{self.url}"', f"SIP_PORT={port}", f'SCRIPT="{script}"', *more):
            command += ["-A", definition]
        # trial -j sets PYTHONPATH, and the Python in Kamailio is another one than that of the tests
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        kamailio = Program(self.reactor, [*command, "-DD", "-E", "-m", "64", "-M", "64"], folder, environment)
        self.addCleanup(kamailio.stop)
        return kamailio, port

    async def answers(self, has_ended: Callable[[], bool], timeout: float, ask: Any = None) -> list[str]:
        """
        What a script answers; empty if it does not in time.

        :param ask: lets the script run; by default, a message does.
        """
        event_route, found = EventRoutes(), list[str]()
        event_route("nats:checked")(lambda event: found.append(event.text()))
        client = await self.connect_service(event_route, subject_queue_group=["checked"])
        asking = LoopingCall(ask or (lambda: client.publish("checks", PAYLOAD)))
        asked = asking.start(0.2)
        give_up = self.reactor.seconds() + timeout
        await self.until(lambda: found or has_ended() or self.reactor.seconds() > give_up)
        asking.stop()
        await asked
        await client.stopService()
        return found[0].splitlines() if found else []

    async def test_lua(self) -> None:
        """The same script gives the same, in more than 150 checks."""
        theirs: list[str] = []
        for seconds in START_TIMEOUTS:
            kamailio, _ = await self.start_kamailio(HERE / "kemi.lua")
            theirs = await self.answers(lambda kamailio=kamailio: kamailio.status is not None, seconds)
            await kamailio.stop()
            if theirs:
                break
        tables = {b"t": HashTable(), b"n": HashTable(initial=0), b"x": HashTable(expire=100)}
        service = self.start_service(
            nats_url=self.url,
            kemi_script=str(HERE / "kemi.lua"),
            event_callback="ksr_nats_event",
            subject_queue_group=["checks:natsroute"],
        )
        service.program.variables.tables = tables
        ours = await self.answers(lambda: False, TIMEOUT)
        self.assertGreater(len(theirs), 150)
        differences = {
            their.partition(" -> ")[0]: f"{their!r} in Kamailio, {our!r} here"
            for their, our in zip(theirs, ours)
            if their != our
        }
        self.assertEqual(set(ALLOWED) - set(differences), set())
        differences = [text for name, text in differences.items() if name not in ALLOWED]
        self.assertEqual(differences, [], "\n".join(differences))
        self.assertEqual(len(theirs), len(ours))
        print(f"{len(theirs) - 1} checks")

    async def test_python(self) -> None:
        """
        The same function gives the same for a SIP request in Kamailio and for a message here.

        Kamailio 5.6 never calls a callback in Python for a message.
        """
        if not list(Path("/usr/lib").glob("*/kamailio/modules/app_python3.so")):
            if os.environ.get(REQUIRE) == "1":
                self.fail(f"kamailio-python3-modules is not installed, and {REQUIRE} is 1")
            raise SkipTest("not installed: kamailio-python3-modules")
        theirs: list[str] = []
        sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(sip.close)
        for seconds in START_TIMEOUTS:
            kamailio, port = await self.start_kamailio(HERE / "kemi.py", "WITH_PYTHON")
            theirs = await self.answers(
                lambda kamailio=kamailio: kamailio.status is not None,
                seconds,
                lambda port=port: sip.sendto(REQUEST % port, ("127.0.0.1", port)),
            )
            await kamailio.stop()
            if theirs:
                break
        service = self.start_service(
            nats_url=self.url,
            kemi_script=str(HERE / "kemi.py"),
            event_callback="ksr_nats_event",
            subject_queue_group=["checks:natsroute"],
        )
        service.program.variables.tables = {b"t": HashTable(), b"n": HashTable(initial=0)}
        ours = await self.answers(lambda: False, TIMEOUT)
        self.assertGreater(len(theirs), 45)
        differences = [f"{their!r} in Kamailio, {our!r} here" for their, our in zip(theirs, ours) if their != our]
        self.assertEqual(differences, [], "\n".join(differences))
        self.assertEqual(len(theirs), len(ours))
        print(f"{len(theirs)} checks")


#: Kamailio's own examples, which its package has. They are under the GPL, so there is no copy of them here.
EXAMPLES = Path("/usr/share/doc/kamailio/examples/kemi")

WITH_EXAMPLE = """\
import importlib.machinery
import importlib.util

import KSR

loader = importlib.machinery.SourceFileLoader("kamailio_example", {path!r})
example = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
loader.exec_module(example)


def mod_init():
    routes = example.mod_init()
    routes.on_event = lambda msg, evname: routes.ksr_request_route(msg)
    return routes
"""


class ExampleTests(ScriptCase):
    """Kamailio's own examples are loaded as they are. They handle SIP requests, and have no callback for NATS."""

    def example(self, name: str) -> str:
        """The path of an example."""
        path = EXAMPLES / name
        if not path.exists():
            raise SkipTest(f"not installed: {path}")
        return str(path)

    def test_python(self) -> None:
        """Its hooks run. Its functions for SIP are reported as missing, and a call of one is an error that names it."""
        self.addCleanup(ksr_module.forget)
        path = self.example("kamailio-basic-kemi-python.py")
        instance = self.load(WITH_EXAMPLE.format(path=path))
        error = self.assertRaises(AttributeError, instance.run, new_event())
        self.assertIn("module 'KSR' has no attribute ", str(error))
        missing = {one.name for one in missing_functions(path)}
        self.assertLessEqual({"tm.t_relay", "sl.sl_send_reply", "rr.record_route"}, missing)

    def test_lua(self) -> None:
        """A call of a function for SIP is an error with the line in the script."""
        path = self.example("kamailio-basic-kemi-lua.lua")
        instance = LuaScript(path, "ksr_request_route").load(self.new_context(), None)
        error = self.assertRaises(ScriptError, instance.run, new_event())
        self.assertEqual(error.file, path)
        self.assertIn("(a nil value)", error.problem)
        self.assertGreater(error.line, 1)
