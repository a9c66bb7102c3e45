"""The settings of a service as arguments of a command: under the same names, and with the same other sources."""

from __future__ import annotations

import os
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Collection, Mapping

import attrs

from natsroute.console.commands import ExitCode
from natsroute.console.session import ConsoleError
from natsroute.daemon.options import CommandLine
from natsroute.daemon.settings.connection_settings import ConnectionSettings
from natsroute.daemon.settings.routing_settings import RoutingSettings
from natsroute.daemon.settings.settings import SETTING_FIELDS, Settings
from natsroute.daemon.settings.sources import Environment
from natsroute.errors import ScriptError, SettingError


def _names(group: type) -> list[str]:
    return [field.name for field in attrs.fields(group) if field.name in SETTING_FIELDS]


#: How a server is reached. A command connects to a server that runs, so the settings of an embedded one are left out.
CONNECTION = [name for name in _names(ConnectionSettings) if not name.startswith("embedded_server")]
#: What runs, and how.
ROUTING = _names(RoutingSettings)


def add_setting_arguments(parser: ArgumentParser, names: Collection[str], title: str) -> None:
    """
    Add settings to the arguments of a command.

    :param names: which.
    :param title: their title in the help.
    """
    group = parser.add_argument_group(title, "each is also a variable, such as NATSROUTE_NATS_URL")
    for name in names:
        field = SETTING_FIELDS[name]
        spellings = dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"])
        help_text = field.metadata["help"].replace("%", "%%")
        if field.metadata["flag"]:
            group.add_argument(
                *spellings, dest=name, action="store_const", const=True, default=SUPPRESS, help=help_text
            )
        else:
            action = "append" if field.metadata["repeatable"] else "store"
            group.add_argument(*spellings, dest=name, action=action, default=SUPPRESS, metavar="VALUE", help=help_text)


def settings_of(arguments: Namespace, environment: Mapping[str, str] = os.environ) -> Settings:
    """
    The settings that the arguments and the environment give.

    :raises ConsoleError: one cannot work.
    """
    given = {name: value for name, value in vars(arguments).items() if name in SETTING_FIELDS}
    try:
        return Settings.load([CommandLine(given), Environment(environment, SETTING_FIELDS)], environment)
    except (SettingError, ScriptError) as error:
        raise ConsoleError(ExitCode.FAILED, str(error)) from None
