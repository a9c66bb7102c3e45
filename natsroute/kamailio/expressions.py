"""
Pseudo-variable expressions and format strings, compiled to closures.

An expression is one variable, with its transformations: ``$(natsData{json.parse,Event-Package}{s.tolower})``. A format
string is a text with variables in it: ``received update for $(natsData{json.parse,From})``. The forms of a variable
are those of Kamailio's Pseudo-Variables Cookbook::

    $name   $name(key)   $(name)   $(name(key)[index]{class.transformation,parameter})

Compile once, evaluate for each event::

    sender = compile_expression("$(natsData{json.parse,From}{uri.user})")
    sender.value(evaluation)

What was compiled is remembered. :mod:`natsroute.kamailio.event_expressions` does both for programs.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import attrs

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import Evaluation, Getter, Setter
from natsroute.kamailio.reader import BLANKS, Reader, as_bytes, as_characters
from natsroute.kamailio.transformations import CLASSES
from natsroute.kamailio.transformations.regex import Substitution, parse_substitution
from natsroute.kamailio.values import CodedText, Value, text_of
from natsroute.kamailio.variables import VARIABLES
from natsroute.kamailio.variables.definitions import Access, Definition, Index, parse_index
from natsroute.nearest import or_nearest

_NAME_CHARACTERS = frozenset(string.ascii_letters + string.digits + "_.?")
_MARKER = Access(lambda evaluation: CodedText(b"$", ord("$")))

#: What a format string shows for null.
NULL_TEXT = b"<null>"

_REMEMBERED = 1024


@attrs.frozen
class Expression:
    """
    A compiled variable, with its transformations.

    :ivar text: as it was written.
    :ivar evaluate: gives its value in an evaluation; raises EvaluationError if it has none.
    """

    text: str
    evaluate: Getter
    _set: Setter | None = None

    @property
    def can_be_assigned(self) -> bool:
        """True if :meth:`assign` can be called."""
        return self._set is not None

    @property
    def setter(self) -> Setter:
        """What :meth:`assign` calls, if it can be assigned to: for those who assign often."""
        assert self._set is not None
        return self._set

    def value(self, evaluation: Evaluation) -> Value:
        """
        Its value in an evaluation; None if it is null or has none.

        The service's ``on_failure`` is called with the reason.
        """
        try:
            return self.evaluate(evaluation)
        except EvaluationError as error:
            evaluation.consumer.service.on_failure(self.text, error)
            return None

    def assign(self, evaluation: Evaluation, value: Value) -> None:
        """
        Assign to the variable; None unsets it.

        :raises EvaluationError: it cannot be assigned to, or not now.
        """
        if self._set is None:
            raise EvaluationError(f"{self.text} cannot be assigned to")
        self._set(evaluation, value)


@attrs.frozen
class Format:
    """
    A compiled format string.

    :ivar text: as it was written.
    :ivar evaluate: gives the bytes in an evaluation. What has no value is left out, null is ``<null>``.
    """

    text: str
    evaluate: Callable[[Evaluation], bytes]


@lru_cache(_REMEMBERED)
def compile_expression(text: str) -> Expression:
    """
    Compile one variable, with its transformations.

    :param text: the expression; it may hold surrogate escapes for bytes that are not UTF-8.
    :raises ExpressionError: it is not one, or names a variable or transformation that does not exist.
    """
    reader = Reader(as_characters(text))
    reader.end = _locate(reader)
    with _limited_depth(reader):
        access = _COMPILER.variable(reader)
    if reader.position != len(reader.source):
        raise reader.error("one variable expected, and nothing behind it")
    return Expression(text, access.get, access.set)


@lru_cache(_REMEMBERED)
def compile_format(text: str) -> Format:
    """
    Compile a text with variables in it.

    :param text: the format string; it may hold surrogate escapes for bytes that are not UTF-8.
    :raises ExpressionError: it has a ``$`` in it that begins no variable; a dollar sign is written ``$$``.
    """
    reader = Reader(as_characters(text))
    with _limited_depth(reader):
        return Format(text, _COMPILER.format_bytes(reader, text))


@lru_cache(_REMEMBERED)
def compile_substitution(text: str) -> Substitution:
    """
    Compile a ``/pattern/replacement/flags``, as ``{re.subst}`` has it. Variables may be in the replacement.

    :param text: the substitution; any character can be the delimiter.
    :raises ExpressionError: it is not one.
    """
    reader = Reader(as_characters(text))
    with _limited_depth(reader):
        return parse_substitution(_COMPILER, reader)


@contextmanager
def _limited_depth(reader: Reader) -> Iterator[None]:
    """
    What is nested too deeply to be compiled is no expression.

    :raises ExpressionError: it is.
    """
    start = reader.position
    try:
        yield
    except RecursionError:
        raise reader.error("variables are nested too deeply", start) from None


def _locate(reader: Reader) -> int:
    """
    The index behind the variable that the reader is at, found by counting parentheses.

    :raises ExpressionError: no variable begins here, or its parentheses are not closed.
    """
    source, position = reader.source, reader.position
    if reader.peek() != "$" or position + 1 >= reader.end:
        raise reader.error("a variable begins with '$' and a name")
    position += 1
    if source[position] == "$":
        return position + 1
    if source[position] != "(":
        while position < reader.end and source[position] in _NAME_CHARACTERS:
            position += 1
        if position >= reader.end or source[position] != "(":
            return position
    inner = Reader(source, position + 1, reader.end)
    inner.take_nested("(", ")")
    return inner.position


def _end_of_transformations(reader: Reader) -> int:
    """
    The index behind the last of the transformations that begin here, found by counting braces.

    :raises ExpressionError: the braces are not balanced.
    """
    ahead = Reader(reader.source, reader.position, reader.end)
    while ahead.peek() == "{":
        ahead.take()
        ahead.take_nested("{", "}")
        end = ahead.position
        ahead.skip_blanks()
    return end


class _Compiler:
    """See :class:`~natsroute.kamailio.variables.definitions.Compiler`."""

    def variable(self, reader: Reader) -> Access:
        """The variable that the reader is at, which is moved behind it."""
        start = reader.position
        reader.expect("$", "this")
        enclosed = reader.peek() == "("
        reader.position += enclosed
        if reader.peek() == "$":
            reader.take()
            access = _MARKER
        else:
            access = self._named(reader, enclosed=enclosed)
        if enclosed:
            if reader.peek() == "{":
                access = Access(self._transformed(reader, access.get))
            reader.expect(")", f"${reader.source[start + 2 : reader.position]}")
        return access

    def _named(self, reader: Reader, *, enclosed: bool) -> Access:
        start = reader.position
        while reader.peek() in _NAME_CHARACTERS and reader.peek():
            reader.take()
        name = reader.source[start : reader.position]
        definition = VARIABLES.get(name)
        if definition is None:
            unknown = f"unknown variable {or_nearest(name, VARIABLES, '$')}"
            raise reader.error(unknown if name else "the name of a variable expected", start)
        inner = self._inner(reader, name, definition)
        index: Index | None = None
        if enclosed and reader.peek() == "[":
            if not definition.has_index:
                raise reader.error(f"${name} has no index")
            reader.take()
            index = parse_index(self, reader.take_nested("[", "]"))
        return definition.build(self, inner, index)

    def _inner(self, reader: Reader, name: str, definition: Definition) -> Reader:
        """What stands in the parentheses behind the name."""
        if reader.peek() != "(":
            if definition.has_name:
                raise reader.error(f"${name} needs a name in parentheses")
            return Reader(reader.source, reader.position, reader.position)
        if not definition.has_name:
            raise reader.error(f"${name} has no name in parentheses")
        reader.take()
        inner = reader.take_nested("(", ")")
        if not inner.rest():
            raise inner.error(f"${name} needs a name in parentheses")
        return inner

    def _transformed(self, reader: Reader, get: Getter) -> Getter:
        """All transformations up to the closing parenthesis."""
        end = _end_of_transformations(reader)
        while reader.position < end:
            get = self._transformation(reader, get)
            reader.skip_blanks()
        return get

    def _transformation(self, reader: Reader, get: Getter) -> Getter:
        reader.expect("{", "a transformation")
        start = reader.position
        class_name = reader.take_until(".,}")
        names = CLASSES.get(class_name)
        if names is None:
            raise reader.error(f"unknown class of transformations {class_name!r}", start)
        reader.expect(".", "the class of a transformation")
        start = reader.position
        name = reader.take_until(",}").strip(BLANKS + "\r")
        builder = names.get(name.lower())
        if builder is None:
            raise reader.error(f"unknown transformation {or_nearest(name, names, f'{class_name}.')}", start)
        get = builder.build(self, reader, get)
        reader.skip_blanks()
        reader.expect("}", f"{{{class_name}.{name}")
        return get

    def format(self, reader: Reader) -> Getter:
        """What is left in the reader as a format string."""
        text = as_bytes(reader.rest()).decode("utf-8", "surrogateescape")
        return self.format_bytes(reader, text)

    def format_bytes(self, reader: Reader, text: str) -> Callable[[Evaluation], bytes]:
        """
        :param text: what is compiled, for the report of a part that has no value.
        """
        parts: list[bytes | Getter] = []
        while reader.position < reader.end:
            constant = reader.take_until("$")
            if constant:
                parts.append(as_bytes(constant))
            if reader.position < reader.end:
                part = Reader(reader.source, reader.position, _locate(reader))
                parts.append(_shown(self.variable(part).get, text))
                reader.position = part.end
        if not any(callable(part) for part in parts):
            whole = b"".join(part for part in parts if isinstance(part, bytes))
            return lambda evaluation: whole
        getters = tuple(part if callable(part) else _constant(part) for part in parts)
        if len(getters) == 1:
            return getters[0]  # type: ignore[return-value]
        return lambda evaluation: b"".join([get(evaluation) for get in getters])  # type: ignore[misc]


def _constant(value: bytes) -> Callable[[Evaluation], bytes]:
    return lambda evaluation: value


def _shown(get: Getter, text: str) -> Callable[[Evaluation], bytes]:
    """What a format string shows of a variable."""

    def show(evaluation: Evaluation) -> bytes:
        try:
            value = get(evaluation)
        except EvaluationError as error:
            evaluation.consumer.service.on_failure(text, error)
            return b""
        return NULL_TEXT if value is None else text_of(value)

    return show


_COMPILER = _Compiler()
