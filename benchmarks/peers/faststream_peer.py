"""
FastStream, the framework on nats-py, with its default settings but for two: it writes no log line for each message,
and it leaves payloads as they are, for a number would become an int, which is not what a peer is to pass on.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from typing import Any

from faststream.nats import NatsBroker, NatsMessage

from benchmarks.load.job import QUEUE_GROUP, RELAY_SUBJECT, Job, tell, tell_ready
from benchmarks.load.traffic import messages
from benchmarks.peers import Peer

Facts = dict[str, Any]

_SETTLE = 0.3  # seconds to see whether more comes than was sent


async def consume(job: Job) -> Facts:
    """A subscriber that counts."""
    received = size = 0
    mark = job.mark
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    broker, notes = _broker(job)

    @broker.subscriber(job.pattern, QUEUE_GROUP, no_reply=True)
    async def count(body: bytes) -> None:
        nonlocal received, size, mark
        received += 1
        size += len(body)
        if received == mark:
            at = perf_counter_ns()
            if received == job.count:
                ended.set_result(at)
            else:
                tell(at=at, received=received)
                mark += job.step

    await _start(broker)
    end = await _in_time(job, ended)
    await asyncio.sleep(_SETTLE)
    return {"at": end, "received": received, "bytes": size, "notes": notes[:10]}


async def relay(job: Job) -> Facts:
    """A subscriber that publishes what it gets; the clock stops when a last flush has come back."""
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
    end = await _in_time(job, ended)
    await asyncio.sleep(_SETTLE)
    return {"at": end, "received": received, "bytes": size, "notes": notes[:10]}


async def respond(job: Job) -> Facts:
    """A subscriber that answers with what it returns."""
    broker, _ = _broker(job)

    @broker.subscriber(job.pattern, QUEUE_GROUP)
    async def answer(body: bytes) -> bytes:
        return body

    await _start(broker)
    await asyncio.sleep(job.patience)
    return {}


async def publish(job: Job) -> Facts:
    """Publishing without subscribers, and a flush after each batch."""
    all_messages = list(messages(job))
    gc.freeze()  # the messages are not to be looked through again and again: a real program has none of them
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

    async def as_it_came(message: NatsMessage) -> bytes:
        return message.body

    broker = NatsBroker(job.url, disconnected_cb=disconnected, error_cb=error, logger=None, decoder=as_it_came)
    return broker, notes


async def _start(broker: NatsBroker) -> Any:
    client = await broker.connect()
    await broker.start()
    await client.flush()
    tell_ready()
    return client


async def _in_time(job: Job, ended: asyncio.Future[int]) -> int:
    try:
        return await asyncio.wait_for(ended, job.patience)
    except asyncio.TimeoutError:
        return perf_counter_ns()


async def _play() -> None:
    job = Job.read()
    tell(**await ROLES[job.role](job))


ROLES: dict[str, Callable[[Job], Awaitable[Facts]]] = {
    "consume": consume,
    "relay": relay,
    "respond": respond,
    "publish": publish,
}

PEER = Peer("FastStream on nats-py, default settings, no log, payloads not decoded", roles=(*ROLES, "step"), share=0.1)

if __name__ == "__main__":
    asyncio.run(_play())
