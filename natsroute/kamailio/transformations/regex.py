"""``{re.subst,/pattern/replacement/flags}``: substitution with POSIX extended regular expressions."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import attrs

from natsroute.errors import EvaluationError, ExpressionError
from natsroute.kamailio.evaluation import Evaluation, Getter
from natsroute.kamailio.reader import Reader, as_bytes, as_characters
from natsroute.kamailio.regular_expressions import BadExpressionError, Match, Pattern, compile_regex
from natsroute.kamailio.sip import message as sip_message
from natsroute.kamailio.transformations.definitions import Builder, as_filled_text
from natsroute.kamailio.values import Value, text_of
from natsroute.kamailio.variables.definitions import Compiler

#: A part of a replacement: a constant, the number of a group, or a closure that gives a value.
Part = bytes | int | Getter

_MIN_LENGTH = 3
_ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t"}


@attrs.frozen
class Substitution:
    """
    A compiled ``/pattern/replacement/flags``.

    :ivar everywhere: replace all matches, not only the first.
    """

    pattern: Pattern
    replacement: tuple[Part, ...]
    everywhere: bool

    def apply(self, value: bytes, evaluation: Evaluation) -> bytes:
        """
        Replace what matches.

        :raises EvaluationError: a match is empty.
        """
        done: list[bytes] = []
        position = 0
        while True:
            match = self.pattern.search(value, position)
            if match is None:
                break
            start, end = match.span()
            if start == end:
                raise EvaluationError("a regular expression matched an empty string")
            done += [value[position:start], self._replaced(match, evaluation)]
            position = end
            if not self.everywhere:
                break
        return b"".join([*done, value[position:]])

    def _replaced(self, match: Match, evaluation: Evaluation) -> bytes:
        parts: list[bytes] = []
        for part in self.replacement:
            if isinstance(part, bytes):
                parts.append(part)
            elif isinstance(part, int):
                parts.append(match[part] or b"" if part <= self.pattern.groups else b"")
            else:
                parts.append(_text_or_nothing(part, evaluation))
        return b"".join(parts)


def _text_or_nothing(get: Getter, evaluation: Evaluation) -> bytes:
    try:
        value = get(evaluation)
    except EvaluationError:
        return b""
    return b"" if value is None else text_of(value)


def parse_substitution(compiler: Compiler, reader: Reader) -> Substitution:
    """
    Compile what is left in the reader.

    :raises ExpressionError: it is no substitution.
    """
    if reader.end - reader.position < _MIN_LENGTH:
        raise reader.error("/pattern/replacement/ expected")
    start = reader.position
    delimiter = reader.take()
    if delimiter == "\\":
        raise reader.error("a backslash cannot be the delimiter", start)
    pattern = _pattern(reader, delimiter)
    replacement = _replacement(compiler, reader, delimiter)
    flags = reader.rest()
    if set(flags) - set("isg"):
        raise reader.error(f"unknown flag in {flags!r}; there are i, s and g")
    reader.position = reader.end
    try:
        compiled = compile_regex(as_bytes(pattern), ignore_case="i" in flags, newline="s" not in flags)
    except BadExpressionError as error:
        raise reader.error(f"not a regular expression: {error}", start) from None
    return Substitution(compiled, tuple(replacement), "g" in flags)


def _pattern(reader: Reader, delimiter: str) -> str:
    start = reader.position
    while reader.position < reader.end:
        character = reader.take()
        if character == delimiter and reader.source[reader.position - 2] != "\\":
            return reader.source[start : reader.position - 1]
    raise reader.error(f"the pattern is not closed by {delimiter!r}")


def _replacement(compiler: Compiler, reader: Reader, delimiter: str) -> list[Part]:
    parts: list[Part] = []
    while reader.position < reader.end:
        character = reader.peek()
        if character == "$":
            parts.append(compiler.variable(reader).get)
            continue
        reader.take()
        if character == delimiter:
            return parts
        parts.append(_escaped(reader) if character == "\\" else as_bytes(character))
    raise reader.error(f"the replacement is not closed by {delimiter!r}")


def _escaped(reader: Reader) -> Part:
    character = reader.take()
    if character and character in "0123456789":
        return int(character)
    if character == "u":
        return sip_message.URI
    return _ESCAPES.get(character) or as_bytes(character)


class _Subst:
    """``{re.subst,…}``, also with a variable that holds the substitution."""

    def build(self, compiler: Compiler, reader: Reader, get: Getter) -> Getter:
        """See :class:`~natsroute.kamailio.transformations.definitions.Builder`."""
        reader.expect(",", "the name of a transformation")
        if reader.peek() == "$":
            return self._dynamic(compiler, reader, get)
        # Up to the brace that closes the transformation; the braces of repetitions are inside.
        end = reader.take_nested("{", "}")
        reader.position -= 1
        apply = parse_substitution(compiler, end).apply
        return lambda evaluation: apply(as_filled_text(get(evaluation)), evaluation)

    def _dynamic(self, compiler: Compiler, reader: Reader, get: Getter) -> Getter:
        source_of = compiler.variable(reader).get
        reader.skip_blanks()

        @lru_cache(64)
        def parse(source: bytes) -> Callable[[bytes, Evaluation], bytes]:
            text = as_characters(source.decode("utf-8", "surrogateescape"))
            return parse_substitution(compiler, Reader(text)).apply

        def evaluate(evaluation: Evaluation) -> Value:
            value = as_filled_text(get(evaluation))
            source = as_filled_text(source_of(evaluation))
            try:
                apply = parse(source)
            except ExpressionError as error:
                raise EvaluationError(error.problem) from None  # its text may come from a payload
            return apply(value, evaluation)

        return evaluate


TRANSFORMATIONS: dict[str, Builder] = {"subst": _Subst()}
