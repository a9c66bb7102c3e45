"""What the commands have in common: their arguments, the service that they are for, and how they end."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater, react

from natsroute.admin.client import AdminClient
from natsroute.admin.errors import AdminError, NoServiceError
from natsroute.console.commands import EXIT_CODES, ExitCode
from natsroute.console.pages import Page
from natsroute.console.services import Wanted, folders, running_services
from natsroute.console.terminal import discard_output, new_screen
from natsroute.monitoring.overview import Overview
from natsroute.text import printable

_SOCKET_VARIABLE = "NATSROUTE_ADMIN_SOCKET"
_DEFAULT_TIMEOUT = 5.0


class CommandModule(Protocol):
    """A module with a command; see :mod:`natsroute.console.commands`."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments of the command."""

    async def run(self, reactor: Any, arguments: Namespace) -> int:
        """Run it; returns the exit code."""


class ConsoleError(Exception):
    """
    Ends the command with a message.

    :ivar code: the exit code.
    """

    def __init__(self, code: ExitCode, text: str) -> None:
        super().__init__(text)
        self.code = code


def add_service_arguments(parser: ArgumentParser, timeout: float = _DEFAULT_TIMEOUT) -> None:
    """Add the arguments that say which service a command is for, and how long to wait for it."""
    parser.add_argument("--name", help="the name of the service (client_name)")
    parser.add_argument("--pid", type=int, help="the process of the service")
    parser.add_argument(
        "--socket", metavar="PATH", help=f"the admin socket of the service [default: ${_SOCKET_VARIABLE}]"
    )
    parser.add_argument(
        "--timeout", type=float, default=timeout, metavar="SECONDS", help="how long to wait [default: %(default)s]"
    )


def client_of(
    reactor: Any, arguments: Namespace, environment: Mapping[str, str] = os.environ, uid: int | None = None
) -> AdminClient:
    """
    The client of the service that the arguments name, or of the only one that runs.

    :raises ConsoleError: there is none, or there are several.
    """
    path = arguments.socket or environment.get(_SOCKET_VARIABLE, "")
    if path and path != "off":
        return AdminClient(reactor, os.path.abspath(path))
    uid = os.geteuid() if uid is None else uid
    wanted = Wanted(arguments.name, arguments.pid)
    found = running_services(environment, uid)
    matching = [service for service in found if wanted.matches(service)]
    if len(matching) == 1:
        return AdminClient(reactor, matching[0].path)
    if matching:
        raise ConsoleError(ExitCode.USAGE, _lines("several services run; choose one with --pid or --name:", matching))
    if found:
        raise ConsoleError(ExitCode.NO_SERVICE, _lines("no such service runs; these do:", found))
    looked = ", ".join(map(str, folders(environment, uid)))
    raise ConsoleError(
        ExitCode.NO_SERVICE,
        f"no service of this user runs, or it has no admin socket in {looked}. --socket names another socket",
    )


async def get_overview(client: AdminClient, arguments: Namespace) -> Overview:
    """
    The overview of the service.

    :raises ConsoleError: the service has another version, which this one does not understand.
    """
    answer = await client.call("overview", timeout=arguments.timeout)
    try:
        return Overview.from_json(answer)
    except (KeyError, TypeError, AttributeError) as error:
        text = f"the answer of the service is not understood ({error!r}): it has another version. Use its own natsroute"
        raise ConsoleError(ExitCode.FAILED, text) from None


def add_page_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of a command that shows a part of the overview."""
    add_service_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


async def show_page(reactor: Any, arguments: Namespace, method: str, page: Callable[[Overview], Page]) -> int:
    """
    Show a part of the overview; returns 0.

    :param method: the admin method that gives the part as JSON.
    :param page: makes the page of it.
    """
    client = client_of(reactor, arguments)
    if arguments.json:
        print(json.dumps(await client.call(method, timeout=arguments.timeout), indent=2))
    else:
        new_screen().show(page(await get_overview(client, arguments)))
    return ExitCode.OK


def _lines(heading: str, rows: Sequence[object]) -> str:
    return "\n".join([heading, *(f"  {printable(str(row))}" for row in rows)])


def run_command(name: str, summary: str, module: CommandModule, words: Sequence[str]) -> NoReturn:
    """Run a command in the reactor, and end the process."""
    parser = ArgumentParser(
        prog=f"natsroute {name}",
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=EXIT_CODES,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    react(_in_reactor, (module, parser.parse_args(words)))


def _in_reactor(reactor: Any, module: CommandModule, arguments: Namespace) -> Deferred[None]:
    running = Deferred.fromCoroutine(_run(reactor, module, arguments))
    reactor.addSystemEventTrigger("before", "shutdown", running.cancel)  # Ctrl-C
    return running


async def _run(reactor: Any, module: CommandModule, arguments: Namespace) -> None:
    try:
        await deferLater(reactor, 0)  # not before the reactor runs: until then, SIGINT ends the process as it likes
        code = await module.run(reactor, arguments)
        sys.stdout.flush()
    except ConsoleError as error:
        code = _complain(str(error), error.code)
    except NoServiceError as error:
        code = _complain(str(error), ExitCode.NO_SERVICE)
    except AdminError as error:
        code = _complain(str(error), ExitCode.FAILED)
    except CancelledError:
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:  # such as of "natsroute status | head -1"
        discard_output()
        code = ExitCode.FAILED
    raise SystemExit(int(code))


def _complain(text: str, code: ExitCode) -> ExitCode:
    print(f"natsroute: {text}", file=sys.stderr)
    return code
