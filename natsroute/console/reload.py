"""``natsroute reload``: loads the event routes of a running service anew."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from typing import Any

from natsroute.console.commands import ExitCode
from natsroute.console.session import add_service_arguments, client_of
from natsroute.text import printable

#: Seconds that a reload may take: new code is imported, and its hooks run.
_TIMEOUT = 60.0


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_service_arguments(parser, _TIMEOUT)
    parser.add_argument("--json", action="store_true", help="print what was loaded as JSON")


async def run(reactor: Any, arguments: Namespace) -> int:
    """Reload; returns 0."""
    loaded = await client_of(reactor, arguments).call("reload", timeout=arguments.timeout)
    if arguments.json:
        print(json.dumps(loaded, indent=2))
        return ExitCode.OK
    print("reloaded")
    for name, value in loaded.items() if isinstance(loaded, dict) else ():
        shown = _shown(value)
        if shown:
            print(f"  {printable(name.replace('_', ' '))}: {printable(shown)}")
    return ExitCode.OK


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.1f}" if isinstance(value, float) else str(value)
