"""nats-py (asyncio) with its default settings: subscription callbacks."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from benchmarks.job import QUEUE_GROUP, RELAY_SUBJECT, SUBJECT, Job, tell

Facts = dict[str, Any]

_SETTLE = 0.3  # seconds to see whether more comes than was sent


async def consume(job: Job) -> Facts:
    """A callback that counts."""
    received = size = started = 0
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def count(msg: Msg) -> None:
        nonlocal received, size, started
        if not received:
            started = perf_counter_ns()
        received += 1
        size += len(msg.data)
        if received == job.count:
            ended.set_result(perf_counter_ns())

    notes: list[str] = []
    client = await _connect(job, notes)
    await client.subscribe(SUBJECT, QUEUE_GROUP, cb=count)
    await client.flush()
    tell(ready=True)
    end = await _in_time(job, ended)
    await asyncio.sleep(_SETTLE)
    return {"received": received, "bytes": size, "nanoseconds": end - started, "notes": notes[:10]}


async def relay(job: Job) -> Facts:
    """A callback that publishes what it gets; the clock stops when a last flush has come back."""
    received = size = started = 0
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def pass_on(msg: Msg) -> None:
        nonlocal received, size, started
        if not received:
            started = perf_counter_ns()
        received += 1
        size += len(msg.data)
        await client.publish(RELAY_SUBJECT, msg.data)
        if received == job.count:
            await client.flush()
            ended.set_result(perf_counter_ns())

    notes: list[str] = []
    client = await _connect(job, notes)
    await client.subscribe(SUBJECT, QUEUE_GROUP, cb=pass_on)
    await client.flush()
    tell(ready=True)
    end = await _in_time(job, ended)
    await asyncio.sleep(_SETTLE)
    return {"received": received, "bytes": size, "nanoseconds": end - started, "notes": notes[:10]}


async def respond(job: Job) -> Facts:
    """A callback that answers."""

    async def answer(msg: Msg) -> None:
        await msg.respond(msg.data)

    client = await _connect(job, [])
    await client.subscribe(SUBJECT, QUEUE_GROUP, cb=answer)
    await client.flush()
    tell(ready=True)
    await asyncio.sleep(job.patience)
    return {}


async def _connect(job: Job, notes: list[str]) -> Client:
    async def disconnected() -> None:
        notes.append("disconnected")

    async def error(problem: Exception) -> None:
        notes.append(repr(problem))

    return await nats.connect(job.url, disconnected_cb=disconnected, error_cb=error)


async def _in_time(job: Job, ended: asyncio.Future[int]) -> int:
    try:
        return await asyncio.wait_for(ended, job.patience)
    except asyncio.TimeoutError:
        return perf_counter_ns()


ROLES = {"consume": consume, "relay": relay, "respond": respond}

if __name__ == "__main__":
    job = Job.read()
    tell(**asyncio.run(ROLES[job.role](job)))
