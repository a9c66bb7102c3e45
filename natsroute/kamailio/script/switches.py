"""Compiles the cases of a ``switch``, and finds the one for a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from natsroute.kamailio.cfg.source import SourceText
from natsroute.kamailio.regular_expressions import BadExpressionError, compile_regex
from natsroute.kamailio.script import syntax
from natsroute.kamailio.script.calls import Compiled
from natsroute.kamailio.script.context import Place
from natsroute.kamailio.script.operands import Operand
from natsroute.kamailio.script.operators import to_text
from natsroute.kamailio.values import Value


class CaseFinder:
    """
    The cases of a switch.

    The first label decides what all of them are: integers, or strings and regular expressions.

    :param node: the switch.
    :param source: the block that it is in.
    :param compile_label: compiles an expression.
    :param compile_each: compiles statements, each for itself.
    :param join: makes one statement of several.
    :raises ScriptError: a label is not constant, is there twice, is of another type than the first, or is not a regular
        expression; or a body cannot be compiled.

    :ivar of_integers: what it finds cases for is an integer.
    :ivar find: gives what runs for a value, or None.
    :ivar default: what runs if there is no case for a value, or None.
    :ivar waits: the script waits for one of the cases.
    """

    def __init__(
        self,
        node: syntax.Switch,
        source: SourceText,
        compile_label: Callable[[syntax.Expression], Operand],
        compile_each: Callable[[Sequence[syntax.Statement]], list[Compiled]],
        join: Callable[[Sequence[Compiled]], Compiled],
    ) -> None:
        self._source = source
        self._compile_label = compile_label
        self.default: Compiled | None = None
        self._exact: dict[int | bytes, Compiled] = {}
        self._in_order: list[tuple[Callable[[bytes], bool], Compiled]] = []  # only if there are regular expressions
        self._kind: type[int | bytes] | None = None
        compiled = [compile_each(case.body.statements) for case in node.cases]
        for number, case in enumerate(node.cases):
            body = join(_from_here(node.cases[number:], compiled[number:]))
            if case.label is not None:
                self._add(case, case.label, body)
            elif self.default is not None:
                raise Place(source, case.at).error("a second 'default' in a switch", "Remove one of them")
            else:
                self.default = body
        if not any(case.regex for case in node.cases):
            self._in_order.clear()
        self.of_integers = self._kind is not bytes
        self.find = self._finder()
        bodies = [*self._exact.values(), *(body for _, body in self._in_order)]
        self.waits = any(body.waits for body in bodies) or (self.default is not None and self.default.waits)

    def _finder(self) -> Callable[[Value], Compiled | None]:
        if self.of_integers:
            return self._exact.get  # type: ignore[return-value]
        return self._find_match if self._in_order else self._find_text

    def _add(self, case: syntax.Case, label: syntax.Expression, body: Compiled) -> None:
        place = Place(self._source, label.at)
        operand = self._compile_label(label)
        if not operand.is_constant:
            raise place.error("the label of a case is not constant", "Use if and else if")
        value: int | bytes = operand.value
        if case.regex:
            value = to_text(value)
        kind: type[int | bytes] = int if isinstance(value, int) else bytes
        if self._kind is None:
            self._kind = kind
        elif kind is not self._kind:
            raise place.error("integers and strings as cases of one switch", "Write all of them as strings")
        if case.regex:
            self._in_order.append((self._regex(to_text(value), place), body))
            return
        if value in self._exact:
            raise place.error(f"a second case for {to_text(value).decode('utf-8', 'replace')!r}", "Remove one of them")
        self._exact[value] = body
        text = to_text(value)
        self._in_order.append((lambda found: found == text, body))

    def _regex(self, pattern: bytes, place: Place) -> Callable[[bytes], bool]:
        try:
            search = compile_regex(pattern, newline=False).search
        except BadExpressionError as error:
            raise place.error(f"bad regular expression: {error}", "Fix it") from None
        return lambda text: search(text) is not None

    def _find_text(self, value: Value) -> Compiled | None:
        return self._exact.get(to_text(value))

    def _find_match(self, value: Value) -> Compiled | None:
        text = to_text(value)
        for matches, body in self._in_order:
            if matches(text):
                return body
        return None


def _from_here(cases: Sequence[syntax.Case], compiled: Sequence[list[Compiled]]) -> list[Compiled]:
    """The statements from a case on: without a ``break`` it goes on with those of the next case."""
    statements: list[Compiled] = []
    for case, some in zip(cases, compiled):
        for node, statement in zip(case.body.statements, some):
            statements.append(statement)
            if isinstance(node, syntax.Leave):
                return statements
    return statements
