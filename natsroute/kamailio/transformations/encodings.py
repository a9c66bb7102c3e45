"""
``{s.encode.…}`` and ``{s.decode.…}``: hexadecimal, base64, base58 and the seven-bit alphabet of GSM.

Kamailio's decoders forgive much. What they make of wrong input is kept, since a script may depend on it.
"""

from __future__ import annotations

import base64
import binascii
import re

from natsroute.errors import EvaluationError
from natsroute.kamailio.transformations.definitions import Builder, Transformation
from natsroute.kamailio.values import Value

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BASE64_VALUES = {byte: number for number, byte in enumerate(_BASE64)}
_URL_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_CLEAN_BASE64 = re.compile(rb"[0-9A-Za-z+/]*={0,2}")
_WRONG = 0xFF  # what an unknown character counts as
_BASE58 = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VALUES = {byte: number for number, byte in enumerate(_BASE58)}
#: What is decoded or encoded byte by byte must not be longer, since it takes time; Kamailio's buffer is as large.
_MAX_SLOW = 65535


def encode_hexa(value: bytes) -> Value:
    """In hexadecimal, with small letters."""
    return binascii.hexlify(value)


def decode_hexa(value: bytes) -> Value:
    """From hexadecimal; an odd digit at the end is ignored."""
    try:
        return binascii.unhexlify(value[: len(value) & ~1])
    except binascii.Error:
        raise EvaluationError("not hexadecimal") from None


def encode_base64(value: bytes) -> Value:
    """In base64."""
    return base64.b64encode(value)


def encode_base64t(value: bytes) -> Value:
    """In base64, without the ``=`` at the end."""
    return base64.b64encode(value).rstrip(b"=")


def encode_base64url(value: bytes) -> Value:
    """In base64 with ``-`` and ``_``."""
    return base64.urlsafe_b64encode(value)


def encode_base64urlt(value: bytes) -> Value:
    """In base64 with ``-`` and ``_``, without the ``=`` at the end."""
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def decode_base64(value: bytes) -> Value:
    """From base64. The length must be a multiple of 4; unknown characters spoil the result only."""
    if not value:
        return b""
    if len(value) % 4 or (value[-2:-1] == b"=" and value[-1:] != b"="):
        raise EvaluationError("not base64")
    if _CLEAN_BASE64.fullmatch(value):
        return base64.b64decode(value)
    _check_length(value)
    padding = (value[-2:-1] == b"=") + (value[-1:] == b"=")
    decoded = bytearray()
    for start in range(0, len(value), 4):
        first, second, third, fourth = [_BASE64_VALUES.get(byte, _WRONG) for byte in value[start : start + 4]]
        decoded += bytes(
            (
                (first << 2 | second >> 4) & 0xFF,
                (second << 4 | third >> 2) & 0xFF,
                (third << 6 | fourth) & 0xFF,
            )
        )
    return bytes(decoded[: len(decoded) - padding])


def decode_base64t(value: bytes) -> Value:
    """From base64 without the ``=`` at the end."""
    return decode_base64(value + b"=" * (-len(value) % 4))


def decode_base64url(value: bytes) -> Value:
    """From base64 with ``-`` and ``_``."""
    stripped = value.rstrip(b"=")
    length = len(value) * 6 // 8 - (len(value) - len(stripped))
    if length <= 0 or not _URL_SAFE.issuperset(stripped):
        raise EvaluationError("not base64url")
    padded = stripped + b"A" * (-len(stripped) % 4)
    return base64.urlsafe_b64decode(padded)[:length]


def decode_base64urlt(value: bytes) -> Value:
    """From base64 with ``-`` and ``_`` and without the ``=`` at the end."""
    return decode_base64url(value + b"=" * (-len(value) % 4))


def encode_base58(value: bytes) -> Value:
    """In base58, with the alphabet of Bitcoin."""
    _check_length(value)
    digits = _digits(int.from_bytes(value, "big"), len(value) * 138 // 100 + 1) if value.strip(b"\0") else b""
    zeros = len(value) - len(value.lstrip(b"\0"))
    return _BASE58[:1] * zeros + digits.lstrip(_BASE58[:1])


def _digits(number: int, count: int) -> bytes:
    """So many digits of a number in base58; halves are converted apart, which is faster for long ones."""
    if count <= 32:
        digits = bytearray()
        for _ in range(count):
            number, digit = divmod(number, 58)
            digits.append(_BASE58[digit])
        return bytes(reversed(digits))
    low = count // 2
    upper, lower = divmod(number, 58**low)
    return _digits(upper, count - low) + _digits(lower, low)


def decode_base58(value: bytes) -> Value:
    """From base58, with the alphabet of Bitcoin."""
    _check_length(value)
    digits = value.lstrip(_BASE58[:1])
    try:
        number = _number([_BASE58_VALUES[byte] for byte in digits])
    except KeyError:
        raise EvaluationError("not base58") from None
    return b"\0" * (len(value) - len(digits)) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _number(digits: list[int]) -> int:
    number: int
    if len(digits) <= 32:
        number = 0
        for digit in digits:
            number = number * 58 + digit
        return number
    low = len(digits) // 2
    number = _number(digits[:-low]) * 58**low + _number(digits[-low:])
    return number


def _check_length(value: bytes) -> None:
    if len(value) > _MAX_SLOW:
        raise EvaluationError(f"more than {_MAX_SLOW} bytes")


def encode_7bit(value: bytes) -> Value:
    """Seven bits of each byte packed, in hexadecimal with capital letters."""
    _check_length(value)
    octets = bytearray()
    position, shift = 0, 0
    while position < len(value):
        following = value[position + 1] if position + 1 < len(value) else 0
        octets.append((value[position] >> shift | following << (7 - shift)) & 0xFF)
        position, shift = (position + 2, 0) if shift == 6 else (position + 1, shift + 1)
    return binascii.hexlify(octets).upper()


def decode_7bit(value: bytes) -> Value:
    """From hexadecimal, with seven bits for each byte."""
    _check_length(value)
    decoded = bytearray()
    shift, carried = 0, 0
    for start in range(0, len(value), 2):
        octet = (_hex(value[start]) << 4 | _hex(value[start + 1] if start + 1 < len(value) else 0)) & 0xFF
        decoded.append((octet << shift) & 0x7F | carried)
        carried = octet >> (7 - shift)
        shift += 1
        if shift == 7:
            decoded.append(carried)
            shift, carried = 0, 0
    return bytes(decoded)


def hex_digit(byte: int) -> int:
    """The value of a hexadecimal digit; any other byte has one too, which makes no sense."""
    if ord("0") <= byte <= ord("9"):
        return byte - ord("0")
    if ord("A") <= byte <= ord("Z"):
        byte += 32
    return byte - ord("a") + 10


def _hex(byte: int) -> int:
    return hex_digit(byte) & 0xFF


TRANSFORMATIONS: dict[str, Builder] = {
    "encode.hexa": Transformation(encode_hexa),
    "decode.hexa": Transformation(decode_hexa),
    "encode.base64": Transformation(encode_base64),
    "decode.base64": Transformation(decode_base64),
    "encode.base64t": Transformation(encode_base64t),
    "decode.base64t": Transformation(decode_base64t),
    "encode.base64url": Transformation(encode_base64url),
    "decode.base64url": Transformation(decode_base64url),
    "encode.base64urlt": Transformation(encode_base64urlt),
    "decode.base64urlt": Transformation(decode_base64urlt),
    "encode.base58": Transformation(encode_base58),
    "decode.base58": Transformation(decode_base58),
    "encode.7bit": Transformation(encode_7bit),
    "decode.7bit": Transformation(decode_7bit),
}
