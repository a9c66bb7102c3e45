"""What a pseudo-variable is to the compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import attrs

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import Evaluation, Getter, Setter
from natsroute.kamailio.reader import BLANKS, Reader, as_bytes
from natsroute.kamailio.values import Value, number_of, text_of


class Access(NamedTuple):
    """
    A compiled variable.

    :ivar get: gives its value.
    :ivar set: assigns to it; None if it cannot be assigned to.
    """

    get: Getter
    set: Setter | None = None


@attrs.frozen
class Index:
    """
    What stands in square brackets: ``[2]``, ``[-1]``, ``[$var(i)]`` or ``[*]``.

    :ivar number: gives the number.
    :ivar all: it is ``[*]``.
    """

    number: Callable[[Evaluation], int]
    all: bool = False


class Compiler(Protocol):
    """What the parts of an expression ask the compiler for, when there is another expression inside of them."""

    def variable(self, reader: Reader) -> Access:
        """Compile the variable that the reader is at, and move the reader behind it."""

    def format(self, reader: Reader) -> Getter:
        """Compile all that is left in the reader as a format string; the closure gives bytes."""


@attrs.frozen
class Definition:
    """
    A pseudo-variable.

    :ivar build: makes the closures, from the text in its parentheses and from its index.
    :ivar has_name: it has a name in parentheses, as ``$var(x)``.
    :ivar has_index: it may have an index, as ``$(avp(x)[1])``.
    """

    build: Callable[[Compiler, Reader, Index | None], Access]
    has_name: bool = False
    has_index: bool = False


def constant(value: Value) -> Definition:
    """A variable that always has the same value."""
    access = Access(lambda evaluation: value)
    return Definition(lambda compiler, reader, index: access)


def computed(get: Getter) -> Definition:
    """A variable without a name, whose value a function gives."""
    access = Access(get)
    return Definition(lambda compiler, reader, index: access)


def keyed(getters: dict[str, Getter]) -> Definition:
    """A variable whose name must be one of a few, as in ``$time(hour)``."""

    def build(compiler: Compiler, reader: Reader, index: Index | None) -> Access:
        name = reader.rest()
        if name not in getters:
            raise reader.error(f"unknown name {name!r}; there are {', '.join(getters)}")
        return Access(getters[name])

    return Definition(build, has_name=True)


def by_name(get: Callable[[Evaluation, bytes], Value]) -> Definition:
    """A variable with any name, which a function is given."""

    def build(compiler: Compiler, reader: Reader, index: Index | None) -> Access:
        name = as_bytes(reader.rest())
        return Access(lambda evaluation: get(evaluation, name))

    return Definition(build, has_name=True)


def parse_index(compiler: Compiler, reader: Reader) -> Index:
    """
    The index that is all of the reader.

    :raises ExpressionError: it is none.
    """
    text = reader.rest()
    if text == "*":
        return Index(lambda evaluation: 0, all=True)
    if text.startswith("$"):
        get = compiler.variable(reader).get
        if reader.rest():
            raise reader.error(f"unexpected {reader.rest()!r} in an index")
        return Index(lambda evaluation: number_of(get(evaluation)))
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise reader.error(f"an index is a number, a variable or '*', not {text!r}")
    number = int(text)
    return Index(lambda evaluation: number)


def dynamic_name(compiler: Compiler, reader: Reader, parse: Callable[[bytes], Value]) -> Callable[[Evaluation], Value]:
    """
    A name in parentheses that may be a variable, as in ``$avp($var(x))``.

    :param parse: makes the name of a text that is no variable; raises ValueError if it is not a name.
    :return: gives the name; it raises EvaluationError if the variable is null.
    """
    if not reader.rest().startswith("$"):
        try:
            name = parse(as_bytes(reader.rest()))
        except ValueError as error:
            raise reader.error(str(error)) from None
        return lambda evaluation: name
    get = compiler.variable(reader).get
    if reader.rest():
        raise reader.error(f"unexpected {reader.rest()!r} behind a variable")

    def evaluate(evaluation: Evaluation) -> Value:
        name = get(evaluation)
        if name is None:
            raise EvaluationError("a name is null")
        return name if isinstance(name, int) else text_of(name)

    return evaluate


def split_key(reader: Reader) -> tuple[bytes, Reader]:
    """
    Table and key of ``table=>key``.

    :raises ExpressionError: there is no ``=>``.
    """
    while reader.peek() and reader.peek() in BLANKS + "\r":
        reader.take()
    table = reader.take_until("= \t\n\r")
    while reader.peek() and reader.peek() in BLANKS + "\r":
        reader.take()
    reader.expect("=", "the name of a table")
    reader.expect(">", "'='")
    if not table or not reader.rest():
        raise reader.error("table=>key expected")
    return as_bytes(table), reader
