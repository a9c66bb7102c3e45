"""The settings of a NATS micro service: under which name the event routes that respond are announced."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from natsroute.daemon.settings.fields import check_text, described, text
from natsroute.daemon.settings.setting_group import SettingGroup
from natsroute.errors import SettingError
from natsroute.services.identity import is_version
from natsroute.wire.subjects import is_service_name

#: Between two entries, if a text has several: a comma in a value is one of the value.
_COMMA = re.compile(r",\s*(?=[^,=]+=)")


def metadata_entries(value: str | Mapping[str, str] | Iterable[str]) -> tuple[str, ...]:
    """
    A converter: one ``KEY=VALUE`` or several. A text may hold several with commas between them.

    :raises SettingError: one is not a text.
    """
    if isinstance(value, Mapping):
        given: Iterable[Any] = [f"{_text(key)}={_text(one)}" for key, one in value.items()]
        return tuple(given)
    several = value if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else [value]
    return tuple(entry.strip() for one in several for entry in _COMMA.split(_text(one)))


def _text(value: object) -> str:
    return check_text("service_metadata", value)


@attrs.frozen(kw_only=True, slots=False)
class ServiceSettings(SettingGroup):
    """The service that the event routes with ``responds=True`` are announced as (NATS ADR-32)."""

    service_name: str = text(
        "Announce the event routes that respond as a NATS micro service of this name, at $SRV.PING, $SRV.INFO and "
        "$SRV.STATS. It has letters, digits, - and _."
    )
    service_version: str = text("The semantic version of that service, such as 1.0.0.")
    service_description: str = text("What that service does, for people.")
    service_metadata: tuple[str, ...] = attrs.field(
        default=(),
        converter=metadata_entries,
        metadata=described("KEY=VALUE: anything else about this instance of that service.", repeatable=True),
    )

    def check(self) -> None:
        """Check these settings together."""
        super().check()
        for name in ("service_version", "service_description", "service_metadata"):
            if getattr(self, name) and not self.service_name:
                problem = "there is no service_name"
                raise SettingError(name, self._shown(name), problem, "Set service_name too, or leave it out")
        if not self.service_name:
            return
        if not is_service_name(self.service_name):
            problem = "it has something other than letters, digits, - and _"
            raise SettingError("service_name", self.service_name, problem, "Give a name such as billing")
        if not self.service_version:
            problem = "there is no service_version"
            raise SettingError("service_name", self.service_name, problem, "Set service_version too, such as 1.0.0")
        if not is_version(self.service_version):
            problem = "it is not a semantic version (https://semver.org)"
            raise SettingError("service_version", self.service_version, problem, "Give a version such as 1.0.0")
        if len(self.service_metadata_by_key) < len(self.service_metadata):
            problem = "a key is empty, is there twice, or has no value"
            raise SettingError(
                "service_metadata", self._shown("service_metadata"), problem, "Give each as KEY=VALUE, such as site=fra"
            )

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        return value if isinstance(value, str) else ", ".join(value)

    @property
    def service_metadata_by_key(self) -> dict[str, str]:
        """The ``service_metadata``, by key, without malformed ones."""
        split = [entry.partition("=") for entry in self.service_metadata]
        return {key: value for key, equals, value in split if key and equals}
