"""nats-py on asyncio, with its default settings and subscription callbacks."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import PubAck

from benchmarks.load.asking import send_requests
from benchmarks.load.job import (
    DURABLE,
    QUEUE_GROUP,
    RELAY_SUBJECT,
    REPORT_SUBJECT,
    STREAM,
    Job,
    report,
    report_ready,
)
from benchmarks.load.traffic import messages
from benchmarks.load.waiting import end_of
from benchmarks.peers import Peer

Facts = dict[str, Any]

_SETTLE = 0.3  # seconds in which a message too many would arrive
_ANSWER_TIMEOUT = 10.0
_FETCHED = 1_000  # messages at once; more than that brought nothing


async def consume(job: Job) -> Facts:
    """A callback counts the messages; the role ``subscriptions`` has one subscription for each subject."""
    received = size = 0
    next_report = job.first_report
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def count(msg: Msg) -> None:
        nonlocal received, size, next_report
        received += 1
        size += len(msg.data)
        if received == next_report:
            at = perf_counter_ns()
            if received == job.count:
                ended.set_result(at)
            else:
                report(at=at, received=received)
                next_report += job.step

    notes: list[str] = []
    client = await _connect(job, notes)
    for subject in job.subject_names if job.role == "subscriptions" else [job.pattern]:
        await client.subscribe(subject, QUEUE_GROUP, cb=count)
    await client.flush()
    report_ready()
    end = await end_of(job, ended)
    await asyncio.sleep(_SETTLE)
    return {"at": end, "received": received, "bytes": size, "notes": notes[:10]}


async def relay(job: Job) -> Facts:
    """A callback publishes each payload again; the time ends with a flush after the last message."""
    received = size = 0
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def pass_on(msg: Msg) -> None:
        nonlocal received, size
        received += 1
        size += len(msg.data)
        await client.publish(RELAY_SUBJECT, msg.data)
        if received == job.count:
            await client.flush()
            ended.set_result(perf_counter_ns())

    notes: list[str] = []
    client = await _connect(job, notes)
    await client.subscribe(job.pattern, QUEUE_GROUP, cb=pass_on)
    await client.flush()
    report_ready()
    end = await end_of(job, ended)
    await asyncio.sleep(_SETTLE)
    return {"at": end, "received": received, "bytes": size, "notes": notes[:10]}


async def respond(job: Job) -> Facts:
    """A callback replies with the payload."""

    async def answer(msg: Msg) -> None:
        await msg.respond(msg.data)

    client = await _connect(job, [])
    await client.subscribe(job.pattern, QUEUE_GROUP, cb=answer)
    await client.flush()
    report_ready()
    await asyncio.sleep(job.timeout)
    return {}


async def publish(job: Job) -> Facts:
    """Publish without a subscription, and flush after each batch."""
    all_messages = list(messages(job))
    gc.freeze()  # a real program does not hold all these messages, so the collector need not scan them
    notes: list[str] = []
    client = await _connect(job, notes)
    began = perf_counter_ns()
    for start in range(0, job.count, job.batch):
        for subject, payload, reply, headers in all_messages[start : start + job.batch]:
            await client.publish(subject, payload, reply, headers)
        await client.flush()
    return {"began": began, "at": perf_counter_ns(), "notes": notes[:10]}


async def share(job: Job) -> Facts:
    """One callback counts the messages that this process gets from the queue group, another reports their number."""
    received = last = 0

    async def count(msg: Msg) -> None:
        nonlocal received, last
        received += 1
        last = perf_counter_ns()

    async def on_report(msg: Msg) -> None:
        report(at=last, received=received)

    client = await _connect(job, [])
    await client.subscribe(job.pattern, QUEUE_GROUP, cb=count)
    await client.subscribe(REPORT_SUBJECT, cb=on_report)
    await client.flush()
    report_ready()
    await asyncio.sleep(job.timeout)
    return {}


async def request(job: Job) -> Facts:
    """Send requests, first one at a time, then from tasks at the same time; compare each answer."""
    notes: list[str] = []
    client = await _connect(job, notes)
    found = await send_requests(
        job,
        lambda payload: client.request(job.pattern, payload, timeout=_ANSWER_TIMEOUT),
        lambda coroutines: asyncio.gather(*coroutines),
    )
    return {**found, "notes": notes[:10]}


async def jetstream_consume(job: Job) -> Facts:
    """Fetch the messages of a durable pull consumer in batches, count them, and acknowledge each."""
    received = size = 0
    notes: list[str] = []
    client = await _connect(job, notes)
    began = perf_counter_ns()
    subscription = await client.jetstream().pull_subscribe_bind(DURABLE, STREAM)
    while received < job.count:
        for msg in await subscription.fetch(_FETCHED, timeout=job.timeout):
            received += 1
            size += len(msg.data)
            await msg.ack()
    ended = perf_counter_ns()
    await client.flush()
    await asyncio.sleep(_SETTLE)
    return {"began": began, "at": ended, "received": received, "bytes": size, "notes": notes[:10]}


async def jetstream_publish(job: Job) -> Facts:
    """Publish into a stream without waiting for each acknowledgement."""
    all_messages = list(messages(job))
    gc.freeze()  # as in publish()
    notes: list[str] = []
    client = await _connect(job, notes)
    jetstream = client.jetstream()
    acknowledged = 0

    def count(future: asyncio.Future[PubAck]) -> None:
        nonlocal acknowledged
        acknowledged += future.exception() is None

    began = perf_counter_ns()
    for subject, payload, _, headers in all_messages:
        future = await jetstream.publish_async(subject, payload, headers=headers)
        future.add_done_callback(count)
    await jetstream.publish_async_completed()
    ended = perf_counter_ns()
    await asyncio.sleep(0)  # for the last callbacks
    return {"began": began, "at": ended, "acknowledged": acknowledged, "notes": notes[:10]}


async def _connect(job: Job, notes: list[str]) -> Client:
    async def disconnected() -> None:
        notes.append("disconnected")

    async def error(problem: Exception) -> None:
        notes.append(repr(problem))

    tls = ssl.create_default_context(cafile=job.ca_file) if job.ca_file else None
    return await nats.connect(
        job.url, disconnected_cb=disconnected, error_cb=error, tls=tls, tls_handshake_first=tls is not None
    )


ROLES: dict[str, Callable[[Job], Awaitable[Facts]]] = {
    "consume": consume,
    "relay": relay,
    "respond": respond,
    "publish": publish,
    "subscriptions": consume,
    "share": share,
    "request": request,
    "jetstream_consume": jetstream_consume,
    "jetstream_publish": jetstream_publish,
}

PEER = Peer("nats-py on asyncio, default settings", roles=(*ROLES, "step", "tls"))


async def run() -> None:
    """Take the role of the job."""
    job = Job.read()
    report(**await ROLES[job.role](job))


if __name__ == "__main__":
    asyncio.run(run())
