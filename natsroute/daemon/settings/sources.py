"""
Where settings come from. A source is a class with one method, :meth:`Source.values`. Where two sources have the same
setting, the first one wins.

:meth:`Settings.load <natsroute.daemon.settings.settings.Settings.load>` takes them in this order: the command line
(:mod:`~natsroute.daemon.options`), the environment, a ``kamailio.cfg``
(:mod:`~natsroute.daemon.settings.kamailio_settings`), and a context of the ``nats`` tool
(:mod:`~natsroute.daemon.settings.contexts`). Defaults are those of
:class:`~natsroute.daemon.settings.settings.Settings` itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from typing import Protocol as Interface

import attrs

from natsroute.errors import SettingError
from natsroute.hot.choice import PURE_VARIABLE
from natsroute.nearest import did_you_mean

ENVIRONMENT_PREFIX = "NATSROUTE_"

#: Variables that have the prefix and are no settings: of the choice of the hot path, and of its build (``setup.py``).
HOT_PATH_VARIABLES = (PURE_VARIABLE, "NATSROUTE_EXTENSION")

#: The variables of a Service: how their names end, and what their values look like. The values matter because a name
#: like NATSROUTE_NATS_PORT may also be a mistake.
_OF_KUBERNETES = [
    (re.compile(name), re.compile(value))
    for name, value in (
        (r"_SERVICE_HOST$", r".+"),
        (r"_SERVICE_PORT(_\w+)?$", r"\d+"),
        (r"_PORT(_\d+_(TCP|UDP|SCTP))?$", r"(tcp|udp|sctp)://.+"),
        (r"_PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)$", r".+"),
    )
]

#: Settings that belong together. Where one source gives a login or TLS, a file below it gives nothing of the kind.
LOGIN = ("user", "password", "token", "nkey_file", "creds_file")
TLS = ("tls", "tls_ca_file", "tls_cert_file", "tls_key_file", "tls_expected_hostname", "tls_first")


@attrs.frozen
class Given:
    """
    A value as its source gives it: nobody has checked it yet.

    :ivar value: the raw value. It may be a secret, and is not in ``repr``.
    :ivar origin: where it came from, as an error says it; empty if the program gave it.
    """

    value: Any = attrs.field(repr=False)
    origin: str = ""


class Source(Interface):
    """Something that has settings."""

    def values(self) -> Mapping[str, Given]:
        """
        The settings that this source has, by name.

        :raises SettingError: the source cannot be read, or has something that is not a setting.
        """


class Arguments:
    """
    Settings that the program gives, as keyword arguments.

    Their errors name no origin: the traceback shows it.
    """

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._settings = settings

    def values(self) -> dict[str, Given]:
        """The arguments as they are."""
        return {name: Given(value) for name, value in self._settings.items()}


class Environment:
    """
    Variables named ``NATSROUTE_`` and the setting in capitals. An empty variable counts as absent.

    Kubernetes gives each container variables for each Service. Those of a Service whose name begins with ``natsroute``
    have the prefix, too, and are ignored.

    :param variables: all variables.
    :param known: the names of all settings.
    """

    def __init__(self, variables: Mapping[str, str], known: Collection[str]) -> None:
        self._variables = variables
        self._settings = {ENVIRONMENT_PREFIX + name.upper(): name for name in known}

    def values(self) -> dict[str, Given]:
        """
        The settings among the variables.

        :raises SettingError: a variable has the prefix and is not a setting.
        """
        found: dict[str, Given] = {}
        for variable, value in self._variables.items():
            if variable in self._settings:
                if value:
                    found[self._settings[variable]] = Given(value, variable)
            elif (
                variable.startswith(ENVIRONMENT_PREFIX)
                and variable not in HOT_PATH_VARIABLES
                and not _is_of_kubernetes(variable, value)
            ):
                otherwise = "'twistd natsroute --help' lists all settings"
                remedy = did_you_mean(variable, self._settings, otherwise, prefix=ENVIRONMENT_PREFIX)
                raise SettingError(variable, "...", "there is no such setting", remedy)
        return found


def _is_of_kubernetes(variable: str, value: str) -> bool:
    """Whether Kubernetes sets this variable, for a Service of any name and its ports."""
    return any(name.search(variable) and form.fullmatch(value) for name, form in _OF_KUBERNETES)


def merged(sources: Iterable[Source]) -> dict[str, Given]:
    """The settings of several sources. Where two have the same setting, the first source wins."""
    found: dict[str, Given] = {}
    for source in sources:
        found = {**source.values(), **found}
    return found


@attrs.frozen
class Origins:
    """
    Where each value of some settings came from.

    ``name in origins`` tells whether a source gave the setting.
    """

    _origins: Mapping[str, str] = attrs.field(factory=dict)

    @classmethod
    def of(cls, given: Mapping[str, Given]) -> Origins:
        """The origins of these values."""
        return cls({name: one.origin for name, one in given.items()})

    def __contains__(self, setting: str) -> bool:
        return setting in self._origins

    def __getitem__(self, setting: str) -> str:
        """The origin of a setting, or of several joined by ``" and "``; empty where there is none to name."""
        origins = [self._origins.get(name, "") for name in setting.split(" and ")]
        return " and ".join(dict.fromkeys(filter(None, origins)))

    @contextmanager
    def in_errors(self) -> Iterator[None]:
        """Within this context, each :class:`~natsroute.errors.SettingError` that is raised names the origin."""
        try:
            yield
        except SettingError as error:
            origin = self[error.setting]
            if error.origin or not origin:
                raise
            raise SettingError(error.setting, error.value, error.problem, error.remedy, origin=origin) from None
