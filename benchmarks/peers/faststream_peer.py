"""
FastStream, the framework on nats-py, with two settings that differ from its defaults.

It does not log each message. It does not decode payloads either: it would turn a number into an int, and a relay must
pass on the bytes that it got.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from typing import Any

from faststream.nats import NatsBroker, NatsMessage

from benchmarks.load.job import QUEUE_GROUP, RELAY_SUBJECT, Job, report, report_ready
from benchmarks.load.traffic import messages
from benchmarks.load.waiting import end_of
from benchmarks.peers import Peer

Facts = dict[str, Any]

_SETTLE = 0.3  # seconds in which a message too many would arrive


async def consume(job: Job) -> Facts:
    """A subscriber counts the messages."""
    received = size = 0
    next_report = job.first_report
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    broker, notes = _broker(job)

    @broker.subscriber(job.pattern, QUEUE_GROUP, no_reply=True)
    async def count(body: bytes) -> None:
        nonlocal received, size, next_report
        received += 1
        size += len(body)
        if received == next_report:
            at = perf_counter_ns()
            if received == job.count:
                ended.set_result(at)
            else:
                report(at=at, received=received)
                next_report += job.step

    await _start(broker)
    end = await end_of(job, ended)
    await asyncio.sleep(_SETTLE)
    return {"at": end, "received": received, "bytes": size, "notes": notes[:10]}


async def relay(job: Job) -> Facts:
    """A subscriber publishes each payload again; the time ends with a flush after the last message."""
    received = size = 0
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    broker, notes = _broker(job)

    @broker.subscriber(job.pattern, QUEUE_GROUP, no_reply=True)
    async def pass_on(body: bytes) -> None:
        nonlocal received, size
        received += 1
        size += len(body)
        await broker.publish(body, RELAY_SUBJECT)
        if received == job.count:
            await client.flush()
            ended.set_result(perf_counter_ns())

    client = await _start(broker)
    end = await end_of(job, ended)
    await asyncio.sleep(_SETTLE)
    return {"at": end, "received": received, "bytes": size, "notes": notes[:10]}


async def respond(job: Job) -> Facts:
    """A subscriber replies with its return value."""
    broker, _ = _broker(job)

    @broker.subscriber(job.pattern, QUEUE_GROUP)
    async def answer(body: bytes) -> bytes:
        return body

    await _start(broker)
    await asyncio.sleep(job.timeout)
    return {}


async def publish(job: Job) -> Facts:
    """Publish without a subscriber, and flush after each batch."""
    all_messages = list(messages(job))
    gc.freeze()  # a real program does not hold all these messages, so the collector need not scan them
    broker, notes = _broker(job)
    client = await broker.connect()
    began = perf_counter_ns()
    for start in range(0, job.count, job.batch):
        for subject, payload, reply, headers in all_messages[start : start + job.batch]:
            await broker.publish(payload, subject, headers=headers, reply_to=reply)
        await client.flush()
    return {"began": began, "at": perf_counter_ns(), "notes": notes[:10]}


def _broker(job: Job) -> tuple[NatsBroker, list[str]]:
    notes: list[str] = []

    async def disconnected() -> None:
        notes.append("disconnected")

    async def error(problem: Exception) -> None:
        notes.append(repr(problem))

    async def undecoded(message: NatsMessage) -> bytes:
        return message.body

    broker = NatsBroker(job.url, disconnected_cb=disconnected, error_cb=error, logger=None, decoder=undecoded)
    return broker, notes


async def _start(broker: NatsBroker) -> Any:
    client = await broker.connect()
    await broker.start()
    await client.flush()
    report_ready()
    return client


async def _run() -> None:
    job = Job.read()
    report(**await ROLES[job.role](job))


ROLES: dict[str, Callable[[Job], Awaitable[Facts]]] = {
    "consume": consume,
    "relay": relay,
    "respond": respond,
    "publish": publish,
}

PEER = Peer(
    "FastStream on nats-py, default settings, but without log lines and without decoding payloads",
    roles=(*ROLES, "step"),
    fraction=0.1,
)

if __name__ == "__main__":
    asyncio.run(_run())
