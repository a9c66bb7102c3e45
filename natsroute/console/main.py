"""
The dispatcher of the console command ``natsroute``.

It imports little by itself: ``natsroute run`` starts as fast as ``twistd`` does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from natsroute.console.commands import COMMANDS, EXIT_CODES, Command, ExitCode
from natsroute.nearest import did_you_mean
from natsroute.text import printable


def main(words: Sequence[str] | None = None) -> NoReturn:
    """
    Run a command and end the process.

    :param words: what follows the name of the program; None: the command line of this process.
    """
    name, *rest = (sys.argv[1:] if words is None else list(words)) or [""]
    if name in COMMANDS:
        _run(name, COMMANDS[name], rest)
    if name in ("--help", "-h", "help"):
        print(_help())
        raise SystemExit(ExitCode.OK)
    if name == "--version":
        from natsroute import __version__

        print(f"natsroute {__version__}")
        raise SystemExit(ExitCode.OK)
    if name:
        remedy = did_you_mean(name, COMMANDS, "'natsroute --help' lists all commands", prefix="")
        print(f"natsroute: there is no command {printable(name, 40)!r}. {remedy}", file=sys.stderr)
    else:
        print(_help(), file=sys.stderr)
    raise SystemExit(ExitCode.USAGE)


def _run(name: str, command: Command, words: list[str]) -> NoReturn:
    module = import_module(command.module)
    if command.raw:
        module.run(words)
        raise SystemExit(ExitCode.OK)
    from natsroute.console.session import run_command

    run_command(name, command.summary, module, words)


def _help() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: natsroute COMMAND [OPTIONS]",
            "",
            "Runs natsroute, and shows and controls the services of this user that run.",
            "",
            "Commands:",
            *lines,
            "",
            "'natsroute COMMAND --help' explains a command. 'natsroute --version' prints the version.",
            EXIT_CODES,
        ]
    )
