"""
Keep a table of calls in a database, with a library for asyncio.

Run it with asyncio's reactor: ``twistd -n --reactor asyncio natsroute --embedded_server --subject_queue_group calls.*
--event_routes examples/asyncio_calls.py``. ``Pool`` stands for a pool of asyncpg, and has the same methods:
``pool = await asyncpg.create_pool(...)`` would replace it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from twisted.logger import Logger

from natsroute import Event, EventRoutes, RunningService

event_route = EventRoutes()
log = Logger()


class Pool:
    """A pool of one connection to SQLite, for asyncio."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._free = asyncio.Lock()

    async def fetch(self, query: str, *arguments: object) -> list[Any]:
        """Run a query and return its rows."""
        async with self._free:
            return await asyncio.to_thread(lambda: self._connection.execute(query, arguments).fetchall())

    async def close(self) -> None:
        """Close the connection."""
        self._connection.close()


pool: Pool


@event_route.on_start
async def open_database(service: RunningService) -> None:
    global pool
    pool = Pool()
    await pool.fetch("CREATE TABLE calls (call_id TEXT PRIMARY KEY, state TEXT)")


@event_route.on_stop
async def close_database(service: RunningService) -> None:
    await pool.close()


@event_route("nats:calls.*", key=lambda event: event.subject, timeout=5.0)
async def call(event: Event) -> None:
    call_id, state = event.subject.removeprefix("calls."), event.text()
    await asyncio.wait_for(pool.fetch("REPLACE INTO calls VALUES (?, ?)", call_id, state), timeout=1.0)
    total, active = await asyncio.gather(
        pool.fetch("SELECT count(*) FROM calls"),
        pool.fetch("SELECT count(*) FROM calls WHERE state != 'terminated'"),
    )
    log.info(
        "call {call_id} is {state}: {active} of {total} calls",
        call_id=call_id,
        state=state,
        active=active[0][0],
        total=total[0][0],
    )
    await event.publish("statistics.calls", {"calls": total[0][0], "active": active[0][0]})  # a Deferred


@event_route("nats:connected")
async def play_kamailio(event: Event) -> None:
    if event.queue_group is None and event.server is not None:
        await asyncio.sleep(0.5)  # by then the other connections are ready too
        for state in ("trying", "confirmed", "terminated"):
            await event.publish("calls.1", state)
