"""The contexts of the ``nats`` command line tool: the files in which it keeps how to reach a server."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from natsroute.client.servers import parse_url
from natsroute.daemon.settings.fields import check_text, flag_value, nats_urls
from natsroute.daemon.settings.sources import LOGIN, TLS, Given, Origins
from natsroute.errors import SettingError

_SETTING = "nats_context"

_TEXTS = {"user": "user", "password": "password", "token": "token"}
_SUBJECTS = ("inbox_prefix", "jetstream_domain", "jetstream_api_prefix")
_FILES = {
    "creds": "creds_file",
    "nkey": "nkey_file",
    "ca": "tls_ca_file",
    "cert": "tls_cert_file",
    "key": "tls_key_file",
}
_SWITCHES = ("tls", "tls_first")

#: These change where or as whom we connect. To ignore them could be dangerous.
_UNSUPPORTED = {
    "nsc": "Have nsc write a credentials file (nsc generate creds), and name that in creds",
    "socks_proxy": "Use a server that can be reached without a proxy",
    "user_jwt": "Put it and its seed into a credentials file, and name that in creds",
    "user_seed": "Put it and its JWT into a credentials file, and name that in creds",
}

#: Values that the tool looks up elsewhere (natscontext's credential resolvers).
_REFERENCE = re.compile(r"(?:op|nsc|env|data):", re.IGNORECASE)
_FILE_REFERENCE = re.compile(r"file:(?://)?", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class NatsContext:
    """
    A context of the ``nats`` tool, as a source of settings.

    :param name: the name that ``nats context ls`` shows.
    :param environment: for ``XDG_CONFIG_HOME`` and ``HOME``, and for the variables in the context's paths.
    """

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        self._name = name
        self._environment = environment

    def values(self) -> dict[str, Given]:
        """
        Read the context. Empty fields are left out, and so are those that concern only the tool itself.

        :return: settings by name, their values as text or 1.
        :raises SettingError: there is no such context, it cannot be read, or it asks for something that natsroute does
            not support. The error shows no value of the context.
        """
        fields = self._read()
        for field, remedy in _UNSUPPORTED.items():
            if self._text(fields, field):
                raise self._error(f"it asks for {field!r}, which natsroute does not support", remedy)
        found: dict[str, Given] = {}

        def add(setting: str, value: str | int, field: str) -> None:
            if value:
                found[setting] = Given(value, f'nats context {self._name}, its "{field}"')

        urls = _with_schemes(self._text(fields, "url"))
        add("nats_url", ",".join(urls), "url")
        for field, setting in _TEXTS.items():
            value = self._text(fields, field)
            # The tool looks up a password or token that is a reference. It takes a user literally.
            if field != "user" and (_REFERENCE.match(value) or _FILE_REFERENCE.match(value)):
                raise self._reference(field)
            add(setting, value, field)
        for field in _SUBJECTS:
            add(field, self._text(fields, field), field)
        for field, setting in _FILES.items():
            add(setting, self._path(fields, field), field)
        if self._field(fields, "tls_first", bool, "true or false"):
            add("tls_first", 1, "tls_first")
        asking = [field for field in ("ca", "cert", "key") if _FILES[field] in found]
        asking += ["tls_first"] if "tls_first" in found else []
        asking += ["url"] if any(url.lower().startswith(("tls://", "wss://")) for url in urls) else []
        if asking:  # also for servers that another source gives: the context's login was meant for TLS
            add("tls", 1, asking[0])
        return found

    def _read(self) -> dict[str, Any]:
        """The fields of the context, with their names in lower case."""
        name = self._name
        if not name or re.search(r"[/\\]|\.\.", name) or not name.isprintable():
            raise self._error("it cannot be the name of a context", "Give one that nats context ls shows")
        folder = self._folder()
        try:
            data = (folder / f"{name}.json").read_bytes()
        except FileNotFoundError:
            known = sorted(path.stem for path in folder.glob("*.json"))
            remedy = f"Give one of {', '.join(known)}" if known else f"Create it with: nats context save {name}"
            raise self._error(f"there is no such context in {folder}", remedy) from None
        except OSError as error:
            remedy = f"Make it readable for natsroute's user, in {folder}"
            raise self._error(f"it cannot be read: {error.strerror}", remedy) from None
        problem = ""
        try:
            fields = json.loads(data.decode())
        except (ValueError, RecursionError):  # these exceptions, and their texts, hold the content of the file
            problem = "it is not JSON"
        else:
            if isinstance(fields, dict):
                # As Go reads JSON: names in any case, and null is no value.
                return {field.lower(): value for field, value in fields.items() if value is not None}
            problem = "it is not a JSON object"
        raise self._error(problem, f"Rewrite it with: nats context edit {name}")

    def _folder(self) -> Path:
        if self._environment.get("XDG_CONFIG_HOME"):
            return Path(self._environment["XDG_CONFIG_HOME"], "nats", "context")
        if self._environment.get("HOME"):
            return Path(self._environment["HOME"], ".config", "nats", "context")
        raise self._error("neither XDG_CONFIG_HOME nor HOME is set", "Set one of them")

    def _text(self, fields: Mapping[str, Any], field: str) -> str:
        text: str = self._field(fields, field, str, "text")
        return text

    def _field(self, fields: Mapping[str, Any], field: str, kind: type, what: str) -> Any:
        value = fields.get(field, kind())
        if not isinstance(value, kind):
            raise self._error(f"its {field!r} is not {what}", f"Correct it: nats context edit {self._name}")
        return value

    def _path(self, fields: Mapping[str, Any], field: str) -> str:
        text = self._text(fields, field)
        reference = _FILE_REFERENCE.match(text)
        path = self._expand(text[reference.end() :] if reference else text)
        if _REFERENCE.match(path):
            raise self._reference(field)
        return path

    def _expand(self, path: str) -> str:
        """``$VAR``, ``${VAR}`` and then ``~``. As for the tool, a variable that is not set is empty."""
        path = _VARIABLE.sub(lambda found: self._environment.get(found[1] or found[2], ""), path)
        return self._environment.get("HOME", "~") + path[1:] if path.startswith("~") else path

    def _reference(self, field: str) -> SettingError:
        problem = f"its {field!r} refers to something that the nats tool looks up elsewhere"
        return self._error(problem, "Write the value itself, or the path of the file, into the context")

    def _error(self, problem: str, remedy: str) -> SettingError:
        return SettingError(_SETTING, self._name, problem, remedy)


def with_context(given: Mapping[str, Given], environment: Mapping[str, str]) -> dict[str, Given]:
    """
    Add what the ``nats_context`` among some settings says, if there is one.

    It adds servers, a login, TLS, and where inboxes and JetStream are, each only if there is nothing of the kind: a
    login given above is not mixed with the context's.

    :param given: settings from the sources above.
    :raises SettingError: as :meth:`NatsContext.values`; also if the context's URL holds a login and another is given.
    """
    settings = dict(given)
    if "nats_context" not in given or not (name := check_text(_SETTING, given["nats_context"].value)):
        return settings
    context = NatsContext(name, environment).values()
    if _has(given, LOGIN) and not _has(given, ("nats_url",)) and _has_login_in_url(context):
        problem = "its url has a login, and there is one in the settings too"
        raise SettingError(_SETTING, name, problem, "Leave one of them out")
    for group in (("nats_url",), LOGIN, TLS, ("inbox_prefix",), ("jetstream_domain", "jetstream_api_prefix")):
        if not _has(given, group):
            settings.update({setting: context[setting] for setting in group if setting in context})
    return settings


def _has(given: Mapping[str, Given], group: Sequence[str]) -> bool:
    """Whether one of these settings is given, and neither empty nor off."""
    return any(
        flag_value(given[setting].value) is not False if setting in _SWITCHES else bool(given[setting].value)
        for setting in group
        if setting in given
    )


def _has_login_in_url(context: Mapping[str, Given]) -> bool:
    if "nats_url" not in context:
        return False
    with Origins.of(context).in_errors():
        return any(parse_url(url).credentials for url in nats_urls(str(context["nats_url"].value)))


def _with_schemes(text: str) -> list[str]:
    """The URLs as the tool understands them: without a scheme they are ``nats://``."""
    urls = [url.strip() for url in text.split(",") if url.strip()]
    return [url if "://" in url else f"nats://{url}" for url in urls]
