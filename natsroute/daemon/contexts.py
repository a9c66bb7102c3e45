"""The contexts of the ``nats`` command line tool: the files in which it keeps how a server is reached."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from natsroute.errors import SettingError

_SETTING = "nats_context"

_TEXTS = {"user": "user", "password": "password", "token": "token"}
_FILES = {
    "creds": "creds_file",
    "nkey": "nkey_file",
    "ca": "tls_ca_file",
    "cert": "tls_cert_file",
    "key": "tls_key_file",
}

#: What would change where or as whom we connect; to leave it out in silence could be dangerous.
_UNKNOWN_TO_US = {
    "nsc": "Have nsc write a credentials file (nsc generate creds), and name that in creds",
    "socks_proxy": "Use a server that can be reached without a proxy",
    "user_jwt": "Put it and its seed into a credentials file, and name that in creds",
    "user_seed": "Put it and its JWT into a credentials file, and name that in creds",
}

#: Values that the tool looks up elsewhere (natscontext's credential resolvers).
_REFERENCE = re.compile(r"(?:op|nsc|env|data):", re.IGNORECASE)
_FILE_REFERENCE = re.compile(r"file:(?://)?", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def context_settings(name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """
    Read a context.

    Fields that are empty are left out, and so are those that concern only the tool itself or JetStream.

    :param name: as ``nats context ls`` shows it.
    :param environment: for ``XDG_CONFIG_HOME`` and ``HOME``, and for the variables in the context's paths.
    :return: settings by name, their values as text or 1.
    :raises SettingError: there is no such context, it cannot be read, or it has something in it that natsroute cannot
        do. No value from it is in the error.
    """
    fields = _read(name, environment)
    for field, remedy in _UNKNOWN_TO_US.items():
        if _text(name, fields, field):
            raise SettingError(_SETTING, name, f"natsroute cannot do what its {field!r} asks for", remedy)
    settings: dict[str, Any] = {"nats_url": _urls(_text(name, fields, "url"))}
    for field, setting in _TEXTS.items():
        settings[setting] = _text(name, fields, field)
        # The tool looks up a password or token that is a reference, and takes a user as it is.
        if field != "user" and (_REFERENCE.match(settings[setting]) or _FILE_REFERENCE.match(settings[setting])):
            raise _reference(name, field)
    for field, setting in _FILES.items():
        text = _text(name, fields, field)
        found = _FILE_REFERENCE.match(text)
        settings[setting] = _expand(text[found.end() :] if found else text, environment)
        if _REFERENCE.match(settings[setting]):
            raise _reference(name, field)
    first = _field(name, fields, "tls_first", bool, "true or false")
    if first:
        settings["tls_first"] = 1
    if first or any(settings[_FILES[field]] for field in ("ca", "cert", "key")):
        settings["tls"] = 1
    return {setting: value for setting, value in settings.items() if value}


def _read(name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a context, their names in small letters."""
    if not name or re.search(r"[/\\]|\.\.", name) or not name.isprintable():
        raise SettingError(_SETTING, name, "it cannot be the name of a context", "Give one that nats context ls shows")
    folder = _folder(name, environment)
    try:
        data = (folder / f"{name}.json").read_bytes()
    except FileNotFoundError:
        known = sorted(path.stem for path in folder.glob("*.json"))
        remedy = f"Give one of {', '.join(known)}" if known else f"Make it with: nats context save {name}"
        raise SettingError(_SETTING, name, f"there is no such context in {folder}", remedy) from None
    except OSError as error:
        problem = f"it cannot be read: {error.strerror}"
        raise SettingError(_SETTING, name, problem, f"Let natsroute's user read it, in {folder}") from None
    problem = ""
    try:
        fields = json.loads(data.decode())
    except (ValueError, RecursionError):  # their texts, and they themselves, have the file's content in them
        problem = "it is not JSON"
    else:
        if isinstance(fields, dict):
            # As Go reads it: the names in any case, and null is nothing.
            return {field.lower(): value for field, value in fields.items() if value is not None}
        problem = "it is not a JSON object"
    raise SettingError(_SETTING, name, problem, f"Write it anew with: nats context edit {name}")


def _folder(name: str, environment: Mapping[str, str]) -> Path:
    if environment.get("XDG_CONFIG_HOME"):
        return Path(environment["XDG_CONFIG_HOME"], "nats", "context")
    if environment.get("HOME"):
        return Path(environment["HOME"], ".config", "nats", "context")
    raise SettingError(_SETTING, name, "neither XDG_CONFIG_HOME nor HOME is set", "Set one of them")


def _text(name: str, fields: Mapping[str, Any], field: str) -> str:
    text: str = _field(name, fields, field, str, "text")
    return text


def _field(name: str, fields: Mapping[str, Any], field: str, kind: type, what: str) -> Any:
    value = fields.get(field, kind())
    if not isinstance(value, kind):
        raise SettingError(_SETTING, name, f"its {field!r} is not {what}", f"Correct it: nats context edit {name}")
    return value


def _reference(name: str, field: str) -> SettingError:
    problem = f"its {field!r} refers to what the nats tool looks up elsewhere"
    return SettingError(_SETTING, name, problem, "Write the value itself, or the path of the file, into the context")


def _urls(text: str) -> str:
    """The URLs as the tool understands them: without a scheme they are ``nats://``."""
    urls = [url.strip() for url in text.split(",") if url.strip()]
    return ",".join(url if "://" in url else f"nats://{url}" for url in urls)


def _expand(path: str, environment: Mapping[str, str]) -> str:
    """``$VAR``, ``${VAR}`` and then ``~``; as for the tool, a variable that is not set is empty."""
    path = _VARIABLE.sub(lambda found: environment.get(found[1] or found[2], ""), path)
    return environment.get("HOME", "~") + path[1:] if path.startswith("~") else path
