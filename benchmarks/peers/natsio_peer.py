"""natsio on asyncio, with its default settings. It needs Python 3.13."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from typing import Any

import natsio

from benchmarks.load.asking import send_requests
from benchmarks.load.job import DURABLE, QUEUE_GROUP, RELAY_SUBJECT, STREAM, Job, report, report_ready
from benchmarks.load.traffic import messages
from benchmarks.load.waiting import end_of
from benchmarks.peers import Peer

Facts = dict[str, Any]

_SETTLE = 0.3  # seconds in which a message too many would arrive
_ANSWER_TIMEOUT = 10.0


async def consume(job: Job) -> Facts:
    """A callback counts the messages."""
    received = size = 0
    next_report = job.first_report
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def count(msg: natsio.Msg) -> None:
        nonlocal received, size, next_report
        received += 1
        size += len(msg.payload)
        if received == next_report:
            at = perf_counter_ns()
            if received == job.count:
                ended.set_result(at)
            else:
                report(at=at, received=received)
                next_report += job.step

    client, notes = await _connect(job)
    await _subscribe(client, job, count)
    end = await end_of(job, ended)
    await asyncio.sleep(_SETTLE)
    await client.close()
    return {"at": end, "received": received, "bytes": size, "notes": notes[:10]}


async def relay(job: Job) -> Facts:
    """A callback publishes each payload again; the time ends with a flush after the last message."""
    received = size = 0
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def pass_on(msg: natsio.Msg) -> None:
        nonlocal received, size
        received += 1
        size += len(msg.payload)
        await client.publish(RELAY_SUBJECT, msg.payload)
        if received == job.count:
            await client.flush()
            ended.set_result(perf_counter_ns())

    client, notes = await _connect(job)
    await _subscribe(client, job, pass_on)
    end = await end_of(job, ended)
    await asyncio.sleep(_SETTLE)
    await client.close()
    return {"at": end, "received": received, "bytes": size, "notes": notes[:10]}


async def respond(job: Job) -> Facts:
    """A callback replies with the payload."""

    async def answer(msg: natsio.Msg) -> None:
        await msg.respond(msg.payload)

    client, _ = await _connect(job)
    await _subscribe(client, job, answer)
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
            await client.publish(subject, payload, reply=reply or None, headers=headers)
        await client.flush()
    ended = perf_counter_ns()
    await client.close()
    return {"began": began, "at": ended, "notes": notes[:10]}


async def request(job: Job) -> Facts:
    """Send requests, first one at a time, then from tasks at the same time; compare each answer."""
    client = await natsio.connect(job.url)
    found = await send_requests(
        job,
        lambda payload: client.request(job.pattern, payload, timeout=_ANSWER_TIMEOUT),
        lambda coroutines: asyncio.gather(*coroutines),
    )
    await client.close()
    return {**found, "notes": []}


async def jetstream_consume(job: Job) -> Facts:
    """Consume the messages of a durable pull consumer, count them, and acknowledge each."""
    received = size = ended = 0
    client = await natsio.connect(job.url)
    began = perf_counter_ns()
    consumer = await (await client.jetstream().stream(STREAM)).consumer(DURABLE)
    async with consumer.consume() as consumption:
        async for msg in consumption:
            received += 1
            size += len(msg.data)
            await msg.ack()
            if received == job.count:
                ended = perf_counter_ns()
                break
        await client.flush()
        await asyncio.sleep(_SETTLE)
    await client.close()
    return {"began": began, "at": ended, "received": received, "bytes": size, "notes": []}


async def jetstream_publish(job: Job) -> Facts:
    """Publish into a stream without waiting for each acknowledgement."""
    all_messages = list(messages(job))
    gc.freeze()  # as in publish()
    client = await natsio.connect(job.url)
    # The default is 0.2 s for the window to drain, which a busy machine exceeds.
    jetstream = client.jetstream(publish_async_stall_wait=job.timeout)
    acknowledged = 0

    def count(future: asyncio.Future[Any]) -> None:
        nonlocal acknowledged
        acknowledged += future.exception() is None

    began = perf_counter_ns()
    for subject, payload, _, headers in all_messages:
        future = await jetstream.publish_async(subject, payload, headers=headers)
        future.add_done_callback(count)
    await jetstream.publish_async_complete()
    ended = perf_counter_ns()
    await asyncio.sleep(0)  # for the last callbacks
    await client.close()
    return {"began": began, "at": ended, "acknowledged": acknowledged, "notes": []}


async def _connect(job: Job) -> tuple[natsio.Client, list[str]]:
    notes: list[str] = []

    async def error(problem: Exception) -> None:
        notes.append(repr(problem))

    return await natsio.connect(job.url, error_cb=error), notes


async def _subscribe(client: natsio.Client, job: Job, callback: Any) -> None:
    client.subscribe(job.pattern, queue=QUEUE_GROUP, cb=callback)
    await client.flush()
    report_ready()


ROLES: dict[str, Callable[[Job], Awaitable[Facts]]] = {
    "consume": consume,
    "relay": relay,
    "respond": respond,
    "publish": publish,
    "request": request,
    "jetstream_consume": jetstream_consume,
    "jetstream_publish": jetstream_publish,
}

PEER = Peer("natsio on asyncio, default settings, but a longer wait for its window", roles=(*ROLES, "step"))


async def run() -> None:
    """Take the role of the job."""
    job = Job.read()
    report(**await ROLES[job.role](job))


if __name__ == "__main__":
    asyncio.run(run())
