"""What a peer does that sends requests: first one at a time, then many at the same time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from time import perf_counter, perf_counter_ns
from typing import Any

from benchmarks.load.job import ONE_AT_REST_OF, REQUESTS_IN_FLIGHT, Job
from benchmarks.load.traffic import messages


async def send_requests(
    job: Job,
    request: Callable[[bytes], Awaitable[Any]],
    together: Callable[[Iterable[Coroutine[Any, Any, None]]], Awaitable[object]],
) -> dict[str, Any]:
    """
    Send the requests of a job, and compare each answer with its request.

    :param request: sends one, and gives its answer.
    :param together: runs coroutines at the same time, until all have ended.
    :return: the nanoseconds of each one at rest, the answers a second in flight, and how many answers were wrong.
    """
    payloads = [message.payload for message in messages(job)]
    wrong = 0

    async def ask(payload: bytes) -> None:
        nonlocal wrong
        answer = await request(payload)
        wrong += answer.data != payload

    at_rest = []
    for payload in payloads[: job.count // ONE_AT_REST_OF]:
        began = perf_counter_ns()
        await ask(payload)
        at_rest.append(perf_counter_ns() - began)
    left = iter(payloads)

    async def ask_all() -> None:
        for payload in left:
            await ask(payload)

    started = perf_counter()
    await together(ask_all() for _ in range(REQUESTS_IN_FLIGHT))
    return {"at_rest": at_rest, "in_flight": job.count / (perf_counter() - started), "wrong": wrong}
