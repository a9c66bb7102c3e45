"""
How one setting is read and checked: each kind of setting is a function that makes a field of
:class:`~natsroute.daemon.settings.settings.Settings`.

A setting comes as text (from the command line, the environment or a file) or as a Python value. A type checker must
know which values it accepts. For most it is the type of the field itself. Where more is accepted, the field names its
converter in the class body, since that is where mypy takes the type from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import attrs

from natsroute.daemon.settings.htable_entry import HtableEntry
from natsroute.daemon.settings.jetstream_entries import ConsumerEntry, ReplayEntry, StreamEntry
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.errors import SettingError, SubjectError
from natsroute.monitoring.log_levels import parse_rule
from natsroute.wire.subjects import check_pattern, check_subject

if TYPE_CHECKING:
    from typing_extensions import Self

TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")
_Attribute: TypeAlias = "attrs.Attribute[Any]"


def described(help: str, *, repeatable: bool = False, flag: bool = False) -> dict[str, Any]:
    """
    The metadata of a field.

    :param help: what ``twistd natsroute --help`` says.
    :param repeatable: whether it can be given several times.
    :param flag: whether it takes no value on the command line.
    """
    return {"help": help, "repeatable": repeatable, "flag": flag}


def text(help: str, default: str = "") -> Any:
    """A setting that is a text."""
    return attrs.field(default=default, validator=is_text, metadata=described(help))


def subject(help: str, default: str) -> Any:
    """A setting that is a subject to publish to."""
    return attrs.field(default=default, validator=_is_subject, metadata=described(help))


def optional_subject(help: str) -> Any:
    """A setting that is a subject without wildcards, or empty."""

    def check(instance: object, attribute: _Attribute, value: object) -> None:
        if value != "":
            _is_subject(instance, attribute, value)

    return attrs.field(default="", validator=check, metadata=described(help))


def optional_token(help: str) -> Any:
    """A setting that is one token of a subject, without wildcards, or empty."""

    def check(instance: object, attribute: _Attribute, value: object) -> None:
        if value != "":
            _is_subject(instance, attribute, value)
            if "." in str(value):
                raise SettingError(attribute.name, value, "it has a dot", "Give a name without dots")

    return attrs.field(default="", validator=check, metadata=described(help))


def count(help: str, default: int, minimum: int = 1) -> Any:
    """A setting that is a whole number."""
    return attrs.field(default=default, converter=_number(int, minimum), metadata=described(help))


def seconds(help: str, default: float, minimum: float = 0.001) -> Any:
    """A setting that is a number of seconds."""
    return attrs.field(default=default, converter=_number(float, minimum), metadata=described(help))


def fraction(help: str) -> Any:
    """A setting that is a number from 0 to 1 as text, or empty."""
    return attrs.field(
        default="", converter=attrs.Converter(_read_fraction, takes_field=True), metadata=described(help)
    )


def flag(help: str) -> Any:
    """A setting that is off, or on if it is given; it takes no value on the command line."""
    return attrs.field(default=False, converter=_FLAG, metadata=described(help, flag=True))


def switch(help: str) -> Any:
    """A setting that is off or on, given as 0 or 1 as in Kamailio."""
    return attrs.field(default=False, converter=_FLAG, metadata=described(help))


def choice(help: str, choices: Sequence[str]) -> Any:
    """A setting that is one of several words; the first is the default."""

    def check(instance: object, attribute: _Attribute, value: object) -> None:
        if value not in choices:
            raise SettingError(
                attribute.name, value, "it is not one of the choices", f"Give one of {', '.join(choices)}"
            )

    return attrs.field(default=choices[0], validator=check, metadata=described(help))


def _is_subject(instance: object, attribute: _Attribute, value: object) -> None:
    try:
        check_subject(check_text(attribute.name, value))
    except SubjectError as error:
        raise SettingError(attribute.name, value, str(error), "Give a subject such as one.two") from None


def is_text(instance: object, attribute: _Attribute, value: object) -> None:
    """
    A validator: the value is a text.

    :raises SettingError: it is not.
    """
    check_text(attribute.name, value)


def check_text(setting: str, value: object) -> str:
    """
    The value, if it is a text.

    :raises SettingError: it is not. The error does not show the value, which may be a secret.
    """
    if not isinstance(value, str):
        problem = f"it is of type {type(value).__name__}, and not text"
        raise SettingError(setting, "...", problem, "Give text, or leave it out")
    return value


def file_path(value: str | Path) -> str:
    """A converter: the path of a file. It is made absolute: twistd changes the directory, with ``--rundir`` for one."""
    if value == "" or not isinstance(value, (str, Path)):
        return value  # is_text refuses what is not text
    return os.path.abspath(value)


#: The value of a setting that switches off what is on by default.
OFF = "off"


def socket_path(value: str | Path) -> str:
    """A converter: the path of a socket, as in :func:`file_path`, or ``off``."""
    return OFF if value == OFF else file_path(value)


def names_file(value: str) -> bool:
    """Whether one of the ``event_routes`` is a file, and not a module."""
    return value.endswith(".py") or os.sep in value


def nats_urls(value: str | Iterable[str]) -> tuple[str, ...]:
    """
    A converter: one URL or several, each a text that may hold several with commas between them.

    A comma separates two URLs only where the next URL begins: a password may hold a comma.

    :raises SettingError: one is not a text.
    """
    parts = [part for one in _several(value) for part in re.split(r",\s*(?=\w+://)", check_text("nats_url", one))]
    return tuple(part.strip() for part in parts)


def queue_entries(value: str | QueueEntry | Iterable[str | QueueEntry]) -> tuple[QueueEntry, ...]:
    """
    A converter: one ``subject_queue_group`` or several. A text may hold several with commas between them, a
    :class:`QueueEntry` may not.

    :raises SettingError: one is not a text, or malformed.
    """
    return _entries("subject_queue_group", QueueEntry, value)


def stream_entries(value: str | StreamEntry | Iterable[str | StreamEntry]) -> tuple[StreamEntry, ...]:
    """
    A converter: one ``jetstream_stream`` or several. A text may hold several with commas between them.

    :raises SettingError: one is not a text, or malformed.
    """
    return _entries("jetstream_stream", StreamEntry, value)


def consumer_entries(value: str | ConsumerEntry | Iterable[str | ConsumerEntry]) -> tuple[ConsumerEntry, ...]:
    """
    A converter: one ``jetstream_consumer`` or several. A text may hold several with commas between them.

    :raises SettingError: one is not a text, or malformed.
    """
    return _entries("jetstream_consumer", ConsumerEntry, value)


def replay_entries(value: str | ReplayEntry | Iterable[str | ReplayEntry]) -> tuple[ReplayEntry, ...]:
    """
    A converter: one ``jetstream_replay`` or several. A text may hold several with commas between them.

    :raises SettingError: one is not a text, or malformed.
    """
    return _entries("jetstream_replay", ReplayEntry, value)


def route_files(value: str | Path | Iterable[str | Path]) -> tuple[str, ...]:
    """
    A converter: one routes file or module, or several. A text may hold several with commas between them, a
    :class:`~pathlib.Path` may not. Files get absolute paths, as in :func:`file_path`.

    :raises SettingError: one is neither a text nor a path.
    """
    files: list[str] = []
    for one in _several(value):
        if isinstance(one, Path):
            files.append(file_path(one))
        else:
            names = _split(check_text("event_routes", one))
            files += [file_path(name) if names_file(name) else name for name in names]
    return tuple(files)


def subject_patterns(value: str | Iterable[str]) -> tuple[str, ...]:
    """
    A converter: one subject with or without wildcards, or several. A text may hold several with commas between them.

    :raises SettingError: one is not a text, or malformed.
    """
    patterns = [part for one in _several(value) for part in _split(check_text("jetstream_publish", one))]
    for pattern in patterns:
        try:
            check_pattern(pattern)
        except SubjectError as error:
            raise SettingError(
                "jetstream_publish", pattern, str(error), "Give a subject such as calls.*.ended"
            ) from None
    return tuple(patterns)


def log_rules(value: str | Iterable[str]) -> tuple[str, ...]:
    """
    A converter: one rule of ``log_level`` or several. A text may hold several with commas between them.

    :raises SettingError: one is not a text, or malformed.
    """
    rules = [rule for one in _several(value) for rule in _split(check_text("log_level", one))]
    for rule in rules:
        parse_rule(rule)
    return tuple(rules)


def method_names(value: str | Iterable[str]) -> tuple[str, ...]:
    """
    A converter: the name of one admin method or several. A text may hold several with commas between them.

    :raises SettingError: one is not a text.
    """
    return tuple(name for one in _several(value) for name in _split(check_text("admin_subject_methods", one)))


def htable_entries(value: str | HtableEntry | Iterable[str | HtableEntry]) -> tuple[HtableEntry, ...]:
    """
    A converter: one ``kamailio_htable`` or several. A text may hold several with commas between them.

    :raises SettingError: one is not a text, or malformed.
    """
    return _entries("kamailio_htable", HtableEntry, value)


def flag_value(value: object) -> bool | None:
    """The value of a flag or switch; None if it is neither on nor off."""
    word = str(value).lower()
    return word in TRUE if word in (*TRUE, *FALSE) else None


def _read_flag(value: object, attribute: _Attribute) -> bool:
    found = flag_value(value)
    if found is None:
        raise SettingError(attribute.name, value, "it is neither yes nor no", "Give 1 or 0")
    return found


_FLAG = attrs.Converter(_read_flag, takes_field=True)


def _read_fraction(value: object, attribute: _Attribute) -> str:
    if value == "":
        return ""
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever it is
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0.0 <= number <= 1.0:
        raise SettingError(attribute.name, value, "it is not a number from 0 to 1", "Give a number such as 0.01")
    return str(number)


def _number(kind: type[int] | type[float], minimum: float) -> attrs.Converter[Any, Any]:
    def read(value: Any, attribute: _Attribute) -> Any:
        try:
            number = kind(value)
        except (TypeError, ValueError, OverflowError):
            number = None
        rounded = number != value and not isinstance(value, str)
        if number is None or rounded or not minimum <= number < float("inf"):
            what = "a whole number" if kind is int else "a number of seconds"
            raise SettingError(
                attribute.name, value, f"it is not {what} of at least {minimum}", f"Give {minimum} or more"
            )
        return number

    return attrs.Converter(read, takes_field=True)


class _Parsed(Protocol):
    """A value of a repeatable setting that is written as a text."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one."""


_Entry = TypeVar("_Entry", bound=_Parsed)


def _entries(setting: str, kind: type[_Entry], value: Any) -> tuple[_Entry, ...]:
    """The values of a repeatable setting: each a ``kind`` already, or a text with one or several."""
    entries: list[_Entry] = []
    for one in _several(value):
        if isinstance(one, kind):
            entries.append(one)
        else:
            entries += map(kind.parse, _split(check_text(setting, one)))
    return tuple(entries)


def _several(value: Any) -> Iterable[Any]:
    return value if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else [value]


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]
