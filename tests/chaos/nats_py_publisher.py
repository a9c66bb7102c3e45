"""
A program that publishes with nats-py in a plain loop: publish what is due, and flush now and then.

``python -m tests.chaos.nats_py_publisher RATE TURN FILE URL INTERVAL`` flushes every INTERVAL seconds. The loop goes on
after an exception. A message counts as sent if neither its ``publish`` nor the next ``flush`` raised.
"""

from __future__ import annotations

import asyncio
import sys
import time

import nats
from nats.aio.client import Client

from tests.chaos.comparison import SENT
from tests.chaos.messages import Pace, payload_of, subject_of
from tests.chaos.outcome_reporter import OutcomeReporter

#: Seconds that a flush may take. nats-py's default is 10: the loop would stand still that long at each restart during
#: which it waits for a PONG.
FLUSH_TIMEOUT = 1

#: Seconds between attempts to connect.
RECONNECT_WAIT = 0.05


async def _ignore(problem: Exception) -> None:
    """nats-py reports an error for each attempt to connect."""


async def publish(rate: float, turn: float, reporter: OutcomeReporter, url: str, interval: float) -> None:
    """Publish until the program is to stop."""
    client = await nats.connect(
        url,
        reconnect_time_wait=RECONNECT_WAIT,
        max_reconnect_attempts=-1,
        error_cb=_ignore,  # type: ignore[arg-type]
    )
    reporter.ready()
    pace, unflushed, next_flush = Pace(rate), [], 0.0
    while not reporter.stopping:
        numbers = pace.due(time.monotonic())
        unflushed += numbers
        for number in numbers:
            try:
                await client.publish(subject_of(number), payload_of(number))
                reporter.outcomes[number] = SENT
            except Exception as problem:
                reporter.outcomes[number] = type(problem).__name__
        if time.monotonic() >= next_flush:
            next_flush = time.monotonic() + interval
            await _flush(client, unflushed, reporter)
            unflushed = []
        await asyncio.sleep(turn)
    await _flush(client, unflushed, reporter)
    reporter.done(pace.sent)  # it may still be connecting, and cannot drain then
    await client.close()


async def _flush(client: Client, numbers: list[int], reporter: OutcomeReporter) -> None:
    try:
        await client.flush(FLUSH_TIMEOUT)
    except Exception as problem:
        for number in numbers:
            if reporter.outcomes[number] == SENT:
                reporter.outcomes[number] = f"flush: {type(problem).__name__}"


if __name__ == "__main__":
    rate, turn, path, url, interval = sys.argv[1:]
    asyncio.run(publish(float(rate), float(turn), OutcomeReporter(path), url, float(interval)))
