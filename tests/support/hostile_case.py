"""A test case that runs natsroute against hostile servers, in a process of its own, and measures its memory."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import attrs
from twisted.trial.unittest import TestCase

from tests.support.hostile_server import Client, HostileServer, Script
from tests.support.nats_server import NatsServer, reserve_tcp_port
from tests.support.natsroute_process import NatsrouteProcess
from tests.support.processes import CANNOT_MEASURE
from tests.support.waiting import TIMEOUT, until

#: What the log says of an attempt to connect that has taken too long.
EXPIRED = " within "

#: KiB that natsroute may take beyond what it has while it waits for a server.
MAX_GROWTH = 16 * 1024

ROUTES = """
from natsroute import EventRoutes
event_route = EventRoutes()

@event_route("nats:connected")
async def publish(event):
    await event.publish("works", "hello")
    print("CONFIRMED", flush=True)
"""

QUICK = (
    *("--num_publish_workers", "1"),
    *("--reconnect_wait", "0.05"),
    *("--reconnect_max_wait", "0.1"),
    *("--reconnect_jitter", "0"),
    *("--reconnect_jitter_tls", "0"),
    # On a busy machine, the route waits long for its confirmation; the tests count the lines of the log.
    *("--slow_route_warning", "3600"),
    *("--blocked_reactor_warning", "3600"),
)


@attrs.frozen
class Case:
    """
    What a server does, and what natsroute logs.

    :ivar name: for messages about a failure.
    :ivar problem: what the line in the log has in it; empty if nothing is logged.
    :ivar script: for each client; if ``after_handshake``, for the first client only.
    :ivar after_handshake: whether the server shakes hands first. It then behaves well to later clients, since each
        connection that is lost has a log line of its own.
    :ivar lines: the number of log lines, if anything is logged.
    """

    name: str
    problem: str
    script: Script
    after_handshake: bool = False
    lines: int = 1


class HostileTestCase(TestCase):
    """natsroute, and one hostile server after the other on the port where natsroute looks for a server."""

    if CANNOT_MEASURE:
        skip = CANNOT_MEASURE

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.figures: list[str] = []

    async def start(self, *arguments: str, scheme: str = "nats", connect_timeout: float = TIMEOUT) -> None:
        """Start natsroute, and measure its memory while it waits for a server."""
        self.port = reserve_tcp_port()
        url = f"{scheme}://127.0.0.1:{self.port}"
        options = ("--nats_url", url, "--connect_timeout", str(connect_timeout), *QUICK, *arguments)
        self.natsroute = NatsrouteProcess(self.reactor, self.folder, ROUTES, *options)
        self.addCleanup(self.natsroute.stop)
        await self.until(lambda: self.logged("natsroute keeps trying"))
        self.memory = self.natsroute.memory

    async def until(self, condition: Any) -> None:
        """See :func:`tests.support.waiting.until`; the error has the end of natsroute's log."""
        try:
            await until(condition, self.reactor)
        except AssertionError as error:
            log = "\n".join(line[:300] for line in self.natsroute.output[-40:])
            raise AssertionError(f"{error}; natsroute logged:\n{log}") from None

    def logged(self, text: str, since: int = 0) -> bool:
        """Whether natsroute has logged or printed the text, in a line with that index or a later one."""
        return any(text in line for line in self.natsroute.output[since:])

    async def run_all(self, cases: list[Case]) -> None:
        """Run one case after the other, each followed by a real server."""
        for case in cases:
            await self._run_case(case)
            await self._run_real_server(case)

    async def _run_case(self, case: Case) -> None:
        begin = len(self.natsroute.output)
        began = self.reactor.seconds()
        self.natsroute.reset_peak()
        ended: list[Client] = []

        async def script(client: Client) -> None:
            try:
                await case.script(client)
            finally:
                ended.append(client)

        server = HostileServer(self.reactor, script, Client.behave if case.after_handshake else script)
        self.addCleanup(server.stop)
        server.start(self.port)
        if case.after_handshake:
            await self.until(lambda: ended and (not ended[0].gone or len(server.clients) > 1))
            await self.until(lambda: not case.problem or self.logged(case.problem, begin))
            if server.clients[0].gone:
                await self.until(lambda: self.natsroute.output[begin:].count("CONFIRMED"))
        else:
            await self.until(lambda: len(server.clients) > 2)
        taken = self.natsroute.peak - self.memory
        self.figures.append(f"{case.name}: {taken} KiB, {self.reactor.seconds() - began:.1f} s")
        self.assertLess(taken, MAX_GROWTH, f"{case.name}: {taken} KiB beyond {self.memory} KiB")
        lines = [
            line
            for line in self.natsroute.output[begin:]
            if line != "CONFIRMED" and not re.search(r"publish worker 1: connected to \w+://127", line)
        ]
        if EXPIRED in case.problem:  # a busy machine lets other attempts expire sooner, and they are logged in turn
            lines = [line for line in lines if EXPIRED not in line or case.problem in line][:1]
        shown = [line[:300] for line in lines]
        self.assertEqual(len(lines), case.lines if case.problem else 0, f"{case.name}: {shown}")
        if case.problem:
            self.assertIn(case.problem, lines[0], case.name)
            self.assertRegex(lines[0], r"^(Cannot use|publish worker 1: (lost|the server says))", case.name)
            self.assertLess(len(lines[0]), 1000, case.name)
        self.assertTrue(self.natsroute.alive, case.name)
        await server.stop()

    def real_server(self) -> NatsServer:
        """A real nats-server on the port."""
        return NatsServer(self.reactor, port=self.port)

    async def _run_real_server(self, case: Case) -> None:
        begin = len(self.natsroute.output)
        server = self.real_server()
        self.addCleanup(server.stop)
        await server.start()
        await self.until(lambda: self.logged("(nats-server 2.", begin) and self.logged("CONFIRMED", begin))
        self.assertTrue(self.natsroute.alive, case.name)
        # The next case begins when natsroute has noticed that the server is gone.
        connected = len(self.natsroute.output)
        await server.stop()
        await self.until(lambda: self.logged("refused", connected))

    def tearDown(self) -> None:
        if os.environ.get("NATSROUTE_TEST_FIGURES"):
            print("\n" + "\n".join(self.figures))
