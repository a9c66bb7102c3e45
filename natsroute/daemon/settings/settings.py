"""
The settings: Kamailio's modparams under their own names, and natsroute's own, as one validated value.

Each setting is written once, in the group that it belongs to. The command line, the environment variables and their
help come from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from natsroute.daemon.settings.connection_settings import ConnectionSettings
from natsroute.daemon.settings.contexts import with_context
from natsroute.daemon.settings.htable_entry import check_htables
from natsroute.daemon.settings.jetstream_entries import AnyEntry
from natsroute.daemon.settings.jetstream_settings import JetStreamSettings
from natsroute.daemon.settings.kamailio_settings import with_kamailio_cfg
from natsroute.daemon.settings.operation_settings import OperationSettings
from natsroute.daemon.settings.process_settings import ProcessSettings
from natsroute.daemon.settings.routing_settings import RoutingSettings
from natsroute.daemon.settings.service_settings import ServiceSettings
from natsroute.daemon.settings.sources import Arguments, Environment, Origins, Source, merged
from natsroute.errors import SettingError
from natsroute.kamailio.cfg.document import KamailioCfg


@attrs.frozen(kw_only=True)
class Settings(
    ProcessSettings, OperationSettings, ServiceSettings, JetStreamSettings, RoutingSettings, ConnectionSettings
):
    """
    All settings of a natsroute service.

    ``Settings(...)`` takes values from a program and reads nothing else. :meth:`from_environment` and :meth:`load` read
    variables and other sources too, a ``kamailio_cfg``, and the file of a ``nats_context``. Numbers and switches may
    also be text, as they are in a variable.

    :param origins: where each value came from; :meth:`load` gives it.
    :param cfg: the ``kamailio_cfg``, read; None if there is none. :meth:`load` gives it.
    :param warnings: what is wrong with the settings, although it is allowed; :meth:`load` gives them.
    :param first_process: False for all processes but the first, if there are several: the first one logs the warnings
        for all of them.
    :param parent_measures: whether the parent of this process measures durations; None if it has no parent.
    :param again: reads the same sources anew; :meth:`load` gives it. None: the program gave the values.
    :raises SettingError: a setting cannot work. The error names the setting, the value without credentials, where the
        value came from, and the remedy.
    """

    cfg: KamailioCfg | None = attrs.field(default=None, eq=False)
    warnings: tuple[str, ...] = attrs.field(default=(), eq=False)
    first_process: bool = attrs.field(default=True, eq=False)
    parent_measures: bool | None = attrs.field(default=None, eq=False)
    again: Callable[[], Settings] | None = attrs.field(default=None, eq=False)

    def __attrs_post_init__(self) -> None:
        for name in ("nats_context", "kamailio_cfg"):
            if getattr(self, name) and name not in self.origins:
                raise SettingError(
                    name,
                    getattr(self, name),
                    "Settings(...) reads no files",
                    f"Use Settings.from_environment(os.environ, {name}={getattr(self, name)!r})",
                )
        self.check()
        check_htables(self.kamailio_htable, self.cfg)

    def __repr__(self) -> str:
        entries = ", ".join(map(str, self.entries))
        return f"<Settings for {', '.join(map(str, self.servers))}; {entries or 'no subject_queue_group'}>"

    @property
    def entries(self) -> tuple[AnyEntry, ...]:
        """What is consumed: each becomes a consumer with its own connection, in this order."""
        return *self.subject_queue_group, *self.jetstream_consumer, *self.jetstream_replay

    @property
    def measures_durations(self) -> bool:
        """Whether durations are measured for the metrics: only if there is a way to have them."""
        return super().measures_durations if self.parent_measures is None else self.parent_measures

    @classmethod
    def load(cls, sources: Iterable[Source], environment: Mapping[str, str]) -> Settings:
        """
        Settings from several sources. Where two have the same setting, the first source wins. Below them is the
        ``kamailio_cfg``, if it is set, below that the context of the ``nats`` tool that ``nats_context`` names, and
        below that are the defaults.

        :param environment: variables that tell where the files of contexts are, and that a ``kamailio_cfg`` may use.
        :raises SettingError: as the class does, and if a source cannot be read.
        :raises ScriptError: the ``kamailio_cfg`` cannot be read or is malformed.
        """
        sources = tuple(sources)
        given = merged(sources)
        with Origins.of(given).in_errors():
            from_cfg = with_kamailio_cfg(given, environment, SETTING_FIELDS)
        given = from_cfg.given
        with Origins.of(given).in_errors():
            given = with_context(given, environment)
        values: dict[str, Any] = {name: one.value for name, one in given.items()}
        origins = Origins.of(given)
        with origins.in_errors():
            return cls(
                **values,
                origins=origins,
                cfg=from_cfg.cfg,
                warnings=from_cfg.warnings,
                again=lambda: cls.load(sources, environment),
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], **settings: Any) -> Settings:
        """
        Settings from variables named ``NATSROUTE_`` and the setting in capitals. Commas separate the values of a
        repeatable setting. An empty variable counts as absent.

        :param settings: settings that win over the variables.
        :raises SettingError: as the class does; also for a variable with that prefix that is not a setting.
        """
        return cls.load([Arguments(settings), Environment(environment, SETTING_FIELDS)], environment)


#: The fields of the settings by name, each with ``help``, ``repeatable`` and ``flag`` in its metadata.
SETTING_FIELDS = {field.name: field for field in attrs.fields(Settings) if "help" in field.metadata}
