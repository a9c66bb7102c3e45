"""Compiles the calls of a script: of functions, and of other routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from natsroute.errors import EvaluationError
from natsroute.kamailio.cfg.source import SourceText
from natsroute.kamailio.script import syntax, waiting
from natsroute.kamailio.script.arguments import CompiledArgument
from natsroute.kamailio.script.context import Place, Run
from natsroute.kamailio.script.expressions import ExpressionCompiler
from natsroute.kamailio.script.flow import STOP, Outcome, after_route
from natsroute.kamailio.script.functions.absent import remedy_for
from natsroute.kamailio.script.functions.definitions import FunctionDefinition
from natsroute.kamailio.script.operators import to_text
from natsroute.nearest import did_you_mean

#: What Kamailio writes without parentheses, and what a script for NATS uses instead.
_NO_FUNCTION = "docs/kamailio/functions.md lists the functions; @script_function adds one in Python"


class Compiled(NamedTuple):
    """
    A compiled statement.

    :ivar run: a :data:`~natsroute.kamailio.script.flow.Statement`, or what returns the coroutine of one.
    :ivar waits: it returns a coroutine.
    """

    run: Callable[[Run], Any]
    waits: bool = False


class Target(Protocol):
    """A block that can be called. It is compiled later: blocks call each other."""

    run: Callable[[Run], Any]
    waits: bool


class Routes(Protocol):
    """The blocks that can be called."""

    #: A call whose target is known only when it runs may have to wait.
    any_waits: bool

    def find(self, name: bytes, place: Place) -> Target:
        """
        The block of this name.

        :raises ScriptError: there is none.
        """

    def has(self, name: bytes) -> bool:
        """Whether there is a block of this name."""

    def find_now(self, name: bytes) -> Target:
        """
        The same, when the script runs.

        :raises EvaluationError: there is none.
        """


class CallCompiler:
    """
    Compiles the calls of a block.

    :param source: the block.
    :param functions: what can be called, by name.
    :param routes: the blocks that can be called.
    """

    def __init__(self, source: SourceText, functions: Mapping[str, FunctionDefinition], routes: Routes) -> None:
        self._source = source
        self._functions = functions
        self._routes = routes

    def function(self, node: syntax.Call, expressions: ExpressionCompiler) -> Compiled:
        """
        A call of a function.

        :raises ScriptError: there is no such function, it has other arguments, or one of these cannot be compiled.
        """
        place = Place(self._source, node.at)
        definition = self._functions.get(node.name)
        if definition is None:
            remedy = remedy_for(node.name) or did_you_mean(node.name, self._functions, _NO_FUNCTION, prefix="")
            raise place.error(f"unknown function {node.name}()", remedy)
        given, least, most = len(node.arguments), definition.minimum, definition.maximum
        if not least <= given <= most:
            many = str(least) if least == most else f"{least} to {most}"
            problem = f"{node.name}() has {given} argument{'s' if given != 1 else ''}"
            raise place.error(problem, f"It takes {many}")
        if node.name == "check_route_exists":
            return self._route_exists(node, expressions)
        action = definition.build(*[self._argument(one, expressions) for one in node.arguments])
        if definition.waits:
            return Compiled(waiting.function(action, place), waits=True)

        def call(run: Run) -> Outcome:
            try:
                result: int = action(run)  # type: ignore[assignment]
            except EvaluationError as error:
                place.failed(run, error)
                result = -1
            run.own.return_code = result
            return result if result else STOP

        return Compiled(call)

    def _route_exists(self, node: syntax.Call, expressions: ExpressionCompiler) -> Compiled:
        get_name, has = self._argument(node.arguments[0], expressions).text(), self._routes.has

        def call(run: Run) -> int:
            run.own.return_code = 1 if has(get_name(run)) else -1
            return run.own.return_code

        return Compiled(call)

    def _argument(self, node: syntax.Expression, expressions: ExpressionCompiler) -> CompiledArgument:
        place = Place(self._source, node.at)
        for inside in syntax.walk(node):
            if isinstance(inside, (syntax.Call, syntax.RouteCall, syntax.Embedded)):
                problem = "a call inside of the arguments of another one"
                raise Place(self._source, inside.at).error(problem, "Assign its result to a $var first")
        return CompiledArgument(node, expressions.compile(node), place)

    def route(self, node: syntax.RouteCall, level: int, expressions: ExpressionCompiler) -> Compiled:
        """
        A call of a route.

        :param level: how many blocks of this route are around it.
        :raises ScriptError: there is no such route, or its name cannot be compiled.
        """
        place = Place(self._source, node.at)
        if node.optional:
            return self._optional_route(node, level, expressions, place)
        name = expressions.compile(node.target)
        if name.waits:
            raise place.error("a call that waits inside of route()", "Assign its result to a $var first")
        if name.is_constant:
            known = self._routes.find(to_text(name.value), Place(self._source, node.target.at))
            return _route_call(lambda run: known, level, place, waits=known.waits)
        get_name, find = name.text(), self._routes.find_now
        return _route_call(lambda run: find(get_name(run)), level, place, waits=self._routes.any_waits)

    def _optional_route(
        self, node: syntax.RouteCall, level: int, expressions: ExpressionCompiler, place: Place
    ) -> Compiled:
        """``route_if_exists("NAME")``."""
        routes, argument = self._routes, self._argument(node.target, expressions)
        get_name = argument.text()
        if not node.is_dynamic:
            name = str(argument.constant()).encode("utf-8", "surrogateescape")
            known = routes.find(name, place) if routes.has(name) else None
            return _route_call(lambda run: known, level, place, waits=known is not None and known.waits)

        def find(run: Run) -> Target | None:
            name = get_name(run)
            return routes.find_now(name) if routes.has(name) else None

        return _route_call(find, level, place, waits=routes.any_waits)


def _route_call(find: Callable[[Run], Target | None], level: int, place: Place, *, waits: bool) -> Compiled:
    """
    :param find: gives the route, or None if it need not exist; raises EvaluationError if it must.
    """
    if waits:
        return Compiled(waiting.route(find, level, place), waits=True)

    def call(run: Run) -> Outcome:
        try:
            target = find(run)
            if target is None:
                run.own.return_code = -1
                return -1
            run.enter(level, place)
        except EvaluationError as error:
            place.failed(run, error)
            return -1
        outcome: Outcome = target.run(run)
        run.level -= level
        return after_route(run, outcome)

    return Compiled(call)
