"""The overview of a service as pages for a terminal: the whole, its ledger, and its calls in flight."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from natsroute.console.pages import Cell, Page, Style, Table, count_of_bad, duration, duration_text, number
from natsroute.monitoring.overview import ErrorRow, Overview, Reason

#: Calls and errors that the status shows.
MAX_CALLS = 10
MAX_ERRORS = 5


def status_page(now: Overview, before: Overview | None = None) -> Page:
    """
    The whole overview.

    :param before: an earlier overview, for rates; None: there are none.
    """
    return Page(
        (*_heading(now), *map(_reason, now.reasons)),
        (
            _consumers(now, before),
            _routes(now, before),
            _workers(now, before),
            _connections(now),
            _calls(now, MAX_CALLS),
            _errors(now.errors[:MAX_ERRORS]),
        ),
    )


def ledger_page(now: Overview) -> Page:
    """What became of each message."""
    return Page(tables=(_consumers(now, None), _routes(now, None), _workers(now, None)))


def calls_page(now: Overview) -> Page:
    """The calls in flight."""
    more = now.calls_in_flight - len(now.calls)
    lines = [Cell(f"Calls in flight: {now.calls_in_flight:,}")]
    if more > 0:
        lines.append(Cell(f"The {len(now.calls):,} oldest ones:"))
    return Page(tuple(lines), (_calls(now, None),))


def _heading(now: Overview) -> Iterable[Cell]:
    processes = "process" if len(now.pids) == 1 else "processes"
    pids = ", ".join(map(str, now.pids))
    reloads = f", code loaded anew {now.reloads} times" if now.reloads else ""
    up = duration_text(now.time - now.started)
    yield Cell(f"{now.name}: natsroute {now.version}, {processes} {pids}, running for {up}{reloads}")
    for row in now.services:
        count = "1 endpoint" if row.endpoints == 1 else f"{row.endpoints} endpoints"
        yield Cell(_with_process(f"service {row.name} {row.version}, ID {row.id}, {count}", row.process))
    yield Cell("ready", Style.GOOD) if now.ready else Cell("not ready:", Style.BAD)


def _reason(reason: Reason) -> Cell:
    process = f"process {reason.process}: " if reason.process else ""
    return Cell(f"  {process}{reason.text}", Style.BAD)


def _connections(now: Overview) -> Table:
    return Table(
        "Connections",
        ("connection", "state", "server", "round trip", "reconnects", "in", "out", "last error"),
        tuple(
            (
                Cell(_with_process(row.purpose, row.process)),
                Cell(row.state, Style.GOOD if row.state == "connected" else Style.BAD),
                Cell(row.server or "-"),
                duration(row.rtt),
                number(row.reconnects),
                number(row.messages_in),
                number(row.messages_out),
                Cell(row.last_error or "-", Style.BAD if row.last_error else Style.FAINT),
            )
            for row in now.connections
        ),
    )


def _consumers(now: Overview, before: Overview | None) -> Table:
    rate = _rates(now, before, lambda one: {row.name: row.received for row in one.consumers})
    streams = any(row.lag is not None or row.handed_back for row in now.consumers)
    rows = []
    for row in now.consumers:
        dropped = row.overflowed + row.unclaimed + row.unrouted
        counts = (number(row.received), number(row.succeeded), count_of_bad(row.failed), count_of_bad(dropped))
        of_stream = (number(row.handed_back), Cell("-") if row.lag is None else number(row.lag))
        rows.append(
            (
                Cell(row.name),
                *counts,
                *(of_stream if streams else ()),
                number(row.in_progress),
                number(row.waiting),
                duration(row.idle),
                *rate(row.name),
            )
        )
    headings = ("consumer", "received", "succeeded", "failed", "dropped")
    more = (*(("handed back", "in stream") if streams else ()), "in progress", "waiting", "idle")
    return Table("Consumers", (*headings, *more, *_rate_heading(before)), tuple(rows))


def _routes(now: Overview, before: Overview | None) -> Table:
    rate = _rates(now, before, lambda one: {row.route: row.routed for row in one.routes})
    return Table(
        "Event routes",
        (
            *("event route", "routed", "succeeded", "failed", "retried", "dead-lettered", "in progress", "waiting"),
            *_rate_heading(before),
        ),
        tuple(
            (
                Cell(row.route),
                number(row.routed),
                number(row.succeeded),
                count_of_bad(row.failed),
                number(row.retried),
                number(row.dead_lettered),
                number(row.in_progress),
                number(row.waiting),
                *rate(row.route),
            )
            for row in now.routes
        ),
    )


def _workers(now: Overview, before: Overview | None) -> Table:
    rate = _rates(now, before, lambda one: {(row.name, row.process): row.published for row in one.workers})
    return Table(
        "Publish workers",
        (
            *("publish worker", "published", "confirmed", "failed", "dropped", "sent again", "in progress", "bytes"),
            *_rate_heading(before),
        ),
        tuple(
            (
                Cell(_with_process(row.name.removeprefix("publish worker "), row.process)),
                number(row.published),
                number(row.confirmed),
                count_of_bad(row.failed),
                count_of_bad(row.dropped),
                number(row.resent),
                number(row.in_progress),
                number(row.bytes_held),
                *rate((row.name, row.process)),
            )
            for row in now.workers
        ),
    )


def _calls(now: Overview, maximum: int | None) -> Table:
    rows = now.calls[:maximum]
    more = now.calls_in_flight - len(rows)
    return Table(
        "Calls in flight" + (f", the {len(rows)} oldest of {now.calls_in_flight:,}" if rows and more > 0 else ""),
        ("event route", "subject", "age"),
        tuple(
            (Cell(_with_process(row.route, row.process)), Cell(row.subject or "-"), duration(row.age)) for row in rows
        ),
    )


def _errors(rows: Iterable[ErrorRow]) -> Table:
    return Table(
        "Latest warnings and errors",
        ("time", "level", "text"),
        tuple(
            (
                Cell(_with_process(time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row.time)), row.process)),
                Cell(row.level, Style.PLAIN if row.level == "warn" else Style.BAD),
                Cell(row.text),
            )
            for row in rows
        ),
    )


def _with_process(text: str, process: int) -> str:
    return f"{text} (process {process})" if process else text


def _rate_heading(before: Overview | None) -> tuple[str, ...]:
    return () if before is None else ("per second",)


def _rates(
    now: Overview, before: Overview | None, totals: Callable[[Overview], dict[Any, int]]
) -> Callable[[Any], tuple[Cell, ...]]:
    """A function from a key of the totals to the cell with its rate; no cell if there is no earlier overview."""
    if before is None:
        return lambda key: ()
    seconds = now.time - before.time
    present, past = totals(now), totals(before)

    def rate(key: Any) -> tuple[Cell, ...]:
        # A process that was replaced counts from 0 again.
        grown = max(0, present[key] - past.get(key, 0))
        return (number(grown / seconds) if seconds > 0 else Cell("-", right=True),)

    return rate
