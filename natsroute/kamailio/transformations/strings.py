"""``{s.…}``: parts of strings, and what they are made of. What encodes and escapes is in other modules."""

from __future__ import annotations

import hashlib
import re
import time

from natsroute.errors import EvaluationError
from natsroute.kamailio.reader import Reader
from natsroute.kamailio.transformations.definitions import (
    Argument,
    Builder,
    Transformation,
    as_present,
    character,
    first_of_text,
    length,
    number,
    selector,
    text,
)
from natsroute.kamailio.values import CodedText, NumberText, Value, parse_integer, text_of
from natsroute.kamailio.variables.definitions import Compiler

_SPACE = b" \t\r\n"
_LOWER = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz")
_UPPER = bytes.maketrans(b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NOT_DIGITS = bytes(byte for byte in range(256) if not ord("0") <= byte <= ord("9"))
_BRACKETS = (b"()", b"[]", b"{}", b"<>")
_QUOTES = (b'""', b"''")
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
#: The list of prefixes grows with the square of the length; Kamailio's buffer is as large.
_MAX_PREFIXES = 65535


def size(value: bytes) -> Value:
    """The length in bytes."""
    return len(value)


def integer(value: int | bytes) -> Value:
    """The number that the digits stand for."""
    if isinstance(value, int):
        return value
    found = value.number if isinstance(value, CodedText) else parse_integer(value)
    if found is None:
        raise EvaluationError("not an integer")
    return found if b"%d" % found == value else NumberText(found, text_of(value))


def md5(value: bytes) -> Value:
    """The MD5 sum, in hexadecimal."""
    return hashlib.md5(value, usedforsecurity=False).hexdigest().encode()


def sha256(value: bytes) -> Value:
    """The SHA-256 sum, in hexadecimal."""
    return hashlib.sha256(value).hexdigest().encode()


def sha384(value: bytes) -> Value:
    """The SHA-384 sum, in hexadecimal."""
    return hashlib.sha384(value).hexdigest().encode()


def sha512(value: bytes) -> Value:
    """The SHA-512 sum, in hexadecimal."""
    return hashlib.sha512(value).hexdigest().encode()


def corehash(value: bytes, table_size: int = 0) -> Value:
    """
    The hash that Kamailio's core uses.

    :param table_size: a power of 2: gives the slot in a table of this size.
    """
    found = core_hash(value)
    return b"%d" % (found & (table_size - 1) & 0xFFFFFFFF if table_size else found)


def core_hash(*values: bytes) -> int:
    """The hash that Kamailio's core makes of one or two values, of 32 bits."""
    found = 0
    for value in values:
        whole = len(value) - len(value) % 4
        words = [value[start : start + 4] for start in range(0, whole, 4)]
        for word in [*words, value[whole:]]:
            bits = 0
            for byte in word:
                bits = (bits << 8) + (byte - 256 if byte > 127 else byte)  # its bytes have a sign
            bits &= 0xFFFFFFFF
            found = (found + (bits ^ (bits >> 3))) & 0xFFFFFFFF
    return (found + (found >> 11) + (found >> 13) + (found >> 23)) & 0xFFFFFFFF


def tolower(value: bytes) -> Value:
    """In small letters; only ASCII letters change."""
    return value.translate(_LOWER)


def toupper(value: bytes) -> Value:
    """In capital letters; only ASCII letters change."""
    return value.translate(_UPPER)


def rmws(value: bytes) -> Value:
    """Without spaces, tabs and line ends."""
    return value.translate(None, _SPACE)


def numeric(value: bytes) -> Value:
    """The digits alone."""
    return value.translate(None, _NOT_DIGITS)


def trim(value: bytes) -> Value:
    """Without white space at both ends."""
    return value.strip(_SPACE)


def ltrim(value: bytes) -> Value:
    """Without white space at the beginning."""
    return value.lstrip(_SPACE)


def rtrim(value: bytes) -> Value:
    """Without white space at the end."""
    return value.rstrip(_SPACE)


def substr(value: bytes, offset: int, count: int) -> Value:
    """
    A part of the string.

    :param offset: where it begins; below 0, counted from the end.
    :param count: how many bytes it has; 0 means up to the end.
    """
    if count < 0 or offset >= len(value) or -offset > len(value):
        raise EvaluationError("substr is out of range")
    start = offset if offset >= 0 else len(value) + offset
    return value[start : start + count] if count else value[start:]


def select(value: bytes, index: int, delimiter: bytes) -> Value:
    """
    A field of the string, or an empty string.

    :param index: which; below 0, counted from the end, which is -1.
    """
    fields = value.split(delimiter)
    return fields[index] if -len(fields) <= index < len(fields) else b""


def strip(value: bytes, count: int) -> Value:
    """Without so many bytes at the beginning."""
    return value[max(count, 0) :]


def striptail(value: bytes, count: int) -> Value:
    """Without so many bytes at the end."""
    return value[: max(len(value) - count, 0)] if count > 0 else value


def stripto(value: bytes, wanted: bytes) -> Value:
    """From the first occurrence of a character on, or an empty string."""
    _, found, behind = value.partition(wanted)
    return found + behind


def prefixes(value: bytes, longest: int = 0) -> Value:
    """All prefixes of the string, separated by commas."""
    return _prefixes(value, longest, b"%s")


def quoted_prefixes(value: bytes, longest: int = 0) -> Value:
    """All prefixes of the string in single quotes, separated by commas."""
    return _prefixes(value, longest, b"'%s'")


def _prefixes(value: bytes, longest: int, template: bytes) -> bytes:
    count = longest if 0 < longest < len(value) else len(value)
    if count * (count // 2 + (1 if template == b"'%s'" else 3)) > _MAX_PREFIXES:
        raise EvaluationError("too long for its prefixes")
    return b",".join(template % value[:end] for end in range(1, count + 1))


def replace(value: bytes, match: bytes, replacement: bytes) -> Value:
    """With each occurrence of a text replaced by another."""
    return value.replace(match, replacement) if match else value


def rm(value: bytes, match: bytes) -> Value:
    r"""Without each occurrence of a text, in which ``\n``, ``\r``, ``\t`` and ``\\`` are escapes."""
    return value.replace(match, b"") if match else value


def count(value: bytes, wanted: bytes) -> Value:
    """How often a character occurs."""
    return value.count(wanted)


def before(value: bytes, wanted: bytes) -> Value:
    """What stands before the first occurrence of a character; all, if it does not occur."""
    return value.partition(wanted)[0]


def after(value: bytes, wanted: bytes) -> Value:
    """What stands behind the first occurrence of a character; nothing, if it does not occur."""
    return value.partition(wanted)[2]


def rbefore(value: bytes, wanted: bytes) -> Value:
    """What stands before the last occurrence of a character; nothing, if it does not occur."""
    return value.rpartition(wanted)[0]


def rafter(value: bytes, wanted: bytes) -> Value:
    """What stands behind the last occurrence of a character; all, if it does not occur."""
    return value.rpartition(wanted)[2]


def unquote(value: int | bytes) -> Value:
    """Without the quotes around it, single or double."""
    return _without(value, _QUOTES)


def unbracket(value: int | bytes) -> Value:
    """Without the brackets around it: round, square, curly or angle."""
    return _without(value, _BRACKETS)


def _without(value: int | bytes, pairs: tuple[bytes, ...]) -> Value:
    found = text_of(value)
    if len(found) < 2:
        return value
    return found[1:-1] if found[:1] + found[-1:] in pairs else found


def fmtlines(value: bytes, width: int, padding: int) -> Value:
    """
    In lines of so many bytes, which are separated by CRLF.

    :param padding: how many spaces begin each line but the first.
    """
    return _lines(value, width, padding, b" ")


def fmtlinet(value: bytes, width: int, padding: int) -> Value:
    """As ``fmtlines``, with tabs."""
    return _lines(value, width, padding, b"\t")


def _lines(value: bytes, width: int, padding: int, fill: bytes) -> bytes:
    if width <= 0 or padding < 0:
        raise EvaluationError("the width of lines must be above 0, and their padding not below 0")
    lines = [value[start : start + width] for start in range(0, len(value), width)]
    return (b"\r\n" + fill * padding).join(lines)


def ftime(value: int | bytes, template: bytes) -> Value:
    """The time that the value is in seconds since 1970, formatted as by ``strftime``, in local time."""
    seconds = value if isinstance(value, int) else parse_integer(text_of(value))
    if seconds is None or (isinstance(value, bytes) and value[:1] == b"-"):
        raise EvaluationError("not a time in seconds")
    try:
        return time.strftime(template.decode("latin-1"), time.localtime(seconds)).encode("latin-1")
    except (OverflowError, OSError, ValueError) as error:
        raise EvaluationError(f"not a time: {error}") from None


def escaped_text(compiler: Compiler, reader: Reader) -> Argument:
    r"""A text in which a backslash escapes the next character, or a variable."""
    argument = text(compiler, reader)
    if argument.get is not None:
        return argument
    return Argument(_ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), argument.constant))


TRANSFORMATIONS: dict[str, Builder] = {
    "len": Transformation(size),
    "int": Transformation(integer, takes=as_present),
    "md5": Transformation(md5),
    "sha256": Transformation(sha256),
    "sha384": Transformation(sha384),
    "sha512": Transformation(sha512),
    "corehash": Transformation(corehash, (number,), optional=1),
    "tolower": Transformation(tolower),
    "toupper": Transformation(toupper),
    "rmws": Transformation(rmws),
    "numeric": Transformation(numeric),
    "trim": Transformation(trim),
    "ltrim": Transformation(ltrim),
    "rtrim": Transformation(rtrim),
    "substr": Transformation(substr, (number, length)),
    "select": Transformation(select, (number, selector)),
    "strip": Transformation(strip, (number,)),
    "striptail": Transformation(striptail, (number,)),
    "stripto": Transformation(stripto, (first_of_text,)),
    "prefixes": Transformation(prefixes, (number,), optional=1),
    "prefixes.quoted": Transformation(quoted_prefixes, (number,), optional=1),
    "replace": Transformation(replace, (text, text)),
    "rm": Transformation(rm, (escaped_text,)),
    "count": Transformation(count, (character,)),
    "before": Transformation(before, (character,)),
    "after": Transformation(after, (character,)),
    "rbefore": Transformation(rbefore, (character,)),
    "rafter": Transformation(rafter, (character,)),
    "unquote": Transformation(unquote, takes=as_present),
    "unbracket": Transformation(unbracket, takes=as_present),
    "fmtlines": Transformation(fmtlines, (length, length)),
    "fmtlinet": Transformation(fmtlinet, (length, length)),
    "ftime": Transformation(ftime, (text,), takes=as_present),
}
