"""``{s.escape.…}``, ``{s.unescape.…}`` and ``{s.url….param}``: what may stand in SIP URIs, in quotes and in tables."""

from __future__ import annotations

import re

from natsroute.errors import EvaluationError
from natsroute.kamailio.transformations.definitions import Builder, Transformation
from natsroute.kamailio.transformations.encodings import hex_digit
from natsroute.kamailio.values import Value

_COMMON = re.compile(rb"['\"\\\x00]")
_COMMON_ESCAPED = re.compile(rb"\\(['\"\\0])")
_NOT_PRINTABLE = re.compile(rb"[^ -~]")
_NOT_IN_USER = re.compile(rb"[^0-9A-Za-z_.!~*'()&=+$,;?-]")
_NOT_IN_PARAM = re.compile(rb"[^0-9A-Za-z_.!~*'()\[\]/:&+$-]")
_NOT_IN_URL = re.compile(rb"[^0-9A-Za-z_.~-]")
_PERCENT = re.compile(rb"%(.{0,2})", re.DOTALL)
_PERCENT_OR_PLUS = re.compile(rb"%(.{0,2})|\+", re.DOTALL)


def escape_common(value: bytes) -> Value:
    """With a backslash before quotes, backslashes and NUL bytes."""
    return _COMMON.sub(lambda match: b"\\0" if match[0] == b"\0" else b"\\" + match[0], value)


def unescape_common(value: bytes) -> Value:
    """Without what ``escape.common`` adds."""
    return _COMMON_ESCAPED.sub(lambda match: b"\0" if match[1] == b"0" else match[1], value)


def escape_user(value: bytes) -> Value:
    """With ``%xx`` for what may not stand in the user of a SIP URI. All must be printable ASCII."""
    return _escaped(value, _NOT_IN_USER)


def escape_param(value: bytes) -> Value:
    """With ``%xx`` for what may not stand in a parameter of a SIP URI. All must be printable ASCII."""
    return _escaped(value, _NOT_IN_PARAM)


def unescape(value: bytes) -> Value:
    """With each ``%xx`` replaced by the printable character that it stands for."""
    return _PERCENT.sub(_printable, value)


def _escaped(value: bytes, not_allowed: re.Pattern[bytes]) -> bytes:
    if _NOT_PRINTABLE.search(value):
        raise EvaluationError("only printable ASCII can be escaped")
    return not_allowed.sub(lambda match: b"%%%02x" % match[0][0], value)


def _printable(match: re.Match[bytes]) -> bytes:
    try:
        if len(match[1]) != 2 or not match[1].isalnum():
            raise ValueError
        code = int(match[1], 16)
    except ValueError:
        raise EvaluationError("'%' without two hexadecimal digits") from None
    if not 32 <= code <= 126:
        raise EvaluationError(f"an escape for the unprintable character {code}")
    return bytes((code,))


def escape_csv(value: bytes) -> Value:
    """As a field of comma-separated values: in double quotes, which are doubled inside."""
    return b'"' + value.replace(b'"', b'""') + b'"'


def urlencode(value: bytes) -> Value:
    """With ``%xx`` for all but letters, digits, ``-``, ``_``, ``.`` and ``~``."""
    return _NOT_IN_URL.sub(lambda match: b"%%%02x" % match[0][0], value)


def urldecode(value: bytes) -> Value:
    """Without the escapes of a URL; ``+`` is a space."""
    return _PERCENT_OR_PLUS.sub(_url_character, value)


def _url_character(match: re.Match[bytes]) -> bytes:
    digits = match[1]
    if digits is None:
        return b" "
    if len(digits) < 2 or b"\0" in digits:  # the "%" goes, what is behind it stays
        return _PERCENT_OR_PLUS.sub(_url_character, digits)
    return bytes(((hex_digit(digits[0]) << 4 | hex_digit(digits[1])) & 0xFF,))


TRANSFORMATIONS: dict[str, Builder] = {
    "escape.common": Transformation(escape_common),
    "unescape.common": Transformation(unescape_common),
    "escape.user": Transformation(escape_user),
    "unescape.user": Transformation(unescape),
    "escape.param": Transformation(escape_param),
    "unescape.param": Transformation(unescape),
    "escape.csv": Transformation(escape_csv),
    "urlencode.param": Transformation(urlencode),
    "urldecode.param": Transformation(urldecode),
}
