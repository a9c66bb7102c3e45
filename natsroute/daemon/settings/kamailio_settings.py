"""The settings that a ``kamailio.cfg`` has: the modparams of ``nats``, and what Kamailio ignores in silence."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

import attrs

from natsroute.client.servers import parse_url
from natsroute.daemon.settings.fields import check_text, file_path, nats_urls
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.daemon.settings.sources import TLS, Given
from natsroute.errors import SettingError
from natsroute.kamailio.cfg.document import KamailioCfg, Modparam
from natsroute.kamailio.cfg.files import find_included
from natsroute.kamailio.cfg.htables import tables_of
from natsroute.kamailio.cfg.reader import read_cfg
from natsroute.nearest import did_you_mean

SETTING = "kamailio_cfg"

#: The parameters of Kamailio's module, and whether each is a string or a number there. They are settings of this name.
_OF_NATS: dict[str, type] = {
    "nats_url": str,
    "num_publish_workers": int,
    "subject_queue_group": str,
    "event_callback": str,
    "tls": int,
    "tls_ca_file": str,
    "tls_cert_file": str,
    "tls_key_file": str,
    "tls_expected_hostname": str,
}

#: The modules whose parameter ``load`` names a KEMI script.
_KEMI_MODULES = ("app_lua", "app_python3", "app_python3s")
_KEMI_SCRIPT, _CALLBACK = "kemi_script", "event_callback"

#: The module that stands for natsroute: each of its parameters is a setting. Kamailio does not have it.
_OWN_MODULE = "natsroute"

# The limits of Kamailio's module.
_MAX_SERVERS, _MAX_URL = 10, 256
_TLS_SINCE = "6.2"

Field: TypeAlias = "attrs.Attribute[Any]"


@attrs.frozen
class CfgSettings:
    """
    Settings, with those of a ``kamailio.cfg`` among them.

    :ivar given: all settings.
    :ivar cfg: the file; None if there is none.
    :ivar warnings: what Kamailio ignores in silence, and what differs here, each as a sentence with its position.
    """

    given: dict[str, Given]
    cfg: KamailioCfg | None = None
    warnings: tuple[str, ...] = ()


def with_kamailio_cfg(
    given: Mapping[str, Given], environment: Mapping[str, str], fields: Mapping[str, Field]
) -> CfgSettings:
    """
    Add what the ``kamailio_cfg`` among some settings says, if there is one.

    A setting that is given already stays. If one of the settings for TLS is, the file adds none of them.

    :param given: settings from the sources above.
    :param environment: the environment variables, which the file may ask for.
    :param fields: the fields of all settings, by name.
    :raises SettingError: a modparam is unknown, its value is of the wrong kind or malformed, or there is an
        ``event_callback`` and no KEMI script.
    :raises ScriptError: the file is malformed.
    """
    settings = dict(given)
    path = given[SETTING].value if SETTING in given else ""
    if not path:
        return CfgSettings(settings)
    cfg = read_cfg(check_text(SETTING, file_path(path)), environment)
    source = KamailioSettings(cfg, fields)
    found = source.values()
    if any(name in given for name in TLS):
        found = {name: one for name, one in found.items() if name not in TLS}
    settings = {**found, **settings}
    if _CALLBACK not in settings:
        settings = {name: one for name, one in settings.items() if one is not found.get(_KEMI_SCRIPT)}
    elif settings[_CALLBACK] is found.get(_CALLBACK) and _KEMI_SCRIPT in fields and _KEMI_SCRIPT not in settings:
        raise SettingError(
            _CALLBACK,
            settings[_CALLBACK].value,
            "it names a function of a KEMI script, and there is none",
            f"Load the script with {' or '.join(_KEMI_MODULES[:2])}, or set {_KEMI_SCRIPT}",
            origin=settings[_CALLBACK].origin,
        )
    return CfgSettings(settings, cfg, tuple(source.warnings()))


class KamailioSettings:
    """
    A ``kamailio.cfg`` as a source of settings.

    :param cfg: the file.
    :param fields: the fields of all settings, by name.
    """

    def __init__(self, cfg: KamailioCfg, fields: Mapping[str, Field]) -> None:
        self._cfg = cfg
        self._fields = {name: field for name, field in fields.items() if name != SETTING}

    def values(self) -> dict[str, Given]:
        """
        The parameters of ``nats`` and ``natsroute``, and the KEMI script of ``app_lua`` or ``app_python3``. The last
        value of a parameter counts, and all values of one that can be repeated. A script is looked for in the working
        directory, as in Kamailio, and then beside the file.

        :raises SettingError: a parameter is unknown, or its value is of the wrong kind or malformed.
        """
        found: dict[str, Given] = {}
        for modparam in self._cfg.modparams:
            name, value = modparam.name, modparam.value
            if modparam.module == "nats":
                value = self._of_nats(modparam)
            elif modparam.module == _OWN_MODULE:
                self._check_known(modparam, self._fields, "The documentation lists all settings")
            elif _loads_script(modparam) and _KEMI_SCRIPT in self._fields:
                name, value = _KEMI_SCRIPT, find_included(str(_checked(modparam, str)), self._cfg.path)
            else:
                continue
            if name in found and self._fields[name].metadata["repeatable"]:
                found[name] = Given([*found[name].value, value], found[name].origin)
            else:
                several = self._fields[name].metadata["repeatable"]
                found[name] = Given([value] if several else value, str(modparam.position))
        return found

    def warnings(self) -> Iterator[str]:
        """
        What Kamailio ignores in silence, or does differently, each as a sentence with its position.

        :raises ScriptError: a modparam of ``htable`` is malformed.
        """
        yield from map(str, (*self._cfg.warnings, *tables_of(self._cfg)[1]))
        modparams = self._cfg.modparams_of("nats")
        for modparam in modparams:
            yield from (f"{modparam.position}: {text}" for text in _warnings_of(modparam))
        servers = [modparam for modparam in modparams if modparam.name == "nats_url"]
        if len(servers) > _MAX_SERVERS:
            uses = f"of {len(servers)} nats_url, Kamailio uses the last {_MAX_SERVERS}, and natsroute all"
            yield f"{servers[0].position}: {uses}"
        if len(servers) > 1:
            yield (
                f"{servers[0].position}: Kamailio puts several nats_url into the reverse order and shuffles them. "
                "natsroute shuffles them, or keeps the order of the file with keep_url_order. Each connection uses one "
                "at a time"
            )

    def _of_nats(self, modparam: Modparam) -> Any:
        self._check_known(modparam, _OF_NATS, f"Its parameters are {', '.join(_OF_NATS)}")
        value = _checked(modparam, _OF_NATS[modparam.name])
        try:
            if modparam.name == "subject_queue_group":
                return QueueEntry.parse(str(value))  # a comma in it is a part of the subject
            if modparam.name == "nats_url":
                for url in nats_urls(str(value)):
                    parse_url(url)
        except SettingError as error:
            raise SettingError(
                error.setting, error.value, error.problem, error.remedy, origin=str(modparam.position)
            ) from None
        return value

    def _check_known(self, modparam: Modparam, known: Collection[str], otherwise: str) -> None:
        if modparam.name not in known:
            remedy = did_you_mean(modparam.name, known, otherwise, prefix="")
            raise _error(modparam, f"{modparam.module} has no such parameter", remedy)


def _loads_script(modparam: Modparam) -> bool:
    if modparam.name == "script_name":  # the former name of the parameter
        return modparam.module == "app_python3"
    return modparam.name == "load" and modparam.module in _KEMI_MODULES


def _checked(modparam: Modparam, kind: type) -> int | str:
    """
    The value.

    :raises SettingError: it is of another kind.
    """
    if not isinstance(modparam.value, kind):
        what, remedy = ("a string", "Write it in quotes") if kind is str else ("a number", "Write it without quotes")
        raise _error(modparam, f"it is {what} in Kamailio", remedy)
    return modparam.value


def _error(modparam: Modparam, problem: str, remedy: str) -> SettingError:
    return SettingError(modparam.name, "...", problem, remedy, origin=str(modparam.position))


def _warnings_of(modparam: Modparam) -> Iterator[str]:
    value = str(modparam.value)
    if modparam.name == "subject_queue_group" and ":" not in value:
        yield (f"subject_queue_group {value!r} has no group: Kamailio ignores it, and natsroute subscribes without one")
    if modparam.name == "nats_url" and len(value.encode("utf-8", "surrogateescape")) > _MAX_URL:
        yield f"a nats_url with more than {_MAX_URL} characters: Kamailio does not accept it"
    if modparam.name in TLS:
        yield f"{modparam.name}: Kamailio has it from version {_TLS_SINCE} on"
