"""The command line of ``twistd natsroute``. Each setting is an option, written with underscores or dashes."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.task import react
from twisted.python.usage import Options as TwistedOptions
from twisted.python.usage import UsageError

from natsroute._version import __version__
from natsroute.daemon.check import INSPECTIONS, connect_once, plan_lines
from natsroute.daemon.code.check_code import check_code
from natsroute.daemon.operations.process_log import ProcessLog, twistd_options
from natsroute.daemon.plan import Plan
from natsroute.daemon.processes.parent_service import ParentService
from natsroute.daemon.processes.role import Role
from natsroute.daemon.service import NatsrouteService
from natsroute.daemon.settings.settings import SETTING_FIELDS, Settings
from natsroute.daemon.settings.sources import ENVIRONMENT_PREFIX, Environment, Given
from natsroute.errors import ScriptError, SettingError
from natsroute.monitoring.log_levels import LogLevels
from natsroute.nearest import did_you_mean


@contextmanager
def _one_message_for_errors() -> Iterator[None]:
    """End the program with exit code 1 and one message, without a traceback and without the whole help before it."""
    try:
        yield
    except (UsageError, SettingError, ScriptError) as error:
        raise SystemExit(f"natsroute: {error}") from None


@contextmanager
def _did_you_mean() -> Iterator[None]:
    """Where an unknown option is named, name the nearest one, too."""
    try:
        yield
    except UsageError as error:
        found = re.fullmatch(r"option --(\S+) not recognized", str(error))
        if found is None:
            raise
        known = [f"--{name}" for name in (*SETTING_FIELDS, *_OTHER_OPTIONS)]
        remedy = did_you_mean(
            "--" + found[1].replace("-", "_"), known, "'twistd natsroute --help' lists all options", prefix="--"
        )
        raise UsageError(f"option --{found[1]} not recognized. {remedy}") from None


#: The options that are no settings.
_OTHER_OPTIONS = ("check", "check_connect")


def makeService(options: Options) -> Service:
    """
    The service that ``twistd natsroute`` runs.

    :raises SystemExit: a setting cannot work; the exit code is 1, and the message says what to do.
    """
    log = None if options.parent is None else ProcessLog(options.settings, options.parent)
    return _service(options.settings, options.arguments, log)


def service_from_environment(
    environment: MutableMapping[str, str] = os.environ, arguments: Sequence[str] = sys.argv
) -> Service:
    """
    The service that ``natsroute.tac`` runs. All settings come from variables such as ``NATSROUTE_NATS_URL``.

    :param arguments: the command line of twistd, which tells where the log goes.
    :raises SystemExit: as :func:`makeService`.
    """
    with _one_message_for_errors():
        settings = Settings.from_environment(environment)
        log = ProcessLog(settings, twistd_options(arguments))
    return _service(settings, (), log, environment)


def _service(
    settings: Settings,
    arguments: Sequence[str],
    log: ProcessLog | None,
    environment: MutableMapping[str, str] = os.environ,
) -> Service:
    with _one_message_for_errors():
        if settings.processes == 1:
            return NatsrouteService(settings, owns_process=True, process_log=log)
        return ParentService(settings, tuple(arguments), os.getcwd(), environment=environment, process_log=log)


def child_service(role: Role, use_levels: Callable[[LogLevels], object]) -> NatsrouteService:
    """
    The service that one of several processes runs. It gets the command line and the environment of its parent.

    :param use_levels: called with the levels of the log.
    :raises SystemExit: as :func:`makeService`.
    """
    options = Options()
    options.parseOptions(role.arguments)
    log = ProcessLog(options.settings, {})
    log.levels.change(role.log_level)
    use_levels(log.levels)
    with _one_message_for_errors():
        return NatsrouteService(role.applied_to(options.settings), owns_process=True, process_log=log)


class CommandLine:
    """
    The options of ``twistd natsroute``, as a source of settings.

    :param options: the settings given, each as text, a list of texts if it is repeatable, or True.
    """

    def __init__(self, options: Mapping[str, object]) -> None:
        self._options = options

    def values(self) -> dict[str, Given]:
        """The options as they were written."""
        return {name: Given(value, f"--{name}") for name, value in self._options.items()}


class Options(TwistedOptions):
    """
    Parses the command line of ``twistd natsroute``. What it does not say comes from the environment.

    An error ends the program with exit code 1 and one message, without the whole help before it.

    :ivar settings: the settings, once the command line is parsed.
    :ivar arguments: the command line as it was given.
    """

    synopsis = "[--nats_url URL] [--subject_queue_group SUBJECT:GROUP ...] [--event_routes FILE ...]"
    longdesc = (
        "Runs event routes in Python for NATS messages, as Kamailio's nats module does in its script. Each option is "
        "also an environment variable, so that a password need not be on the command line: "
        f"{ENVIRONMENT_PREFIX}NATS_URL=nats://user:password@host."
    )

    settings: Settings

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}
        self.arguments: tuple[str, ...] = ()
        self._check = self._check_connect = False
        super().__init__()

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        self.arguments = tuple(sys.argv[1:] if options is None else options)
        with _one_message_for_errors(), _did_you_mean():
            super().parseOptions([_with_dashes(option) for option in self.arguments])

    def getUsage(self, width: int | None = None) -> str:
        # usage.Options names its methods with dashes; the help shows the names of the modparams.
        usage: str = super().getUsage(width)
        return re.sub(r"--[a-z-]+", lambda found: _with_underscores(found[0]), usage)

    def opt_version(self) -> None:
        """Print natsroute's version and exit."""
        print(f"natsroute {__version__.public()}")
        raise SystemExit(0)

    def opt_check(self) -> None:
        """
        Load everything in another process, print what would run, and exit: 0 if it would run, 1 if not. Nothing is
        started.
        """
        self._check = True

    def opt_check_connect(self) -> None:
        """As --check, and connect to each server once. Exits with 1 if none of them can be used."""
        self._check = self._check_connect = True

    def postOptions(self) -> None:
        self.settings = Settings.load([CommandLine(self.given), Environment(os.environ, SETTING_FIELDS)], os.environ)
        if self._check:  # before twistd looks for its pid file
            _print_plan(self.settings)
            if self._check_connect:
                react(_print_servers, [self.settings])
            raise SystemExit(0)


def _print_plan(settings: Settings) -> None:
    """
    Print what would run.

    :raises SystemExit: the code cannot be loaded.
    """
    checked = check_code(settings)  # in another process, which it may block or end
    for line in checked.printed:
        print(f"printed while it was loaded: {line}")
    if checked.problem is not None:
        raise SystemExit(f"natsroute: {checked.problem}")
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # it was shown
        service = NatsrouteService(settings)
        lines = list(plan_lines(settings, Plan.of(settings, service.routing, INSPECTIONS)))
    for line in lines:
        print(line)


async def _print_servers(reactor: Any, settings: Settings) -> None:
    """
    Connect to the servers.

    :raises SystemExit: none of them can be used; the exit code is 1.
    """
    print()
    if settings.embedded_server:
        print("The embedded server is not started")
        return
    results = await connect_once(reactor, settings)
    for result in results:
        print(result)
    if all(result.reason is not None for result in results):
        raise SystemExit(1)


def _with_dashes(option: str) -> str:
    name, equals, value = option.partition("=")
    return name.replace("_", "-") + equals + value if name[2:] in (*SETTING_FIELDS, *_OTHER_OPTIONS) else option


def _with_underscores(option: str) -> str:
    name = option[2:].replace("-", "_")
    return f"--{name}" if name in (*SETTING_FIELDS, *_OTHER_OPTIONS) else option


def _option(field: attrs.Attribute[Any]) -> Callable[..., None]:
    """The method that usage.Options calls for an option."""
    if field.metadata["flag"]:

        def flag(self: Options) -> None:
            self.given[field.name] = True

        method: Callable[..., None] = flag
    elif field.metadata["repeatable"]:

        def collect(self: Options, value: str) -> None:
            self.given.setdefault(field.name, []).append(value)

        method = collect
    else:

        def store(self: Options, value: str) -> None:
            self.given[field.name] = value

        method = store
    more = " May be repeated." if field.metadata["repeatable"] else ""
    value = int(field.default) if isinstance(field.default, bool) else field.default
    default = "" if field.metadata["flag"] or value in ((), "") else f" [default: {value}]"
    method.__doc__ = f"{field.metadata['help']}{more}{default}"
    return method


for _field in SETTING_FIELDS.values():
    setattr(Options, f"opt_{_field.name}", _option(_field))
