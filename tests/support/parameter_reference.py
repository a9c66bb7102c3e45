"""The parameters in docs/kamailio/reference.md, made from the fields of Settings."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import Any

import attrs

from natsroute.daemon.settings.connection_settings import DEFAULT_URL
from natsroute.daemon.settings.settings import SETTING_FIELDS

#: The parameters of Kamailio's own module. All others are natsroute's.
OF_NATS = (
    "nats_url",
    "num_publish_workers",
    "subject_queue_group",
    "event_callback",
    "tls",
    "tls_ca_file",
    "tls_cert_file",
    "tls_key_file",
    "tls_expected_hostname",
)

#: Values for the examples, of parameters whose default is no example. Each of a list has its own ``modparam``.
EXAMPLES: dict[str, tuple[object, ...]] = {
    "nats_url": (DEFAULT_URL, "nats://user1:pass1@127.0.1.2:4222"),
    "subject_queue_group": ("Kamailio-World:2021", "MyQueue1:2021"),
    "event_callback": ("ksr_nats_event",),
    "event_routes": ("routes.py",),
    "kemi_script": ("/etc/kamailio/events.py",),
    "nats_context": ("production",),
    "user": ("natsroute",),
    "password": ("secret",),
    "token": ("secret",),
    "nkey_file": ("/etc/natsroute/user.nk",),
    "creds_file": ("/etc/natsroute/user.creds",),
    "tls": (1,),
    "tls_first": (1,),
    "tls_ca_file": ("/etc/kamailio/nats/ca.crt",),
    "tls_cert_file": ("/etc/kamailio/nats/client.crt",),
    "tls_key_file": ("/etc/kamailio/nats/client.key",),
    "tls_expected_hostname": ("nats.internal",),
    "num_publish_workers": (4,),
    "embedded_server_port": (4223,),
    "embedded_server_store_dir": ("/var/lib/natsroute",),
    "jetstream_domain": ("hub",),
    "jetstream_api_prefix": ("from-hub.api",),
    "service_name": ("billing",),
    "service_version": ("1.0.0",),
    "service_description": ("What calls cost",),
    "service_metadata": ("site=fra", "rack=7"),
    "jetstream_consumer": ("calls:billing", "calls:cdr=>ack_wait=30;max_deliver=5"),
    "jetstream_replay": ("calls=>from=last_per_subject;filter_subjects=calls.>",),
    "jetstream_stream": ("calls=>subjects=calls.> cdr.*;storage=file;replicas=3;max_age=7d",),
    "kamailio_htable": ("calls=kamailio-calls",),
    "http_listen": ("127.0.0.1:8080",),
    "admin_socket": ("/run/natsroute/sbc.sock",),
    "admin_subject": ("admin.sbc-fra-1",),
    "admin_subject_methods": ("reload", "log_level"),
    "log_level": ("warn", "natsroute.client=debug"),
    "http_user": ("operator",),
    "http_password": ("secret",),
    "http_tls_cert_file": ("/etc/natsroute/http.crt",),
    "http_tls_key_file": ("/etc/natsroute/http.key",),
}

#: What is code in the help of a parameter.
_CODE = re.compile(
    rf"\w+://(?:[^\s.,;]*\w\]?)?|thread=True|(?:PACKAGE\.MODULE|SUBJECT):\w+|\b(?:{'|'.join(SETTING_FIELDS)})\b"
)

#: What a modparam takes, by the annotation of the field. Others are one of a few words.
_TYPES = {"bool": "int", "int": "int", "float": "float"}


def parameters(names: tuple[str, ...]) -> str:
    """A section for each of these settings, in Markdown."""
    return "\n".join("".join(f"{line}\n" for line in _section(SETTING_FIELDS[name])) for name in names)


def of_nats() -> str:
    """The parameters that Kamailio's module has, too."""
    return parameters(OF_NATS)


def of_natsroute() -> str:
    """All other parameters that a file can have."""
    return parameters(tuple(name for name in SETTING_FIELDS if name not in (*OF_NATS, "kamailio_cfg")))


def _section(field: attrs.Attribute[Any]) -> Iterator[str]:
    """One parameter, as the manuals of Kamailio's modules have it."""
    yield f"### {field.name} ({_TYPES.get(str(field.type), 'str')})"
    yield ""
    repeated = " It can be set several times." if field.metadata["repeatable"] else ""
    text = _CODE.sub(lambda code: f"`{code[0]}`", field.metadata["help"].replace(f" Default: {DEFAULT_URL}.", ""))
    yield from textwrap.wrap(text + repeated, 120, break_on_hyphens=False, break_long_words=False)
    yield ""
    yield f"Default value is {_default(field)}."
    yield ""
    yield "```kamailio"
    module = "nats" if field.name in OF_NATS else "natsroute"
    for value in EXAMPLES.get(field.name, (field.default,)):
        yield f'modparam("{module}", "{field.name}", {_written(value)})'
    yield "```"


def _default(field: attrs.Attribute[Any]) -> str:
    if field.name == "nats_url":
        return f"`{DEFAULT_URL}`"
    if field.default in ((), ""):
        return "not set"
    value = field.default
    return f"`{int(value) if isinstance(value, bool) else f'{value:g}' if isinstance(value, float) else value}`"


def _written(value: object) -> str:
    """A value as it stands in a file, which has no fractions."""
    if isinstance(value, (bool, float)):
        return str(1 if value is False else int(value)) if value == int(value) else f'"{value}"'
    return str(value) if isinstance(value, int) else f'"{value}"'
