"""What a transformation is to the compiler: a function, the parameters that it takes, and what it is applied to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import attrs

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import Evaluation, Getter
from natsroute.kamailio.reader import BLANKS, Reader, as_bytes
from natsroute.kamailio.values import Value, number_of, text_of
from natsroute.kamailio.variables.definitions import Compiler

#: What ends a parameter: a comma, the closing brace, and some blanks.
_ENDS = "\t\n,}"
_DIGITS = "0123456789"
_ESCAPES = {"\\": b"\\", "n": b"\n", "r": b"\r", "t": b"\t"}


class Argument(NamedTuple):
    """
    A parameter as it was given.

    :ivar constant: its value, if it does not depend on the event.
    :ivar get: gives its value, if it does.
    """

    constant: Any
    get: Callable[[Evaluation], Any] | None = None


class Builder(Protocol):
    """A transformation."""

    def build(self, compiler: Compiler, reader: Reader, get: Getter) -> Getter:
        """
        The closure that applies the transformation to what another closure gives.

        :param reader: stands behind the name; it is moved to the closing brace.
        :raises ExpressionError: the parameters are not what the transformation takes.
        """


def as_text(value: Value) -> bytes:
    """Any value but null as text."""
    if type(value) is bytes:
        return value
    if value is None:
        raise EvaluationError("a transformation of null")
    return text_of(value)


def as_filled_text(value: Value) -> bytes:
    """Any value but null as text, which must not be empty."""
    if type(value) is not bytes:
        value = as_text(value)
    if not value:
        raise EvaluationError("a transformation of an empty string")
    return value


def as_present(value: Value) -> int | bytes:
    """Any value but null, as it is."""
    if value is None:
        raise EvaluationError("a transformation of null")
    return value


def as_any(value: Value) -> Value:
    """Any value, as it is."""
    return value


#: Reads one parameter.
ReadParameter = Callable[[Compiler, Reader], Argument]


@attrs.frozen
class Transformation:
    """
    A transformation that is a function of a value and of its parameters.

    :ivar function: takes the value and the parameters, and gives the new value; raises EvaluationError.
    :ivar parameters: reads the parameters, in their order.
    :ivar takes: makes of the value what the function takes.
    :ivar optional: how many of the last parameters may be left out.
    """

    function: Callable[..., Value]
    parameters: tuple[ReadParameter, ...] = ()
    takes: Callable[[Value], Any] = as_text
    optional: int = 0

    def build(self, compiler: Compiler, reader: Reader, get: Getter) -> Getter:
        """See :class:`Builder`."""
        arguments = self._arguments(compiler, reader)
        function, takes = self.function, self.takes
        if not arguments:
            return lambda evaluation: function(takes(get(evaluation)))
        getters = [argument.get or _constant(argument.constant) for argument in arguments]
        if any(argument.get for argument in arguments):
            return lambda evaluation: function(takes(get(evaluation)), *[getter(evaluation) for getter in getters])
        constants = tuple(argument.constant for argument in arguments)
        if len(constants) == 1:
            only = constants[0]
            return lambda evaluation: function(takes(get(evaluation)), only)
        return lambda evaluation: function(takes(get(evaluation)), *constants)

    def _arguments(self, compiler: Compiler, reader: Reader) -> list[Argument]:
        arguments: list[Argument] = []
        for read in self.parameters:
            if reader.peek() != "," and len(arguments) >= len(self.parameters) - self.optional:
                break
            reader.expect(",", "the name of a transformation" if not arguments else "a parameter")
            arguments.append(read(compiler, reader))
            reader.skip_blanks()
        return arguments


def _constant(value: Any) -> Callable[[Evaluation], Any]:
    return lambda evaluation: value


def number(compiler: Compiler, reader: Reader) -> Argument:
    """An integer, or a variable that holds one."""
    reader.skip_blanks()
    if reader.peek() == "$":
        get = compiler.variable(reader).get
        return Argument(None, lambda evaluation: number_of(get(evaluation)))
    sign = reader.take() if reader.peek() in ("+", "-") else ""
    if sign:
        reader.skip_blanks()
    elif reader.peek() not in tuple(_DIGITS):
        raise reader.error("a number or a variable expected")
    start = reader.position
    while reader.peek() in tuple(_DIGITS):
        reader.take()
    value = int(reader.source[start : reader.position][:20] or "0")
    return Argument(-value if sign == "-" else value)


def length(compiler: Compiler, reader: Reader) -> Argument:
    """As :func:`number`, but not below 0."""
    start = reader.position
    argument = number(compiler, reader)
    if argument.get is None and argument.constant < 0:
        raise reader.error("this number must not be negative", start)
    return argument


def text(compiler: Compiler, reader: Reader) -> Argument:
    """A text up to the next comma or brace, or a variable that holds one which is not empty."""
    reader.skip_blanks()
    if reader.peek() == "$":
        return Argument(None, _filled(compiler.variable(reader).get))
    return Argument(as_bytes(reader.take_until(_ENDS)))


def character(compiler: Compiler, reader: Reader) -> Argument:
    """
    The first character of a text, or of what a variable holds. The text may be a comma.

    An empty text stands for the closing brace.
    """
    reader.skip_blanks()
    if reader.peek() == "$":
        get = _filled(compiler.variable(reader).get)
        return Argument(None, lambda evaluation: get(evaluation)[:1])
    found = reader.take_until(_ENDS)
    if reader.peek() == ",":
        found += reader.take()
    return Argument(as_bytes(found[:1] or "}"))


def first_of_text(compiler: Compiler, reader: Reader) -> Argument:
    """As :func:`character`, but not a comma."""
    argument = text(compiler, reader)
    if argument.get is None:
        return Argument(argument.constant[:1] or b"}")
    get = argument.get
    return Argument(None, lambda evaluation: get(evaluation)[:1])


def selector(compiler: Compiler, reader: Reader) -> Argument:
    r"""One character, whichever it is; ``\n``, ``\r``, ``\t`` and ``\\`` are escapes."""
    found = reader.take()
    if not found:
        raise reader.error("a character expected")
    if found != "\\":
        return Argument(as_bytes(found))
    escaped = reader.take()
    if escaped not in _ESCAPES:
        raise reader.error(f"unknown escape \\{escaped}", reader.position - 1)
    return Argument(_ESCAPES[escaped])


def separator(compiler: Compiler, reader: Reader) -> Argument:
    """One character that is neither a blank, a comma, a brace nor a dollar sign."""
    found = reader.peek()
    if not found or found in BLANKS + ",}$":
        raise reader.error("one character expected as separator")
    reader.take()
    return Argument(as_bytes(found))


def counted_separator(compiler: Compiler, reader: Reader) -> Argument:
    """As :func:`separator`, but a comma or a variable may be one too."""
    if reader.peek() == "$":
        get = _filled(compiler.variable(reader).get)
        return Argument(None, lambda evaluation: get(evaluation)[:1])
    if reader.peek() == ",":
        return Argument(as_bytes(reader.take()))
    return separator(compiler, reader)


def _filled(get: Getter) -> Callable[[Evaluation], bytes]:
    def evaluate(evaluation: Evaluation) -> bytes:
        value = get(evaluation)
        found = b"" if value is None else text_of(value)
        if not found:
            raise EvaluationError("a parameter is null or empty")
        return found

    return evaluate
