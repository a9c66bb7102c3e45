"""The command line of ``twistd natsroute``: the settings, each under its own name, with underscores or dashes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
from twisted.python.usage import Options as TwistedOptions
from twisted.python.usage import UsageError

from natsroute._version import __version__
from natsroute.daemon.service import NatsrouteService
from natsroute.daemon.settings import ENVIRONMENT_PREFIX, SETTING_FIELDS, Settings
from natsroute.errors import SettingError


@contextmanager
def _mistakes_end_the_program() -> Iterator[None]:
    """Exit code 1 and one message, without traceback and without the whole help before it."""
    try:
        yield
    except (UsageError, SettingError) as error:
        raise SystemExit(f"natsroute: {error}") from None


def makeService(options: Options) -> NatsrouteService:
    """What ``twistd natsroute`` runs."""
    with _mistakes_end_the_program():
        return NatsrouteService(options.settings)


def service_from_environment(environment: Mapping[str, str] = os.environ) -> NatsrouteService:
    """What ``natsroute.tac`` runs: all settings are variables, as ``NATSROUTE_NATS_URL``."""
    with _mistakes_end_the_program():
        return NatsrouteService(Settings.from_environment(environment))


class Options(TwistedOptions):
    """
    Command line to :class:`~natsroute.daemon.settings.Settings`. What is not given there is taken from the
    environment.

    A mistake ends the program with exit code 1 and one message, not with the whole help before it.

    :ivar settings: the settings, once the command line is parsed.
    """

    synopsis = "[--nats_url URL] [--subject_queue_group SUBJECT:GROUP ...] [--event_routes FILE ...]"
    longdesc = (
        "Runs event routes in Python for NATS messages, as Kamailio's nats module does in its script. Each option is "
        "also a variable, so that a password need not be on the command line: "
        f"{ENVIRONMENT_PREFIX}NATS_URL=nats://user:password@host."
    )

    settings: Settings

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}
        super().__init__()

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        with _mistakes_end_the_program():
            super().parseOptions([_with_dashes(option) for option in (sys.argv[1:] if options is None else options)])

    def getUsage(self, width: int | None = None) -> str:
        # usage.Options knows its methods by names with dashes; the help shows the names of the modparams.
        usage: str = super().getUsage(width)
        return re.sub(r"--[a-z-]+", lambda found: _with_underscores(found[0]), usage)

    def opt_version(self) -> None:
        """Print natsroute's version and exit."""
        print(f"natsroute {__version__.public()}")
        raise SystemExit(0)

    def postOptions(self) -> None:
        self.settings = Settings.from_environment(os.environ, **self.given)


def _with_dashes(option: str) -> str:
    name, equals, value = option.partition("=")
    return name.replace("_", "-") + equals + value if name[2:] in SETTING_FIELDS else option


def _with_underscores(option: str) -> str:
    name = option[2:].replace("-", "_")
    return f"--{name}" if name in SETTING_FIELDS else option


def _option(field: attrs.Attribute[Any]) -> Callable[..., None]:
    """The method that usage.Options calls for a setting."""
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
    default = "" if field.metadata["flag"] or field.default in ((), "") else f" [default: {field.default}]"
    method.__doc__ = f"{field.metadata['help']}{more}{default}"
    return method


for _field in SETTING_FIELDS.values():
    setattr(Options, f"opt_{_field.name}", _option(_field))
