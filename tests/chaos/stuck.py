"""
A route that is stuck while much more arrives than natsroute may hold: it reads no more, and afterwards handles it all.

nats-server cuts a consumer that does not read: after ``write_deadline`` (10 s by default), or when ``max_pending``
(64 MiB by default) wait for it. Here both are raised, since it is natsroute's memory that is looked at.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.task import deferLater

from natsroute.client.subscription import PendingLimits
from tests.chaos.stage import module
from tests.support.cases import until
from tests.support.nats_servers import ConfiguredServer
from tests.support.natsroute_process import Natsroute, memory_of
from tests.support.plain_client import conversation
from tests.support.program import ROOT, Program

#: Other than by default; the rest of nats-server is as it comes.
CONFIG = 'max_pending: 8GB\nwrite_deadline: "1h"\n'

#: Bytes of a message.
SIZE = 16 * 1024

#: What may wait in natsroute, in bytes: its default.
PENDING = PendingLimits().bytes

#: KiB by which natsroute may grow.
ROOM = 64 * 1024

#: Seconds that the feeder may take, and natsroute afterwards.
PATIENCE = 300.0

#: The first message is stuck until one comes to ``go.on``, which is consumed on a connection of its own.
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
        print(f"HANDLED {expected} messages, {wrong} in the wrong place", flush=True)
    if number == 0:
        print("STUCK", flush=True)
        return go_on

@event_route("nats:go.on")
def release(event):
    go_on.callback(None)
"""


@attrs.frozen
class Outcome:
    """
    What a run gave; sizes are in KiB.

    :ivar before: natsroute's memory before it got anything.
    :ivar while_stuck: the most that it had while the route was stuck.
    :ivar at_most: the most that it had in all.
    :ivar server: nats-server's memory at the end of the time in which the route was stuck.
    :ivar handled: what natsroute said at the end.
    """

    count: int
    before: int
    while_stuck: int
    at_most: int
    server: int
    handled: str

    @property
    def growth(self) -> int:
        """What it took more at its peak."""
        return max(self.while_stuck, self.at_most) - self.before

    @property
    def complete(self) -> bool:
        """Whether each message was handled once, and in order."""
        return self.handled == f"HANDLED {self.count} messages, 0 in the wrong place"


async def run(reactor: Any, folder: Path, seconds: float, size: int) -> Outcome:
    """
    One run.

    :param folder: for the files of the run; a new one.
    :param seconds: that the route is stuck.
    :param size: bytes that are sent meanwhile.
    """
    folder.mkdir(parents=True)
    count = size // SIZE
    server = ConfiguredServer(reactor, CONFIG)
    programs: list[Program] = []
    try:
        await server.start()
        natsroute = Natsroute(
            reactor,
            folder,
            f"COUNT = {count}\n{ROUTES}",
            *("--nats_url", server.url, "--num_publish_workers", "1"),
            *("--subject_queue_group", "flood", "--subject_queue_group", "go.on"),
        )
        programs.append(natsroute)
        await until(lambda: sum("(nats-server 2." in line for line in natsroute.said) == 3, reactor)
        before = natsroute.memory
        natsroute.forget_peak()
        feeder = Program(reactor, module("flood_feeder", server.port, "flood", count, SIZE), ROOT)
        programs.append(feeder)
        await until(lambda: "STUCK" in natsroute.said, reactor)
        stuck_until = reactor.seconds() + seconds
        await until(lambda: json.dumps({"sent": count}) in feeder.printed, reactor, patience=PATIENCE)
        await deferLater(reactor, max(0.0, stuck_until - reactor.seconds()))
        while_stuck, server_memory = natsroute.peak, memory_of(server.pid)
        with conversation(server.port) as talk:
            talk.send(b"PUB go.on 0\r\n\r\nPING\r\n")
            talk.until(b"PONG")
            talk.until(b"PONG")
        await until(lambda: _handled(natsroute), reactor, patience=PATIENCE)
        return Outcome(count, before, while_stuck, natsroute.peak, server_memory, _handled(natsroute))
    finally:
        for program in programs:
            await program.stop()
        await server.stop()


def _handled(natsroute: Natsroute) -> str:
    return next((line for line in natsroute.said if line.startswith("HANDLED")), "")
