"""How the peers on asyncio wait for the end of a job."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns

from benchmarks.load.job import Job


async def end_of(job: Job, ended: asyncio.Future[int]) -> int:
    """The time of the last message, on the machine's monotonic clock; or that at which the job's timeout is over."""
    try:
        return await asyncio.wait_for(ended, job.timeout)
    except asyncio.TimeoutError:
        return perf_counter_ns()
