"""``natsroute calls``: shows the calls of event routes in flight."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from natsroute.console.overview_pages import calls_page
from natsroute.console.session import add_page_arguments, show_page


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_page_arguments(parser)


async def run(reactor: Any, arguments: Namespace) -> int:
    """Show them; returns 0."""
    return await show_page(reactor, arguments, "calls", calls_page)
