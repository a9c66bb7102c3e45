"""
Payloads: from Python objects to bytes, and from bytes to text or JSON.

The extra ``json`` installs ``orjson``, which reads and writes JSON faster. It changes nothing else: the standard
library decides about what orjson refuses, and about what orjson would write or read as something else.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import uuid
from collections.abc import Callable
from typing import Any, NoReturn

from natsroute.errors import DecodeError, PayloadError

try:
    import orjson
except ImportError:
    _HAS_ORJSON = False
else:
    _HAS_ORJSON = True
    # All that orjson writes by a way of its own goes through _plain() instead, as with the standard library.
    _OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS

# Digits become zeros, minus signs stay, and any other byte becomes a space.
_SHAPES_OF_NUMBERS = bytes(0x30 if 0x30 <= byte <= 0x39 else byte if byte == 0x2D else 0x20 for byte in range(256))
# Integers below these lengths fit into 64 bits, without a sign or with one.
_LONG, _LONG_NEGATIVE = b"0" * 20, b"-" + b"0" * 19


def to_bytes(payload: object) -> bytes:
    """
    Serialise a payload: bytes-like objects as they are, a string as UTF-8, anything else as JSON (UTF-8, no spaces).

    JSON expresses dicts, lists, tuples, strings, finite numbers of any size, booleans and None; dates and times as in
    ISO 8601, UUIDs as strings, enums as their values, and dataclasses as objects without the fields whose names begin
    with an underscore. The keys of a dict are strings, numbers, booleans or None.

    :return: the payload itself if it is bytes, otherwise a new object.
    :raises PayloadError: JSON cannot express the payload, or a string has a lone surrogate.
    """
    if isinstance(payload, bytes):
        return payload
    try:
        if isinstance(payload, str):
            return payload.encode()
        if isinstance(payload, (bytearray, memoryview)):
            return bytes(payload)
        return _dump(payload)
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadError(f"a payload of type {type(payload).__name__} cannot be serialised: {error}") from None


def to_text(data: bytes, subject: str) -> str:
    """
    Decode a payload as UTF-8.

    :param subject: the subject of its message, for the error.
    :raises DecodeError: the payload is not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DecodeError(
            f"the payload on {subject} is not UTF-8: byte 0x{data[error.start]:02x} at position {error.start}"
        ) from None


def to_json(data: bytes, subject: str) -> Any:
    """
    Parse a payload as JSON in UTF-8. A byte order mark is ignored, and the last of several equal keys counts.

    :param subject: the subject of its message, for the error.
    :return: integers of any size are exact.
    :raises DecodeError: the payload is not JSON, is nested too deeply, has a string with a lone surrogate, or a number
        that is infinite as a float.
    """
    try:
        return _load(data)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"the payload on {subject} is not JSON: {error}") from None


def _dump(value: object) -> bytes:
    if _HAS_ORJSON:
        try:
            written = orjson.dumps(value, default=_plain, option=_OPTIONS)
        except TypeError:  # also for integers above 64 bits, keys that are not strings, and deep nesting
            pass
        else:
            if b"null" not in written:  # orjson writes NaN and infinite numbers as null
                return written
    return _ENCODER.encode(value).encode()


def _plain(value: object) -> object:
    """
    Express an object by types that JSON has.

    :raises TypeError: JSON cannot express it.
    """
    if isinstance(value, enum.Enum):
        return value.value
    for kind, as_base in _BASES.items():
        if isinstance(value, kind):
            return as_base(value)
    if isinstance(value, (datetime.date, datetime.time)):  # a datetime is a date, too
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if not field.name.startswith("_")]
        return {name: getattr(value, name) for name in names}
    raise TypeError(f"JSON has no {type(value).__name__}")


def _load(data: bytes) -> Any:
    if _HAS_ORJSON:
        shapes = data.translate(_SHAPES_OF_NUMBERS)
        if _LONG not in shapes and _LONG_NEGATIVE not in shapes:  # orjson would read such integers as floats
            try:
                return orjson.loads(data)
            except ValueError:
                pass
    value = _DECODER.decode(data.decode().removeprefix("\ufeff"))
    if b"\\ud" in data or b"\\uD" in data:
        _ENCODER.encode(value).encode()  # refuses lone surrogates
    return value


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError(f"{number[:40]} is infinite as a float")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"JSON has no {constant}")


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)
_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse)
# The standard library writes subclasses of the types that JSON has by itself. orjson leaves them to us.
_BASES: dict[type, Callable[[Any], object]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    list: list,
    tuple: list,
    dict: lambda value: dict(value.items()),
}
