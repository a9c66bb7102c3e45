"""Makes the syntax of a script out of what the parser finds, from the inside outwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from natsroute.kamailio.script.syntax import (
    Assign,
    Binary,
    Block,
    Call,
    Case,
    Choice,
    Constant,
    Do,
    Embedded,
    Expression,
    If,
    Leave,
    RouteCall,
    Statement,
    Switch,
    Unary,
    Variable,
    While,
)

#: How deep expressions and statements may be nested. The branches of ``else if``, and the operands of ``+``, ``&&`` and
#: ``||`` in a row, are side by side.
MAX_DEPTH = 100

#: The function that calls a route.
_ROUTE_IF_EXISTS = "route_if_exists"

#: Operators that have two names.
_SAME = {"&&": "and", "||": "or"}
_PREFIXES = {"-": "-", "!": "!", "not": "!", "~": "~", "(int)": "int", "(str)": "str"}
#: Operators whose operands in a row are side by side.
CHAINS = frozenset({"+", "and", "or"})


class TooDeepError(Exception):
    """
    Something is nested too deeply.

    :ivar at: the index where it begins.
    """

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


class Nodes:
    """
    What the parser calls for each rule of the grammar, with a list of what the rule consists of.

    A token has its text or value as ``value`` and the index of its first character as ``start_pos``. All methods raise
    :class:`TooDeepError`.
    """

    def start(self, children: list[Any]) -> Block:
        """A whole block."""
        return _block(children)

    def block(self, children: list[Any]) -> Block:
        """Statements in braces."""
        return _block(children)

    def nothing(self, children: list[Any]) -> None:
        """An empty statement."""

    def do(self, children: list[Any]) -> Do:
        """A call as a statement."""
        (call,) = children
        return Do(call.at, call, call.depth)

    def branch(self, children: list[Any]) -> If:
        """``if``."""
        keyword, condition, then, *rest = children
        branches = [(condition, _block([then]))]
        otherwise: Block | None = None
        if rest:
            (statement,) = rest
            if isinstance(statement, If):  # "else if"
                branches += statement.branches
                otherwise = statement.otherwise
            else:
                otherwise = _block([statement])
        inside = [part for branch in branches for part in branch]
        return If(keyword.start_pos, tuple(branches), otherwise, _depth(keyword.start_pos, [*inside, otherwise]))

    def loop(self, children: list[Any]) -> While:
        """``while``."""
        keyword, condition, statement = children
        body = _block([statement])
        return While(keyword.start_pos, condition, body, _depth(keyword.start_pos, [condition, body]))

    def switch(self, children: list[Any]) -> Switch:
        """``switch``."""
        keyword, subject, *cases = children
        return Switch(keyword.start_pos, subject, tuple(cases), _depth(keyword.start_pos, [subject, *cases]))

    def case(self, children: list[Any]) -> Case:
        """``case LABEL:``."""
        label, *actions = children
        return _case(label, False, actions)

    def regex_case(self, children: list[Any]) -> Case:
        """``case /LABEL:``."""
        _, label, *actions = children
        return _case(label, True, actions)

    def default_case(self, children: list[Any]) -> Case:
        """``default:``."""
        keyword, *actions = children
        return _case(None, False, actions, keyword.start_pos)

    def leave(self, children: list[Any]) -> Leave:
        """``return``, ``exit``, ``drop`` or ``break``."""
        keyword, *value = children
        return Leave(keyword.start_pos, keyword.value, value[0] if value else None, _depth(keyword.start_pos, value))

    def assign(self, children: list[Any]) -> Assign:
        """An assignment."""
        variable, value = children
        target = Variable(variable.start_pos, variable.value)
        return Assign(variable.start_pos, target, value, _depth(variable.start_pos, [value]))

    def function_call(self, children: list[Any]) -> Call | RouteCall:
        """A call of a function."""
        name, *arguments = children
        if name.value == _ROUTE_IF_EXISTS and len(arguments) == 1:
            return RouteCall(name.start_pos, arguments[0], _depth(name.start_pos, arguments), optional=True)
        return Call(name.start_pos, name.value, tuple(arguments), _depth(name.start_pos, arguments))

    def route_call(self, children: list[Any]) -> RouteCall:
        """``route(EXPRESSION)``."""
        keyword, target = children
        return RouteCall(keyword.start_pos, target, _depth(keyword.start_pos, [target]))

    def named_route_call(self, children: list[Any]) -> RouteCall:
        """``route(NAME)``."""
        keyword, name = children
        return RouteCall(keyword.start_pos, Constant(name.start_pos, name.value.encode()), 2)

    def binary(self, children: list[Any]) -> Binary:
        """An operator between two operands."""
        left, operator, right = children
        name = _SAME.get(operator.value, operator.value)
        in_a_row = name in CHAINS and isinstance(left, Binary) and left.operator == name
        depth = max(left.depth, right.depth + 1) if in_a_row else _depth(operator.start_pos, [left, right])
        return Binary(operator.start_pos, name, left, right, depth)

    def prefix(self, children: list[Any]) -> Unary:
        """An operator of one operand."""
        operator, operand = children
        name = _PREFIXES.get(operator.value, operator.value)
        return Unary(operator.start_pos, name, operand, _depth(operator.start_pos, [operand]))

    def constant(self, children: list[Any]) -> Constant:
        """A number or a string."""
        (token,) = children
        return Constant(token.start_pos, token.value)

    def variable(self, children: list[Any]) -> Variable:
        """A variable."""
        (token,) = children
        return Variable(token.start_pos, token.value)

    def embedded(self, children: list[Any]) -> Embedded:
        """An assignment as an expression."""
        (assign,) = children
        return Embedded(assign.at, _block([assign]), _depth(assign.at, [assign]))

    def embedded_block(self, children: list[Any]) -> Embedded:
        """Statements as an expression."""
        (block,) = children
        at = block.statements[0].at if block.statements else 0
        return Embedded(at, block, _depth(at, [block]))

    def selval(self, children: list[Any]) -> Choice:
        """``selval(…)``."""
        keyword, condition, then, otherwise = children
        depth = _depth(keyword.start_pos, [condition, then, otherwise])
        return Choice(keyword.start_pos, condition, then, otherwise, depth)


def _block(children: Sequence[Any]) -> Block:
    statements: list[Statement] = []
    for child in children:
        if isinstance(child, Block):
            statements += child.statements
        elif child is not None:
            statements.append(child)
    return Block(tuple(statements), max((one.depth for one in statements), default=0))


def _case(label: Expression | None, regex: bool, actions: list[Any], at: int = 0) -> Case:
    body = _block(actions)
    at = at if label is None else label.at
    return Case(at, label, regex, body, _depth(at, [label, body]))


def _depth(at: int, inside: Iterable[Any]) -> int:
    """
    How deep something is that begins at this index and contains these nodes.

    :raises TooDeepError: it is too deep.
    """
    depth = 1 + max((node.depth for node in inside if node is not None), default=0)
    if depth > MAX_DEPTH:
        raise TooDeepError(at)
    return depth
