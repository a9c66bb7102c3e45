"""Functions of the module ``jansson``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import NOT_JSON, Evaluation
from natsroute.kamailio.expressions import Expression
from natsroute.kamailio.jansson import documents as jansson_documents
from natsroute.kamailio.jansson import paths as jansson_paths
from natsroute.kamailio.jansson.documents import NotJanssonError
from natsroute.kamailio.script.functions.calls import assignable, function, readable, table, text
from natsroute.kamailio.values import CodedText, Value
from natsroute.kamailio.xavps import Fields

#: Kamailio's integers have 32 bits in 5.6; an integer that is larger becomes a text.
_MIN_INTEGER, _MAX_INTEGER = -(2**31), 2**31 - 1

_INTEGER = re.compile(rb"\s*[+-]?[0-9]+|", re.ASCII)
_REAL = re.compile(rb"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|", re.ASCII)


_NOT_JSON = "not a JSON object or array"


def _read(evaluation: Evaluation, data: bytes) -> Any:
    """A document that is only looked at."""
    document = evaluation.own.strict_document(data)
    if document is NOT_JSON:
        raise EvaluationError(_NOT_JSON)
    return document


def _parse(data: bytes) -> Any:
    """A document that may be changed."""
    try:
        return jansson_documents.parse(data)
    except NotJanssonError:
        raise EvaluationError(_NOT_JSON) from None


def _path(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise EvaluationError("the path is not UTF-8") from None


def _value(found: Any) -> Value:
    """What a script sees of a value."""
    if type(found) is str:
        return found.encode()
    if type(found) is float:
        return jansson_documents.short_real(found).encode()
    if type(found) is dict or type(found) is list:
        return jansson_documents.dump(found).encode()
    if found is None or _MIN_INTEGER <= found <= _MAX_INTEGER:
        return None if found is None else int(found)
    return b"%d" % found


def _get(evaluation: Evaluation, path: bytes, data: bytes, target: Expression) -> int:
    is_there, found = jansson_paths.find(_read(evaluation, data), _path(path))
    if not is_there:
        return -1
    target.assign(evaluation, _value(found))
    return 1


def _pv_get(evaluation: Evaluation, path: bytes, source: Expression, target: Expression) -> int:
    """``jansson_get`` of a variable, which must be a text."""
    data = source.value(evaluation)
    if not isinstance(data, bytes):
        raise EvaluationError("the variable is not a text")
    return _get(evaluation, path, bytes(data), target)


def _get_field(evaluation: Evaluation, data: bytes, path: bytes, target: Expression) -> int:
    """The older name of ``jansson_get``, with its arguments in another order."""
    return _get(evaluation, path, data, target)


def _array_size(evaluation: Evaluation, path: bytes, data: bytes, target: Expression) -> int:
    _, found = jansson_paths.find(_read(evaluation, data), _path(path))
    if type(found) is not list:
        raise EvaluationError("the path does not lead to an array")
    target.assign(evaluation, len(found))
    return 1


def _change(*, append: bool) -> Callable[[Evaluation, bytes, bytes, bytes, Expression], int]:
    """``jansson_set`` and ``jansson_append``."""

    def run(evaluation: Evaluation, kind: bytes, path: bytes, written: bytes, target: Expression) -> int:
        value = _typed(kind, written)
        before = target.value(evaluation)
        is_text = isinstance(before, bytes) and not isinstance(before, CodedText)
        document = _parse(before) if is_text else {}  # type: ignore[arg-type]
        jansson_paths.change(document, _path(path), value, append=append)
        target.assign(evaluation, jansson_documents.dump(document).encode())
        return 1

    return run


def _typed(kind: bytes, written: bytes) -> Any:
    """
    The value that is written, of this type.

    :raises EvaluationError: it is not of this type, or there is no such type.
    """
    try:
        return _TYPES[kind](written)
    except KeyError:
        names = ", ".join(name.decode() for name in _TYPES)
        raise EvaluationError(f"there is no such type; there are {names}") from None
    except ValueError:
        raise EvaluationError("the value is not of this type") from None


def _object(written: bytes) -> Any:
    found = jansson_documents.parse(written)
    if type(found) is not dict:
        raise ValueError
    return found


def _array(written: bytes) -> Any:
    found = jansson_documents.parse(written)
    if type(found) is not list:
        raise ValueError
    return found


def _string(written: bytes) -> str:
    return written.decode()


def _integer(written: bytes) -> int:
    """As C reads it: nothing is 0, and what is too large is the largest."""
    if _INTEGER.fullmatch(written) is None:
        raise ValueError
    number = int(written.strip() or b"0")
    return min(max(number, jansson_documents.MIN_INTEGER), jansson_documents.MAX_INTEGER)


def _real(written: bytes) -> float:
    if _REAL.fullmatch(written) is None:
        raise ValueError
    number = float(written.strip() or b"0")
    if math.isinf(number):
        raise ValueError
    return number


_TYPES: dict[bytes, Callable[[bytes], Any]] = {
    b"object": _object,
    b"obj": _object,
    b"array": _array,
    b"string": _string,
    b"str": _string,
    b"integer": _integer,
    b"int": _integer,
    b"real": _real,
    b"true": lambda written: True,
    b"false": lambda written: False,
    b"null": lambda written: None,
}


def _xdecode(evaluation: Evaluation, data: bytes, name: bytes) -> int:
    """Make an XAVP of an object, or one of each item of an array."""
    document = _read(evaluation, data)
    for item in document if type(document) is list else [document]:
        fields = Fields()
        for key, found in item.items() if type(item) is dict else ():
            value = _value(found)
            if value is not None and key:
                fields.add(key.encode(), value)
        if name:
            evaluation.own.xavps.add(name, fields)
    return 1


def _xencode(evaluation: Evaluation, name: bytes, target: Expression) -> int:
    """Make an object of an XAVP, the newest field first."""
    fields = evaluation.own.xavps.get(name)
    if not isinstance(fields, Fields):
        return -1
    document: dict[str, Any] = {}
    for key, value in fields.entries():
        shown: Any = int(value) if isinstance(value, int) else b"<<xavp>>" if isinstance(value, Fields) else value
        try:
            document[key.decode()] = shown.decode() if isinstance(shown, bytes) else shown
        except UnicodeDecodeError:
            raise EvaluationError("a name or a text is not UTF-8") from None
    target.assign(evaluation, jansson_documents.dump(document, ", ", ": ").encode())
    return 1


FUNCTIONS = table(
    function("jansson_get", _get, text, text, assignable),
    function("jansson_get_field", _get_field, text, text, assignable),
    function("jansson_pv_get", _pv_get, text, readable, assignable),
    function("jansson_set", _change(append=False), text, text, text, assignable),
    function("jansson_append", _change(append=True), text, text, text, assignable),
    function("jansson_array_size", _array_size, text, text, assignable),
    function("jansson_xdecode", _xdecode, text, text),
    function("jansson_xencode", _xencode, text, assignable),
)
