"""``{json.…}``: a field of a JSON document by its path, and what makes a text fit for a routing key."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import attrs

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import NOT_JSON, Evaluation, Getter
from natsroute.kamailio.json import documents as json_documents
from natsroute.kamailio.reader import Reader, as_bytes
from natsroute.kamailio.transformations.definitions import Builder, Transformation, as_text
from natsroute.kamailio.values import Value, text_of
from natsroute.kamailio.variables.definitions import Compiler

#: A step on a path: the name of a field, and an index if the field is an array.
Step = tuple[str, int | None]

_ENDS = "\t\n,}"
_STEP = re.compile(r"([^\[]*)(?:\[([^\]]+)?)?", re.DOTALL)
_LEADING_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,9})")
_UNSAFE = re.compile(rb"[^0-9A-Za-z~_-]")


@lru_cache(1024)
def parse_path(path: bytes, separator: str = ".") -> tuple[Step, ...]:
    """
    Take a path such as ``a.b[2].c%d`` apart. ``%`` stands for a dot in a name; empty steps are left out.

    :param separator: what stands between the steps.
    """
    steps: list[Step] = []
    for part in path.decode("utf-8", "surrogateescape").split(separator):
        if not part:
            continue
        match = _STEP.match(part.replace("%", "."))
        assert match is not None  # all of it may be empty
        name, index = match[1], match[2]
        steps.append((name, None if index is None else _integer(index)))
    return tuple(steps)


def _integer(text: str) -> int:
    """The integer that a text begins with, or 0, as by ``atoi``."""
    match = _LEADING_INTEGER.match(text)
    return int(match[1]) if match is not None else 0


def _find(document: Any, path: tuple[Step, ...]) -> Any:
    """What the path leads to, or None."""
    found = document
    for name, index in path:
        if type(found) is not dict:
            return None
        found = found.get(name)
        if index is not None and type(found) is list:
            found = found[index] if 0 <= index < len(found) else None
    return found


def _field(evaluation: Evaluation, value: Value, path: tuple[Step, ...]) -> bytes:
    data = value if type(value) is bytes else as_text(value)
    document = evaluation.own.document(data)
    if document is NOT_JSON:
        return b""
    found = _find(document, path)
    return b"" if found is None else json_documents.as_string(found)


@attrs.frozen
class _Parse:
    """
    ``{json.parse,path}`` and ``{json.parsex,/path}``.

    :ivar split: makes a path of the parameter.
    """

    split: Callable[[bytes], tuple[Step, ...]]

    def build(self, compiler: Compiler, reader: Reader, get: Getter) -> Getter:
        """See :class:`~natsroute.kamailio.transformations.definitions.Builder`."""
        reader.expect(",", "the name of a transformation")
        reader.skip_blanks()
        split = self.split
        path_of, constant = _parameter(compiler, reader)
        if path_of is None:
            path = split(constant)
            return lambda evaluation: _field(evaluation, get(evaluation), path)
        dynamic = path_of
        return lambda evaluation: _field(evaluation, get(evaluation), split(_path(dynamic(evaluation))))


def _parameter(compiler: Compiler, reader: Reader) -> tuple[Getter | None, bytes]:
    """A closure that gives the path, or the path itself."""
    if reader.peek() == "$":
        path_of = compiler.variable(reader).get
        reader.skip_blanks()
        return path_of, b""
    start = reader.position
    text = reader.take_until(_ENDS)
    if not text:
        raise reader.error("a path expected")
    end = reader.position
    reader.skip_blanks()
    if "$" in text:
        return compiler.format(Reader(reader.source, start, end)), b""
    return None, as_bytes(text)


def _path(value: Value) -> bytes:
    path = b"" if value is None else text_of(value)
    if not path:
        raise EvaluationError("a path is null or empty")
    return path


def _with_own_separator(path: bytes) -> tuple[Step, ...]:
    """A path whose first character is its separator."""
    separator = path[:1].decode("latin-1")
    return parse_path(path[1:], separator) if path else ()


def encode(value: bytes) -> Value:
    """With ``%XX`` for what may not stand in a routing key, and ``+`` for a space."""
    if value in (b"#", b"*"):
        return value
    return _UNSAFE.sub(lambda match: b"+" if match[0] == b" " else b"%%%02X" % match[0][0], value)


TRANSFORMATIONS: dict[str, Builder] = {
    "parse": _Parse(parse_path),
    "parsex": _Parse(_with_own_separator),
    "encode": Transformation(encode),
}
