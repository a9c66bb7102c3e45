"""``natsroute ledger``: shows what became of each message."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from typing import Any

from natsroute.console.commands import ExitCode
from natsroute.console.overview_pages import ledger_page
from natsroute.console.session import add_service_arguments, client_of, get_overview
from natsroute.console.terminal import new_screen


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_service_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


async def run(reactor: Any, arguments: Namespace) -> int:
    """Show them; returns 0."""
    client = client_of(reactor, arguments)
    if arguments.json:
        print(json.dumps(await client.call("ledger", timeout=arguments.timeout), indent=2))
    else:
        new_screen().show(ledger_page(await get_overview(client, arguments)))
    return ExitCode.OK
