"""
nats-core on asyncio, with its default settings: the new client of the nats.py repository. It needs Python 3.13.

Its subscriptions have no callback that may wait, so a task loops over the messages of one.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import perf_counter_ns
from typing import Any

from nats.client import Client, Message, connect

from benchmarks.load.asking import send_requests
from benchmarks.load.job import QUEUE_GROUP, RELAY_SUBJECT, Job, report, report_ready
from benchmarks.load.traffic import messages
from benchmarks.load.waiting import end_of
from benchmarks.peers import Peer

Facts = dict[str, Any]

_SETTLE = 0.3  # seconds in which a message too many would arrive
_ANSWER_TIMEOUT = 10.0


async def consume(job: Job) -> Facts:
    """Count the messages of a subscription."""
    received = size = 0
    next_report = job.first_report
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def count(message: Message) -> None:
        nonlocal received, size, next_report
        received += 1
        size += len(message.data)
        if received == next_report:
            at = perf_counter_ns()
            if received == job.count:
                ended.set_result(at)
            else:
                report(at=at, received=received)
                next_report += job.step

    client, notes = await _connect(job)
    async with _subscribed(client, job, count):
        end = await end_of(job, ended)
        await asyncio.sleep(_SETTLE)
    return {"at": end, "received": received, "bytes": size, "notes": notes[:10]}


async def relay(job: Job) -> Facts:
    """Publish each payload of a subscription again; the time ends with a flush after the last message."""
    received = size = 0
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def pass_on(message: Message) -> None:
        nonlocal received, size
        received += 1
        size += len(message.data)
        await client.publish(RELAY_SUBJECT, message.data)
        if received == job.count:
            await client.flush()
            ended.set_result(perf_counter_ns())

    client, notes = await _connect(job)
    async with _subscribed(client, job, pass_on):
        end = await end_of(job, ended)
        await asyncio.sleep(_SETTLE)
    return {"at": end, "received": received, "bytes": size, "notes": notes[:10]}


async def respond(job: Job) -> Facts:
    """Reply to each message of a subscription with its payload."""

    async def answer(message: Message) -> None:
        assert message.reply is not None
        await client.publish(message.reply, message.data)

    client, _ = await _connect(job)
    async with _subscribed(client, job, answer):
        await asyncio.sleep(job.timeout)
    return {}


async def publish(job: Job) -> Facts:
    """Publish without a subscription, and flush after each batch."""
    all_messages = list(messages(job))
    gc.freeze()  # a real program does not hold all these messages, so the collector need not scan them
    client, notes = await _connect(job)
    began = perf_counter_ns()
    for start in range(0, job.count, job.batch):
        for subject, payload, reply, headers in all_messages[start : start + job.batch]:
            await client.publish(subject, payload, reply=reply or None, headers=headers)  # type: ignore[arg-type]
        await client.flush()
    return {"began": began, "at": perf_counter_ns(), "notes": notes[:10]}


async def request(job: Job) -> Facts:
    """Send requests, first one at a time, then from tasks at the same time; compare each answer."""
    client, notes = await _connect(job)
    found = await send_requests(
        job,
        lambda payload: client.request(job.pattern, payload, timeout=_ANSWER_TIMEOUT),
        lambda coroutines: asyncio.gather(*coroutines),
    )
    return {**found, "notes": notes[:10]}


async def _connect(job: Job) -> tuple[Client, list[str]]:
    notes: list[str] = []
    client = await connect(job.url)
    client.add_disconnected_callback(lambda: notes.append("disconnected"))
    client.add_error_callback(lambda error: notes.append(repr(error)))
    return client, notes


@asynccontextmanager
async def _subscribed(client: Client, job: Job, handle: Callable[[Message], Awaitable[None]]) -> AsyncIterator[None]:
    """Call a function with each message, one after the other, until the context ends."""
    subscription = await client.subscribe(job.pattern, queue=QUEUE_GROUP)
    await client.flush()

    async def read() -> None:
        async for message in subscription:
            await handle(message)

    reader = asyncio.create_task(read())
    report_ready()
    yield
    reader.cancel()


ROLES: dict[str, Callable[[Job], Awaitable[Facts]]] = {
    "consume": consume,
    "relay": relay,
    "respond": respond,
    "publish": publish,
    "request": request,
}

PEER = Peer("nats-core on asyncio, the new client of the nats.py repository, default settings", roles=(*ROLES, "step"))


async def run() -> None:
    """Take the role of the job."""
    job = Job.read()
    report(**await ROLES[job.role](job))


if __name__ == "__main__":
    asyncio.run(run())
