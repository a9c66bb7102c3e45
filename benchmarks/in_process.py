"""
``python -m benchmarks.in_process`` measures the hot path alone: no socket, no nats-server, no other process.

A real service with its connections runs on a reactor and a transport in memory. The transport answers each PING. The
figures are nanoseconds of CPU time for each message: of each block of messages, the fastest of several passes counts.
So the figures are lower limits that repeat well, even on a busy machine; they are no rates that a program can reach.

``parse`` gives each message to a function of the standard library that does nothing. ``consume`` calls an event route
that reads the payload. ``relay`` calls one that publishes it, and ends when all are confirmed. ``publish`` publishes
1,000 messages, and ends when all are confirmed.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from time import thread_time_ns
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from benchmarks.load.hot_path import PURE_ENVIRONMENT, implementation
from benchmarks.load.job import QUEUE_GROUP, RELAY_SUBJECT, Job
from benchmarks.load.traffic import SUBJECTS, Message, delivery, messages
from benchmarks.run.machine import python
from benchmarks.run.scenario import GOAL_SIZE
from natsroute import Event, EventRoutes, NatsrouteService, Settings
from natsroute.wire import encoder
from natsroute.wire.parser import Parser
from tests.support.memory_network import MemoryTransport, info

_BLOCK = 64 * 1024  # bytes: Twisted reads as many from a socket at once
_BATCH = 1_000
# More messages than the parser remembers parts of lines, so that in mixed traffic each is new in every pass.
_MESSAGES = 12_000
_PASSES = 30

#: Nanoseconds for each message, by the name of a row, such as ``uniform`` or ``pure, uniform``, and by case.
Figures = dict[str, dict[str, float]]

_SUB = re.compile(rb"SUB \S+ (?:\S+ )?(\d+)\r\n")


class _Transport(MemoryTransport):
    """
    A transport that answers each PING at the end of what is written, and remembers no more than subscriptions.

    :ivar sids: of the subscriptions.
    :ivar pings: how many wait for their answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sids: list[int] = []
        self.pings = 0

    def write(self, data: bytes) -> None:
        self.pings += data.endswith(encoder.PING)
        if data.startswith(b"SUB"):
            self.sids += map(int, _SUB.findall(data))

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        for data in iovec:
            self.write(data)


class _Reactor(MemoryReactorClock):
    """With what MemoryReactorClock leaves out."""

    def callFromThread(self, function: Callable[..., object], *arguments: object) -> None:
        function(*arguments)


class Service:
    """
    A service that is connected to nobody.

    :param event_route: its event routes; it has one entry if there are any.
    :param pattern: the subject of its entry.
    """

    def __init__(self, event_route: EventRoutes, pattern: str = "") -> None:
        self._reactor = _Reactor()
        entries = (f"{pattern}:{QUEUE_GROUP}",) if pattern else ()
        settings = Settings(nats_url="nats://127.0.0.1:4222", subject_queue_group=entries)
        self.service = NatsrouteService(settings, event_route, reactor=self._reactor)
        self.service.startService()
        self._reactor.advance(0)
        self._connections: list[tuple[_Transport, Any]] = []
        for _, _, factory, _, _ in self._reactor.tcpClients:
            protocol: Any = factory.buildProtocol(None)
            transport = _Transport()
            protocol.makeConnection(transport)
            protocol.dataReceived(info(max_payload=1024 * 1024))
            self._connections.append((transport, protocol))
        self.settle()
        if not self.service.connected:
            raise RuntimeError("the service did not connect")

    def receiver(self) -> tuple[int, Callable[[bytes], object]]:
        """The sid of its subscription, and what takes the bytes that a server would send to it."""
        ((sid, protocol),) = [(sid, protocol) for transport, protocol in self._connections for sid in transport.sids]
        return sid, protocol.dataReceived

    def settle(self) -> None:
        """Run the reactor until all is written and all is confirmed."""
        self._reactor.advance(0)
        again = True
        while again:
            again = False
            for transport, protocol in self._connections:
                if transport.pings:
                    pings, transport.pings = transport.pings, 0
                    protocol.dataReceived(b"PONG\r\n" * pings)
                    again = True
            self._reactor.advance(0)

    def stop(self) -> None:
        """Stop the service, so that it leaves no thread."""
        stopped = self.service.stopService()
        self.settle()
        for _, protocol in self._connections:
            protocol.connectionLost(Failure(ConnectionDone()))
        self._connections.clear()
        self._reactor.pump([1.0] * 10)
        if not stopped.called:
            raise RuntimeError("the service did not stop")


def measure(case: str, traffic: str, count: int = _MESSAGES, passes: int = _PASSES) -> float:
    """
    Measure one case.

    :param count: messages of a pass.
    :return: nanoseconds for each message.
    """
    job = Job(case, "", count, GOAL_SIZE, traffic, SUBJECTS[traffic])
    return CASES[case](job, passes)


def _parse(job: Job, passes: int) -> float:
    parser = Parser(message_type=Event, receivers={1: deque(maxlen=1).append})

    def feed(data: bytes) -> None:
        for _ in parser.feed(data):
            raise RuntimeError("a frame that is no message of the subscription")

    return _fastest(_blocks(job, 1), feed, passes)


def _consume(job: Job, passes: int) -> float:
    received = size = 0
    event_route = EventRoutes()

    @event_route(f"nats:{job.pattern}")
    def count(event: Event) -> None:
        nonlocal received, size
        received += 1
        size += len(event.data)

    service = Service(event_route, job.pattern)
    sid, receive = service.receiver()
    found = _fastest(_blocks(job, sid), receive, passes)
    _check("received", received, job.count * passes)
    service.stop()
    return found


def _relay(job: Job, passes: int) -> float:
    event_route = EventRoutes()

    @event_route(f"nats:{job.pattern}")
    def pass_on(event: Event) -> None:
        event.publish(RELAY_SUBJECT, event.data)

    service = Service(event_route, job.pattern)
    sid, receive = service.receiver()

    def run(data: bytes) -> None:
        receive(data)
        service.settle()

    found = _fastest(_blocks(job, sid), run, passes)
    _check("confirmed", service.service.publisher.account().confirmed, job.count * passes)
    service.stop()
    return found


def _publish(job: Job, passes: int) -> float:
    service = Service(EventRoutes())
    publish = service.service.publish

    def run(batch: Sequence[Message]) -> None:
        for subject, payload, reply, headers in batch:
            publish(subject, payload, reply or None, headers)
        service.settle()

    source = messages(job)
    batches = list(iter(lambda: list(islice(source, _BATCH)), []))
    found = _fastest([(batch, len(batch)) for batch in batches], run, passes)
    _check("confirmed", service.service.publisher.account().confirmed, job.count * passes)
    service.stop()
    return found


#: What is measured, in the order of the table.
CASES = {"parse": _parse, "consume": _consume, "relay": _relay, "publish": _publish}


def _blocks(job: Job, sid: int) -> list[tuple[bytes, int]]:
    """What a server would send, in blocks of whole messages, and the number of messages in each."""
    blocks: list[tuple[bytes, int]] = []
    parts: list[bytes] = []
    size = 0
    for message in messages(job):
        data = delivery(message, sid)
        if parts and size + len(data) > _BLOCK:
            blocks.append((b"".join(parts), len(parts)))
            parts, size = [], 0
        parts.append(data)
        size += len(data)
    return [*blocks, (b"".join(parts), len(parts))]


def _fastest(blocks: Sequence[tuple[Any, int]], run: Callable[[Any], object], passes: int) -> float:
    """Run each block once in each pass; return the nanoseconds for each message of the blocks' fastest times."""
    best = [float("inf")] * len(blocks)
    gc.collect()
    gc.freeze()  # a real program does not hold all these messages, so the collector need not scan them
    try:
        for _ in range(passes):
            for number, (block, _) in enumerate(blocks):
                began = thread_time_ns()
                run(block)
                best[number] = min(best[number], thread_time_ns() - began)
    finally:
        gc.unfreeze()
    return sum(best) / sum(count for _, count in blocks)


def _check(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise RuntimeError(f"{what}: {found:,} instead of {expected:,}")


def measure_both(passes: int = _PASSES) -> Figures:
    """Measure all cases, with what :mod:`natsroute.hot` chooses and in pure Python, each in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.in_process", "--json", "--passes", str(passes)]
    found: Figures = {}
    for environment in ({}, PURE_ENVIRONMENT) if implementation() != "pure" else ({},):
        measured = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True)
        facts = json.loads(measured.stdout)
        for traffic, cases in facts["ns/message"].items():
            found[f"{facts['hot path']}, {traffic}"] = cases
    return found


def table(found: Figures) -> str:
    """The figures as Markdown: a column for each case."""
    rows = [f"| {name} | {' | '.join(f'{ns:,.0f}' for ns in cases.values())} |" for name, cases in found.items()]
    heads = list(next(iter(found.values())))
    return "\n".join([f"| ns/message | {' | '.join(heads)} |", f"|---|{'--:|' * len(heads)}", *rows])


def main(words: Sequence[str] | None = None) -> int:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.in_process", description=__doc__.split("\n\n")[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="default: all")
    parser.add_argument("--traffic", nargs="+", choices=SUBJECTS, default=list(SUBJECTS), help="default: both")
    parser.add_argument("--passes", type=int, default=_PASSES, help=f"default: {_PASSES}")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--both", action="store_true", help="then measure pure Python too")
    arguments = parser.parse_args(words)
    found = {
        traffic: {case: measure(case, traffic, passes=arguments.passes) for case in arguments.cases}
        for traffic in arguments.traffic
    }
    if arguments.json:
        print(json.dumps({"python": python(), "hot path": implementation(), "ns/message": found}))
    else:
        print(f"{python()}; hot path: {implementation()}\n\n{table(found)}\n", flush=True)
    if arguments.both and implementation() != "pure":
        again = [word for word in (sys.argv[1:] if words is None else words) if word != "--both"]
        command = [sys.executable, "-m", "benchmarks.in_process", *again]
        return subprocess.run(command, env={**os.environ, **PURE_ENVIRONMENT}).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
