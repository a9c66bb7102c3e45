"""
Two natsroute processes share a durable consumer, and are killed again and again; nats-server restarts meanwhile.

Each message leads to one message of another stream, with an id. What the processes have done they write down at once:
``h SEQUENCE NUMBER`` when a call begins, ``c SEQUENCE PID TIME`` when the server has confirmed the acknowledgement, and
``r SEQUENCE PID TIME`` when a message arrives that had been delivered before.

A message that arrives again before its acknowledgement is confirmed may be handled later: the server sent it before it
had the acknowledgement.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import gatherResults

from tests.chaos.messages import PATTERN
from tests.chaos.outcome import Outcome
from tests.chaos.stream_control import StreamControl, missing
from tests.support.nats_server import NatsServer
from tests.support.natsroute_process import NatsrouteProcess
from tests.support.waiting import until

#: The stream and its consumer, and the stream of the effects.
STREAM, DURABLE, EFFECTS = "CHAOS", "crew", "EFFECTS"

#: Natsroute processes.
PROCESSES = 2

#: Seconds that the run may stand still.
STALL_TIMEOUT = 300.0

#: Seconds that a message may be on its way to one process after the other one had its acknowledgement confirmed. Within
#: one process there is no doubt: the confirmation comes over the same connection.
ON_ITS_WAY = 1.0

ROUTES = """
import os
import time

from natsroute import EventRoutes
from natsroute.jetstream.consuming.acks import Acks
from natsroute.jetstream.consuming.pull_subscription import PullSubscription
from natsroute.wire.ack_subject import parse_ack_subject

event_route = EventRoutes()
record = os.open("../record", os.O_WRONLY | os.O_APPEND)
ack_confirmed, deliver = Acks.ack_confirmed, PullSubscription.deliver


def write(*words):
    os.write(record, " ".join(map(str, words)).encode() + b"\\n")


def recorded_ack(acks, reply_to, timeout):
    def confirmed(result):
        write("c", parse_ack_subject(reply_to).sequence, os.getpid(), time.time())
        return result

    return ack_confirmed(acks, reply_to, timeout).addCallback(confirmed)


def recorded_delivery(subscription, msg):
    if msg.reply_to is not None:
        delivery = parse_ack_subject(msg.reply_to)
        if delivery.delivered > 1:
            write("r", delivery.sequence, os.getpid(), time.time())
    deliver(subscription, msg)


Acks.ack_confirmed, PullSubscription.deliver = recorded_ack, recorded_delivery


@event_route("nats:chaos.*", ack="double", concurrency=100)
async def handle(event):
    number = event.data.split()[0].decode()
    write("h", event.sequence, number)
    await event.publish("effects", event.data, stream=True, msg_id=number)
"""


@attrs.define
class Record:
    """
    What the processes have written so far.

    :ivar handled: the number of each message that was handled, with how often.
    :ivar confirmed: each sequence whose acknowledgement was confirmed to a process, with the process and the time.
    :ivar late: sequences that were handled again after that.
    :ivar again: sequences that arrived again after that.
    """

    path: Path
    handled: Counter[int] = attrs.Factory(Counter)
    confirmed: dict[int, tuple[int, float]] = attrs.Factory(dict)
    late: list[int] = attrs.Factory(list)
    again: list[int] = attrs.Factory(list)
    _read: int = 0

    def update(self) -> int:
        """Read on. Returns how many messages were handled at least once."""
        with self.path.open("rb") as file:
            file.seek(self._read)
            lines = file.read().splitlines(keepends=True)
        for line in lines:
            if not line.endswith(b"\n"):
                break
            self._read += len(line)
            kind, sequence, *more = line.split()
            self._add(kind, int(sequence), more)
        return len(self.handled)

    def _add(self, kind: bytes, sequence: int, more: list[bytes]) -> None:
        if kind == b"h":
            self.handled[int(more[0])] += 1
            if sequence in self.confirmed:
                self.late.append(sequence)
            return
        pid, now = int(more[0]), float(more[1])
        if kind == b"c":
            self.confirmed.setdefault(sequence, (pid, now))
        elif sequence in self.confirmed:
            by, when = self.confirmed[sequence]
            if pid == by or now > when + ON_ITS_WAY:
                self.again.append(sequence)


class _Run:
    """The server, the processes, and what becomes of the messages."""

    def __init__(self, reactor: Any, folder: Path, ack_wait: float, batch: int) -> None:
        folder.mkdir(parents=True)
        self.reactor = reactor
        self.server = NatsServer(reactor, "jetstream: {}")
        self.record = Record(folder / "record")
        self.record.path.touch()
        self.processes: list[NatsrouteProcess] = []
        self._folder = folder
        self._ack_wait = ack_wait
        self._batch = batch
        self._control: StreamControl | None = None

    @property
    def control(self) -> StreamControl:
        """The connection of the run."""
        assert self._control is not None
        return self._control

    async def start(self, messages: int) -> None:
        """Start everything, with a stream full of messages."""
        await self.server.start()
        self._control = StreamControl(self.reactor, [self.server.url])
        await self.control.start()
        await self.control.create_stream(STREAM, PATTERN)
        await self.control.create_stream(EFFECTS, "effects")
        await self.control.create_consumer(STREAM, DURABLE, self._ack_wait)
        await self.control.publish_all(STREAM, messages)
        for number in range(PROCESSES):
            (self._folder / str(number)).mkdir()
            self.processes.append(self._process(number))

    def _process(self, number: int) -> NatsrouteProcess:
        return NatsrouteProcess(
            self.reactor, self._folder / str(number), ROUTES, "--nats_url", self.server.url,
            "--jetstream_consumer", f"{STREAM}:{DURABLE}=>batch={self._batch}", "--num_publish_workers", "1",
            "--reconnect_wait", "0.05", "--reconnect_max_wait", "0.2",
        )  # fmt: skip

    async def kill(self, number: int) -> None:
        """Kill a process, and start it again."""
        process = self.processes[number]
        await until(lambda: process.alive or process.status is not None, self.reactor)
        assert process.status is None, "\n".join(["natsroute has ended by itself:", *process.output[-50:]])
        os.kill(process.pid, signal.SIGKILL)
        await process.ended()
        self.processes[number] = self._process(number)

    async def stop(self) -> None:
        """End everything."""
        await gatherResults([process.stop() for process in self.processes])
        if self._control is not None:
            await self._control.stop()
        await self.server.stop()


async def run(
    reactor: Any,
    folder: Path,
    seed: int,
    messages: int,
    kills: int,
    restarts: int,
    *,
    ack_wait: float = 10.0,
    batch: int = 500,
) -> Outcome:
    """
    Work through a stream.

    :param messages: the number of messages.
    :param kills: how often one of the processes is killed with SIGKILL and started again.
    :param restarts: how often nats-server is stopped and started again.
    :param ack_wait: seconds after which a message that was not acknowledged is delivered again.
    :param batch: messages that a process asks for at once.
    """
    chance = random.Random(seed)
    events = [(chance.uniform(0.02, 0.98), event) for event in ["kill"] * kills + ["restart"] * restarts]
    this = _Run(reactor, folder, ack_wait, batch)
    try:
        await this.start(messages)
        began = reactor.seconds()
        for moment, event in sorted(events):
            await until(lambda moment=moment: this.record.update() >= moment * messages, reactor, timeout=STALL_TIMEOUT)
            if event == "kill":
                await this.kill(chance.randrange(PROCESSES))
            else:
                await this.server.restart()
        await until(lambda: this.record.update() >= messages, reactor, timeout=STALL_TIMEOUT)
        seconds = reactor.seconds() - began
        return await _compare(this, messages, kills, restarts, seconds)
    finally:
        await this.stop()


async def _compare(this: _Run, messages: int, kills: int, restarts: int, seconds: float) -> Outcome:
    give_up = this.reactor.seconds() + STALL_TIMEOUT
    while True:
        state = await this.control.ask(f"CONSUMER.INFO.{STREAM}.{DURABLE}")
        left = state["num_pending"] + state["num_ack_pending"]
        if not left or this.reactor.seconds() > give_up:
            break
    this.record.update()
    effects: Counter[int] = Counter()
    await this.control.read(EFFECTS, lambda msg: effects.update([int(msg.data.split()[0])]))
    twice = [number for number, count in effects.items() if count > 1]
    violations = [
        *missing(range(messages), this.record.handled, "were never handled"),
        *missing(range(messages), effects, "had no effect"),
        *([f"{len(twice)} messages had more than one effect"] if twice else []),
        *([f"delivered after a confirmed acknowledgement: {this.record.again[:10]}"] if this.record.again else []),
        *([f"{left} messages are not acknowledged"] if left else []),
    ]
    figures = {
        "messages": f"{messages:,}, handled in {seconds:.0f} s",
        "kills of natsroute with SIGKILL": kills,
        "restarts of nats-server": restarts,
        "handled at least once": f"{len(this.record.handled):,}",
        "handled more than once": f"{sum(count > 1 for count in this.record.handled.values()):,}",
        "acknowledgements confirmed to natsroute": f"{len(this.record.confirmed):,}",
        "delivered after its confirmed acknowledgement": len(this.record.again),
        "delivered before that, and handled after it": len(this.record.late),
        "effects": f"{sum(effects.values()):,}, of {len(effects):,} messages",
    }
    return Outcome(violations, figures)
