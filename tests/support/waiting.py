"""Waiting on a real reactor until something has happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock, deferLater

#: Seconds that anything may take before its test fails. The machine may be slow and busy. A test that passes does not
#: wait for them.
TIMEOUT = 300.0

#: Seconds that a whole test may take, unless it says otherwise: some wait for several things.
TEST_TIMEOUT = 1800.0

_INTERVAL = 0.01


async def until(condition: Callable[[], object], reactor: Any, *, timeout: float = TIMEOUT) -> None:
    """
    Wait until the condition holds.

    :raises AssertionError: it did not hold in time; the message has the names that the condition uses.
    """
    give_up = reactor.seconds() + timeout
    while not condition():
        if reactor.seconds() > give_up:
            raise AssertionError(f"did not happen within {timeout} s: {' '.join(condition.__code__.co_names)}")
        await deferLater(reactor, _INTERVAL)


def run_one_call(clock: Clock) -> None:
    """Make the first delayed call of a test's clock, and not those that it schedules in turn."""
    call = clock.calls.pop(0)
    call.called = 1
    call.func(*call.args, **call.kw)
