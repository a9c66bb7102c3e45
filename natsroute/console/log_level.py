"""``natsroute log-level``: shows or changes what a running service logs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from natsroute.console.commands import ExitCode
from natsroute.console.session import add_service_arguments, client_of
from natsroute.text import printable


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_service_arguments(parser)
    parser.add_argument(
        "rules",
        nargs="*",
        metavar="[NAMESPACE=]LEVEL",
        help="the least level to log, for all or for a namespace such as natsroute.client; none: show the levels",
    )


async def run(reactor: Any, arguments: Namespace) -> int:
    """Change the levels, and print those that there are then; returns 0."""
    client = client_of(reactor, arguments)
    params = {"rules": arguments.rules} if arguments.rules else {}
    answer = await client.call("log_level", params, timeout=arguments.timeout)
    for rule in answer["rules"]:
        print(printable(str(rule)))
    return ExitCode.OK
