"""Compiles the statements of a script to closures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from natsroute.errors import EvaluationError
from natsroute.kamailio.cfg.source import SourceText
from natsroute.kamailio.evaluation import Getter, Setter
from natsroute.kamailio.script import syntax, waiting
from natsroute.kamailio.script.calls import CallCompiler, Compiled, Routes
from natsroute.kamailio.script.context import Place, Run, ScriptExitError
from natsroute.kamailio.script.expressions import ExpressionCompiler
from natsroute.kamailio.script.flow import (
    BREAK,
    EXIT,
    RETURN,
    STOP,
    Outcome,
    Signal,
    Statement,
    after_assigned_call,
    in_order,
    in_order_waiting,
    nothing,
)
from natsroute.kamailio.script.functions.definitions import FunctionDefinition
from natsroute.kamailio.script.operands import Operand
from natsroute.kamailio.script.operators import to_int
from natsroute.kamailio.script.switches import CaseFinder
from natsroute.kamailio.values import Value

#: What Kamailio's ``return`` gives if its expression has no value.
_FAILED_RETURN = -5

#: What Kamailio's ``switch`` gives if its subject is a constant and there is nothing to run.
_NOTHING_FOR_CONSTANT = -5

#: What Kamailio takes away on the right of an operator, and on the left.
_NEUTRAL = {"+": 0, "-": 0, "|": 0, "or": 0, "*": 1, "/": 1, "and": 1}
_NEUTRAL_LEFT = {"+": 0, "|": 0, "or": 0, "*": 1, "and": 1}

#: Blocks that a call inside of an expression counts for. Kamailio counts none; Python's stack is limited.
_LEVELS_OF_EXPRESSION = 2


class BlockCompiler:
    """
    Compiles the statements of a block.

    :param source: the block.
    :param functions: what can be called, by name.
    :param routes: the blocks that can be called.
    :param max_while_loops: how many turns a ``while`` can make; 0 for any number.
    """

    def __init__(
        self,
        source: SourceText,
        functions: Mapping[str, FunctionDefinition],
        routes: Routes,
        *,
        max_while_loops: int,
    ) -> None:
        self._source = source
        self._expressions = ExpressionCompiler(source, self._inside_expression)
        self._calls = CallCompiler(source, functions, routes)
        self._max_while_loops = max_while_loops
        self._level = 0  # blocks around what is compiled

    def block(self, node: syntax.Block) -> Compiled:
        """
        Compile statements.

        :raises ScriptError: one of them cannot be compiled.
        """
        return _joined(self._each(node.statements))

    def _each(self, statements: Sequence[syntax.Statement]) -> list[Compiled]:
        """The statements of a block, each for itself."""
        self._level += 1
        compiled = [self._statement(statement) for statement in statements]
        self._level -= 1
        return compiled

    def _statement(self, node: syntax.Statement) -> Compiled:
        if isinstance(node, syntax.Do):
            return self._call(node.call)
        if isinstance(node, syntax.Assign):
            return self._assign(node)
        if isinstance(node, syntax.If):
            return self._branch(node)
        if isinstance(node, syntax.While):
            return self._loop(node)
        if isinstance(node, syntax.Switch):
            return self._switch(node)
        return self._leave(node)

    def _call(self, node: syntax.Call | syntax.RouteCall) -> Compiled:
        if isinstance(node, syntax.Call):
            return self._calls.function(node, self._expressions)
        return self._calls.route(node, self._level, self._expressions)

    def _inside(self, node: syntax.Call | syntax.RouteCall | syntax.Embedded) -> Compiled:
        """What runs inside of an expression."""
        self._level += _LEVELS_OF_EXPRESSION
        compiled = self.block(node.body) if isinstance(node, syntax.Embedded) else self._call(node)
        self._level -= _LEVELS_OF_EXPRESSION
        return compiled

    def _inside_expression(self, node: syntax.Call | syntax.RouteCall | syntax.Embedded) -> Operand:
        """Its value: 1 if it gives more than 0, else 0."""
        statement, waits = compiled = self._inside(node)
        if waits:
            return Operand(waiting.embedded(compiled), int, is_plain=True, waits=True)

        def get(run: Run) -> int:
            run.own.return_code = 0  # as in Kamailio, where it runs in a context of its own
            outcome: Outcome = statement(run)
            if isinstance(outcome, Signal):
                if outcome.kind is EXIT:
                    raise ScriptExitError
                outcome = outcome.value
            return 1 if outcome > 0 else 0

        return Operand(get, int, is_plain=True)

    def _assign(self, node: syntax.Assign) -> Compiled:
        place = Place(self._source, node.at)
        variable = self._expressions.variable(node.variable)
        if not variable.can_be_assigned:
            remedy = "Assign to $var, $vn, $avp, $xavp, $shv or $sht"
            raise place.error(f"{node.variable.text} cannot be assigned to", remedy)
        set_value = variable.setter
        call = self._bare_call(node.value)
        if call is not None:
            compiled = self._inside(call)
            if compiled.waits:
                return Compiled(waiting.assign_outcome(set_value, compiled, place), waits=True)
            return Compiled(_assign_outcome(set_value, compiled.run, place))
        if isinstance(node.value, syntax.Variable):
            return Compiled(_assign_variable(set_value, self._expressions.variable(node.value).evaluate, place))
        operand = self._expressions.compile(node.value)
        if operand.waits:
            return Compiled(waiting.assign(set_value, operand, place), waits=True)
        return Compiled(_assign(set_value, operand.get, place))

    def _bare_call(self, node: syntax.Expression) -> syntax.Call | syntax.RouteCall | syntax.Embedded | None:
        """A call, without what Kamailio takes away from it, such as ``+ 0``; None if it is anything else."""
        while isinstance(node, syntax.Binary):
            for constant, other, neutral in ((node.right, node.left, _NEUTRAL), (node.left, node.right, _NEUTRAL_LEFT)):
                operand = self._expressions.compile(constant)
                if operand.is_constant and operand.kind is int and operand.value == neutral.get(node.operator):
                    node = other
                    break
            else:
                return None
        return node if isinstance(node, (syntax.Call, syntax.RouteCall, syntax.Embedded)) else None

    def _branch(self, node: syntax.If) -> Compiled:
        place = Place(self._source, node.at)
        branches = [(self._expressions.compile(condition), self.block(then)) for condition, then in node.branches]
        otherwise = Compiled(nothing) if node.otherwise is None else self.block(node.otherwise)
        if otherwise.waits or any(condition.waits or then.waits for condition, then in branches):
            return Compiled(waiting.branch(branches, otherwise, place), waits=True)
        if len(branches) == 1:
            ((condition, then),) = branches
            return Compiled(_branch(condition.integer(), then.run, otherwise.run, place))
        pairs = [(condition.integer(), then.run) for condition, then in branches]
        return Compiled(_branches(pairs, otherwise.run, place))

    def _loop(self, node: syntax.While) -> Compiled:
        place = Place(self._source, node.at)
        condition = self._expressions.compile(node.condition)
        self._check_integer(node.condition, condition)
        body = self.block(node.body)
        if condition.waits or body.waits:
            return Compiled(waiting.loop(condition, body, self._max_while_loops, place), waits=True)
        return Compiled(_loop(condition.integer(), body.run, self._max_while_loops, place))

    def _switch(self, node: syntax.Switch) -> Compiled:
        place = Place(self._source, node.at)
        subject = self._expressions.compile(node.subject)
        cases = CaseFinder(node, self._source, self._expressions.compile, self._each, _joined)
        if_nothing = _NOTHING_FOR_CONSTANT if subject.is_constant else 1
        if subject.waits or cases.waits:
            return Compiled(waiting.switch(subject, cases, if_nothing, place), waits=True)
        default = None if cases.default is None else cases.default.run
        get = subject.integer() if cases.of_integers else subject.get
        return Compiled(_switch(get, cases.find, default, if_nothing, place))

    def _check_integer(self, node: syntax.Expression, operand: Operand) -> None:
        """
        :raises ScriptError: it is a string in any case.
        """
        if operand.kind is bytes:
            problem = "a string where an integer is needed"
            raise Place(self._source, node.at).error(problem, "Compare it with something, or write (int) before it")

    def _leave(self, node: syntax.Leave) -> Compiled:
        kind = {"break": BREAK, "return": RETURN}.get(node.kind, EXIT)
        if node.value is None:
            signal = Signal(kind, 0 if node.kind in ("break", "drop") else 1)
            return Compiled(lambda run: signal)
        operand = self._expressions.compile(node.value)
        self._check_integer(node.value, operand)
        place = Place(self._source, node.at)
        if operand.waits:
            return Compiled(waiting.leave(kind, operand, place, _FAILED_RETURN), waits=True)
        get = operand.integer()
        if operand.is_constant:
            value = to_int(operand.value)
            known = Signal(kind, value) if value or kind is EXIT else STOP
            return Compiled(lambda run: known)
        return Compiled(_leave(kind, get, place))


def _joined(statements: Sequence[Compiled]) -> Compiled:
    """A block of statements."""
    if any(waits for _, waits in statements):
        return Compiled(in_order_waiting([(waits, run) for run, waits in statements]), waits=True)
    return Compiled(in_order([run for run, _ in statements]))


def _assign(set_value: Setter, get: Getter, place: Place) -> Statement:
    def statement(run: Run) -> int:
        try:
            set_value(run, get(run))
        except EvaluationError as error:
            place.failed(run, error)
            return -1
        return 1

    return statement


def _assign_variable(set_value: Setter, evaluate: Getter, place: Place) -> Statement:
    """A variable that has no value is null, and the statement has failed."""

    def statement(run: Run) -> int:
        try:
            value = evaluate(run)
        except EvaluationError as error:
            place.failed(run, error)
            with suppress(EvaluationError):  # it is logged already that this statement failed
                set_value(run, None)
            return -1
        try:
            set_value(run, value)
        except EvaluationError as error:
            place.failed(run, error)
            return -1
        return 1

    return statement


def _assign_outcome(set_value: Setter, call: Statement, place: Place) -> Statement:
    """What a call gives is assigned as it is, also below 0."""

    def statement(run: Run) -> Outcome:
        run.own.return_code = 0
        return after_assigned_call(run, call(run), set_value, place)

    return statement


def _branch(condition: Callable[[Run], int], then: Statement, otherwise: Statement, place: Place) -> Statement:
    def statement(run: Run) -> Outcome:
        try:
            is_true = condition(run) > 0
        except EvaluationError as error:
            place.failed(run, error)
            is_true = False
        return then(run) if is_true else otherwise(run)

    return statement


def _branches(
    branches: Sequence[tuple[Callable[[Run], int], Statement]], otherwise: Statement, place: Place
) -> Statement:
    def statement(run: Run) -> Outcome:
        for condition, then in branches:
            try:
                is_true = condition(run) > 0
            except EvaluationError as error:
                place.failed(run, error)
                is_true = False
            if is_true:
                return then(run)
        return otherwise(run)

    return statement


def _loop(condition: Callable[[Run], int], body: Statement, max_loops: int, place: Place) -> Statement:
    def statement(run: Run) -> Outcome:
        outcome: Outcome = 1
        turns = 0
        while True:
            try:
                if not condition(run):
                    return outcome
            except EvaluationError as error:
                place.failed(run, error)
                return outcome
            turns += 1
            if turns > max_loops > 0:
                place.failed(run, EvaluationError(f"more than {max_loops} turns of a loop (max_while_loops)"))
                return -1
            run.step(place)
            outcome = body(run)
            if isinstance(outcome, Signal):
                return outcome.value if outcome.kind is BREAK else outcome

    return statement


def _switch(
    subject: Getter,
    find: Callable[[Value], Compiled | None],
    default: Statement | None,
    if_nothing: int,
    place: Place,
) -> Statement:
    def statement(run: Run) -> Outcome:
        outcome: Outcome = if_nothing
        try:
            case = find(subject(run))
            body = default if case is None else case.run
        except EvaluationError as error:
            place.failed(run, error)
            outcome, body = -1, default
        if body is not None and body is not nothing:
            outcome = body(run)
            if isinstance(outcome, Signal) and outcome.kind is BREAK:
                return outcome.value
        return outcome

    return statement


def _leave(kind: str, get: Callable[[Run], int], place: Place) -> Statement:
    def statement(run: Run) -> Signal:
        try:
            value = get(run)
        except EvaluationError as error:
            place.failed(run, error)
            value = _FAILED_RETURN
        return Signal(kind, value) if value or kind is EXIT else STOP

    return statement
