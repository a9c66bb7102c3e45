"""
Payloads: from Python objects to bytes, and from bytes to text or JSON.

JSON is read and written with ``orjson`` if it is installed (the extra ``json``), otherwise with the standard library.
"""

from __future__ import annotations

import json
from typing import Any

from natsroute.errors import DecodeError, PayloadError

try:
    import orjson
except ImportError:
    _HAS_ORJSON = False
else:
    _HAS_ORJSON = True


def to_bytes(payload: object) -> bytes:
    """
    Serialise a payload: bytes-like objects as they are, a string as UTF-8, anything else as JSON (UTF-8, no spaces).

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
        if _HAS_ORJSON:
            return orjson.dumps(payload, option=orjson.OPT_NON_STR_KEYS)
        return json.dumps(payload, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
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
    Parse a payload as JSON.

    :param subject: the subject of its message, for the error.
    :raises DecodeError: the payload is not JSON.
    """
    try:
        return orjson.loads(data) if _HAS_ORJSON else json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"the payload on {subject} is not JSON: {error}") from None
