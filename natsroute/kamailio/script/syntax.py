"""What a script consists of: expressions and statements, as the parser finds them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import attrs

# ``at`` is always the index in the source where something begins. Positions are made of it when they are needed.
# ``depth`` is how deep things are nested, counted from the innermost.


@attrs.frozen
class Constant:
    """A number, or a string as it is written, with its escapes resolved."""

    at: int
    value: int | bytes
    depth: int = 1


@attrs.frozen
class Variable:
    """A pseudo-variable, with its transformations."""

    at: int
    text: str
    depth: int = 1


@attrs.frozen
class Call:
    """A call of a function."""

    at: int
    name: str
    arguments: tuple[Expression, ...]
    depth: int


@attrs.frozen
class RouteCall:
    """``route(NAME)``, or ``route_if_exists("NAME")``, which need not exist, and whose name is expanded."""

    at: int
    target: Expression
    depth: int
    optional: bool = False

    @property
    def is_dynamic(self) -> bool:
        """Whether the name is known only when it runs."""
        if not isinstance(self.target, Constant):
            return True
        return self.optional and isinstance(self.target.value, bytes) and b"$" in self.target.value


@attrs.frozen
class Unary:
    """``-``, ``!``, ``~``, ``int``, ``str``, ``defined``, ``undefined``, ``strlen`` or ``strempty``."""

    at: int
    operator: str
    operand: Expression
    depth: int


@attrs.frozen
class Binary:
    """An operator between two operands; ``at`` is that of the operator."""

    at: int
    operator: str
    left: Expression
    right: Expression
    depth: int


@attrs.frozen
class Choice:
    """``selval(condition, then, otherwise)``."""

    at: int
    condition: Expression
    then: Expression
    otherwise: Expression
    depth: int


@attrs.frozen
class Embedded:
    """Statements as an expression: ``($var(x) = 1)`` or ``{ … }``."""

    at: int
    body: Block
    depth: int


@attrs.frozen
class Assign:
    """``$var(x) = …;``."""

    at: int
    variable: Variable
    value: Expression
    depth: int


@attrs.frozen
class Do:
    """A call as a statement."""

    at: int
    call: Call | RouteCall
    depth: int


@attrs.frozen
class If:
    """``if``, with ``else if`` as further branches."""

    at: int
    branches: tuple[tuple[Expression, Block], ...]
    otherwise: Block | None
    depth: int


@attrs.frozen
class While:
    """``while``."""

    at: int
    condition: Expression
    body: Block
    depth: int


@attrs.frozen
class Case:
    """A ``case`` of a switch; without a label it is the ``default``."""

    at: int
    label: Expression | None
    regex: bool
    body: Block
    depth: int


@attrs.frozen
class Switch:
    """``switch``."""

    at: int
    subject: Expression
    cases: tuple[Case, ...]
    depth: int


@attrs.frozen
class Leave:
    """``return``, ``exit``, ``drop`` or ``break``."""

    at: int
    kind: str
    value: Expression | None
    depth: int


@attrs.frozen
class Block:
    """Statements in order."""

    statements: tuple[Statement, ...]
    depth: int


Expression = Constant | Variable | Call | RouteCall | Unary | Binary | Choice | Embedded
Statement = Assign | Do | If | While | Switch | Leave
Node = Expression | Statement | Block | Case


def walk(root: Node) -> Iterator[Node]:
    """A node and all that it consists of, in no particular order."""
    todo: list[Any] = [root]
    while todo:
        found = todo.pop()
        if isinstance(found, tuple):
            todo += found
        elif attrs.has(type(found)):
            yield found
            todo += [getattr(found, name) for name in _fields(found.__class__)]


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    """The fields of a node that can hold other nodes."""
    return tuple(field.name for field in attrs.fields(kind) if field.name not in ("at", "depth"))
