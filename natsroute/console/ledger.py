"""``natsroute ledger``: shows what became of each message."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from natsroute.console.overview_pages import ledger_page
from natsroute.console.session import add_page_arguments, show_page


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_page_arguments(parser)


async def run(reactor: Any, arguments: Namespace) -> int:
    """Show them; returns 0."""
    return await show_page(reactor, arguments, "ledger", ledger_page)
