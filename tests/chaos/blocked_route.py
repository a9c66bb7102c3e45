"""
A route blocks while much more arrives than natsroute may hold: natsroute stops reading, and handles everything later.

nats-server cuts a consumer off that does not read: after ``write_deadline`` (10 s by default), or when ``max_pending``
(64 MiB by default) wait for it. Both limits are raised here, since the run measures natsroute's memory.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.task import deferLater

from natsroute.client.subscription import PendingLimits
from tests.chaos.testbed import module_command
from tests.support import ROOT
from tests.support.nats_server import NatsServer
from tests.support.natsroute_process import NatsrouteProcess
from tests.support.plain_client import PlainClient
from tests.support.processes import memory_of
from tests.support.program import Program
from tests.support.waiting import until

#: What differs from nats-server's defaults.
CONFIG = 'max_pending: 8GB\nwrite_deadline: "1h"\n'

#: Bytes of a message.
SIZE = 16 * 1024

#: Bytes that may wait in natsroute: its default.
PENDING = PendingLimits().bytes

#: KiB by which natsroute may grow.
MAX_GROWTH = 64 * 1024

#: The first message blocks its route until a message comes to ``go.on``, which has a connection of its own.
ROUTES = """
from twisted.internet.defer import Deferred
from natsroute import EventRoutes
event_route = EventRoutes()
go_on = Deferred()
expected = wrong = 0

@event_route("nats:flood")
def flood(event):
    global expected, wrong
    number = int(event.data.split()[0])
    wrong += number != expected
    expected = number + 1
    if number == COUNT - 1:
        print(f"HANDLED {expected} messages, {wrong} out of order", flush=True)
    if number == 0:
        print("BLOCKED", flush=True)
        return go_on

@event_route("nats:go.on")
def release(event):
    go_on.callback(None)
"""


@attrs.frozen
class Outcome:
    """
    What a run gave. Sizes are in KiB.

    :ivar count: the messages that were sent.
    :ivar before: natsroute's memory before it got a message.
    :ivar while_blocked: its peak while the route was blocked.
    :ivar peak: its peak in the whole run.
    :ivar server: nats-server's memory when the route was released.
    :ivar handled: what natsroute printed at the end.
    """

    count: int
    before: int
    while_blocked: int
    peak: int
    server: int
    handled: str

    @property
    def growth(self) -> int:
        """What it took more at its peak than before."""
        return max(self.while_blocked, self.peak) - self.before

    @property
    def complete(self) -> bool:
        """Whether each message was handled once, and in order."""
        return self.handled == f"HANDLED {self.count} messages, 0 out of order"


async def run(reactor: Any, folder: Path, seconds: float, size: int) -> Outcome:
    """
    Block a route, send messages, release the route.

    :param folder: a new folder for the files of the run.
    :param seconds: how long the route blocks.
    :param size: bytes that are sent meanwhile.
    """
    folder.mkdir(parents=True)
    count = size // SIZE
    server = NatsServer(reactor, CONFIG)
    programs: list[Program] = []
    try:
        await server.start()
        natsroute = NatsrouteProcess(
            reactor,
            folder,
            f"COUNT = {count}\n{ROUTES}",
            *("--nats_url", server.url, "--num_publish_workers", "1"),
            *("--subject_queue_group", "flood", "--subject_queue_group", "go.on"),
        )
        programs.append(natsroute)
        await until(lambda: sum("(nats-server 2." in line for line in natsroute.output) == 3, reactor)
        before = natsroute.memory
        natsroute.reset_peak()
        feeder = Program(reactor, module_command("flood_feeder", server.url, "flood", count, SIZE), ROOT)
        programs.append(feeder)
        await until(lambda: "BLOCKED" in natsroute.output, reactor)
        blocked_until = reactor.seconds() + seconds
        await until(lambda: json.dumps({"sent": count}) in feeder.printed, reactor)
        enough = before + min(size, PENDING) // 1024 // 2
        await until(lambda: natsroute.peak > enough, reactor)  # a busy machine may read much later
        await deferLater(reactor, max(1.0, blocked_until - reactor.seconds()))
        while_blocked, server_memory = natsroute.peak, memory_of(server.pid)
        with PlainClient(server.url) as client:
            client.publish("go.on")
        await until(lambda: _handled(natsroute), reactor)
        return Outcome(count, before, while_blocked, natsroute.peak, server_memory, _handled(natsroute))
    finally:
        for program in programs:
            await program.stop()
        await server.stop()


def _handled(natsroute: NatsrouteProcess) -> str:
    return next((line for line in natsroute.output if line.startswith("HANDLED")), "")
