"""``natsroute status``: shows a running service."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

from natsroute.console.commands import ExitCode
from natsroute.console.overview_pages import status_page
from natsroute.console.session import add_service_arguments, client_of, get_overview
from natsroute.console.terminal import new_screen


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_service_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the whole overview as JSON")
    parser.add_argument("--watch", action="store_true", help="show it again and again, with rates, until Ctrl-C")
    parser.add_argument(
        "--interval", type=float, default=1.0, metavar="SECONDS", help="how often --watch shows it [default: 1]"
    )


async def run(reactor: Any, arguments: Namespace) -> int:
    """Show the service; returns 0 if it is ready, and 1 if not."""
    client = client_of(reactor, arguments)
    if arguments.watch:
        return await _watch(reactor, client, arguments)
    overview = await get_overview(client, arguments)
    if arguments.json:
        print(json.dumps(overview.as_json(), indent=2))
    else:
        new_screen().show(status_page(overview))
    return ExitCode.OK if overview.ready else ExitCode.FAILED


async def _watch(reactor: Any, client: Any, arguments: Namespace) -> int:
    screen = None if arguments.json else new_screen()
    before = None
    try:
        while True:
            now = await get_overview(client, arguments)
            if screen is None:
                print(json.dumps(now.as_json()), flush=True)
            else:
                screen.replace(status_page(now, before))
            before = now
            await deferLater(reactor, arguments.interval)
    except CancelledError:
        return ExitCode.OK  # Ctrl-C ends it
    finally:
        if screen is not None:
            screen.close()
