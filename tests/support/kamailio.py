"""The real Kamailio and SIPp. They end with the test, and so does all that they have forked."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest

from natsroute import Event, EventRoutes
from tests.support.program import Program
from tests.support.server_case import OneServerTestCase

#: The environment variable that, set to 1, makes the tests fail where a program is missing. Otherwise they are skipped.
REQUIRE = "REQUIRE_KAMAILIO"

#: Seconds after which a Kamailio that is not ready is ended and another one is started, for each that is started before
#: the test fails. A busy machine has more time with each.
#:
#: The module starts the threads of its NATS library and then forks its workers. If one of the threads holds a lock at
#: that moment, the worker waits for the lock forever and never connects. This happens in about 1 of 100 starts.
START_TIMEOUTS = (6.0, 15.0, 30.0, 60.0, 120.0)

#: Kamailio's default for ``num_publish_workers``.
PUBLISH_WORKERS = 2

#: Calls of SIPp at the same time. The messages of more calls could overflow a socket if a program stands still for a
#: moment.
MAX_OPEN_CALLS = 20

#: The requests of a call of SIPp's built-in ``uac`` scenario.
METHODS = ("INVITE", "ACK", "BYE")

CONFIGURATION = """\
#!KAMAILIO
debug=2
log_stderror=yes
disable_core_dump=yes   # with the nats module, 5.6.3 ends in a segmentation fault
disable_tcp=yes
children={children}
listen=udp:127.0.0.1:{port}

loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "json.so"
loadmodule "sl.so"
loadmodule "textops.so"
loadmodule "nats.so"
modparam("nats", "nats_url", "{url}")
modparam("nats", "num_publish_workers", {workers})
{subscriptions}

request_route {{
    {on_request}
    if (is_method("ACK")) {{ exit; }}
    sl_send_reply("200", "OK");
}}

event_route[nats:connected] {{ xlog("L_NOTICE", "publish worker connected\\n"); }}
{event_routes}
"""

EVENT_ROUTE = """
event_route[nats:{subject}] {{
    if ($natsData == "{probe}") {{ nats_publish("probed.{subject}", "$natsData"); exit; }}
    {body}
}}
"""


def find(program: str) -> str | None:
    """The path of a program; servers may be in a folder that only root has on PATH."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"]))


def reserve_udp_port() -> socket.socket:
    """
    A socket on a free port, which reserves the port for a server that binds it with SO_REUSEADDR.

    No other program gets the port as long as the socket is open. The socket is connected to another port, so that it
    receives nothing that is sent to the server.
    """
    reserved = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    reserved.bind(("127.0.0.1", 0))
    reserved.connect(("127.0.0.1", 9))
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return reserved


class Kamailio(Program):
    """
    Kamailio with its ``nats`` module, on a free UDP port of the loopback interface.

    :ivar port: where it listens for SIP requests.
    :ivar subjects: the subjects of its subscriptions.
    :ivar probe: a payload that its event routes publish again, on ``probed.`` and their own subject.

    :param event_routes: the body of the event route for each ``subject_queue_group``.
    :param on_request: what it does with a SIP request before it answers.
    :param children: the number of processes that handle SIP requests. One process handles them in order.
    """

    _numbers = count(1)

    def __init__(
        self,
        reactor: Any,
        url: str,
        event_routes: Mapping[str, str],
        on_request: str,
        folder: Path,
        *,
        children: int = 2,
    ) -> None:
        # Without a subscription the module never reports that it is connected.
        event_routes = {"probe:kamailio": "", **event_routes}
        self.subjects = [entry.partition(":")[0] for entry in event_routes]
        self.probe = f"probe {next(self._numbers)}"
        self._reserved = reserve_udp_port()
        self.port: int = self._reserved.getsockname()[1]
        script = CONFIGURATION.format(
            port=self.port,
            children=children,
            url=url,
            workers=PUBLISH_WORKERS,
            subscriptions="\n".join(f'modparam("nats", "subject_queue_group", "{entry}")' for entry in event_routes),
            on_request=on_request,
            event_routes="".join(
                EVENT_ROUTE.format(subject=subject, probe=self.probe, body=body)
                for subject, body in zip(self.subjects, event_routes.values(), strict=True)
            ),
        )
        path = folder / "kamailio.cfg"
        path.write_text(script)
        command = [find("kamailio") or "kamailio", "-f", str(path), "-DD", "-E", "-m", "64", "-M", "8"]
        super().__init__(reactor, [*command, "-w", str(folder), "-Y", str(folder)], folder)

    @property
    def pid(self) -> int:
        """The main process, which forked the others."""
        return next(int(found[1]) for found in (re.match(r" *0\((\d+)\)", line) for line in self.lines) if found)

    @property
    def connected_workers(self) -> int:
        """The number of times that a publish worker has connected."""
        return self.logged().count("publish worker connected")

    def logged(self) -> list[str]:
        """The lines that its script has logged, without time and process."""
        return [line.partition("<script>: ")[2] for line in self.lines if "<script>: " in line]

    def processEnded(self, reason: Failure) -> None:
        self._reserved.close()
        super().processEnded(reason)


class KamailioTestCase(OneServerTestCase):
    """A test with a real nats-server, natsroute services, Kamailio and SIPp; skipped without the latter two."""

    def setUp(self) -> Deferred[Any]:
        missing = [program for program in ("kamailio", "sipp") if find(program) is None]
        if missing and os.environ.get(REQUIRE) != "1":
            raise SkipTest(f"not installed: {', '.join(missing)}")
        self.assertEqual(missing, [], f"not installed, and {REQUIRE} is 1")
        return super().setUp()

    def make_folder(self) -> Path:
        """Make a new folder for files of the test."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir(parents=True)
        return folder

    async def start_kamailio(self, event_routes: Mapping[str, str] | None = None, on_request: str = "") -> Kamailio:
        """
        Start a Kamailio, and wait until it is connected and has its subscriptions.

        Start it before natsroute subscribes to one of its subjects. Otherwise natsroute gets its probes too.

        :param event_routes: see :class:`Kamailio`.
        :param on_request: see :class:`Kamailio`.
        """
        for seconds in START_TIMEOUTS:
            kamailio = Kamailio(self.reactor, self.url, event_routes or {}, on_request, self.make_folder())
            self.addCleanup(kamailio.stop)
            if await self._is_ready(kamailio, seconds):
                return kamailio
            if kamailio.status is not None:
                self.fail("\n".join(["Kamailio did not start:", *kamailio.lines]))
            print(f"Kamailio was not ready after {seconds} s; starting another one", file=sys.stderr)
            await kamailio.stop()
        raise AssertionError(f"none of {len(START_TIMEOUTS)} Kamailios was ready within {START_TIMEOUTS[-1]} s")

    async def _is_ready(self, kamailio: Kamailio, seconds: float) -> bool:
        """Publish to all its subjects until each event route has answered; False if it ends or takes too long."""
        event_route, waiting = EventRoutes(), set(kamailio.subjects)

        @event_route("nats:probed.>")
        def probed(event: Event) -> None:
            if event.text() == kamailio.probe:
                waiting.discard(event.subject.partition(".")[2])

        def ready() -> bool:
            return not waiting and kamailio.connected_workers >= PUBLISH_WORKERS

        service = await self.connect_service(event_route, subject_queue_group="probed.>")
        asking = LoopingCall(lambda: gatherResults([service.publish(subject, kamailio.probe) for subject in waiting]))
        asked = asking.start(0.05)
        give_up = self.reactor.seconds() + seconds
        await self.until(lambda: ready() or kamailio.status is not None or self.reactor.seconds() > give_up)
        asking.stop()
        await asked
        return ready()

    async def place_calls(self, kamailio: Kamailio, calls: int, *, rate: int) -> int:
        """
        Let SIPp call Kamailio. Each call is an INVITE, an ACK and a BYE.

        SIPp sends no request twice, so the number of requests is exact.

        :param rate: the calls that begin in each second.
        :return: SIPp's exit status; 0 if all calls were answered.
        """
        folder = self.make_folder()
        errors = folder / "errors.log"
        options = f"-sn uac -m {calls} -r {rate} -l {MAX_OPEN_CALLS} -nr -i 127.0.0.1 -ci 127.0.0.1 -nostdin"
        watch = f"-cid_str %u@calls.test -timeout 300 -timeout_error -trace_err -error_file {errors}"
        command = [find("sipp") or "sipp", *options.split(), *watch.split(), f"127.0.0.1:{kamailio.port}"]
        sipp = Program(self.reactor, command, folder)
        self.addCleanup(sipp.stop)
        status = await sipp.ended()
        if status:
            print(*sipp.lines, errors.read_text() if errors.exists() else "", sep="\n", file=sys.stderr)
        return status


def requests_of(calls: int) -> list[tuple[str, str]]:
    """Call-ID and method of each request of that number of calls, sorted."""
    return sorted((f"{number}@calls.test", method) for number in range(1, calls + 1) for method in METHODS)
