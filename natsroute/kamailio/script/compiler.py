"""
Compiles the event routes of a ``kamailio.cfg``, and the routes that they call.

Only these are parsed: the others handle SIP, with functions that do not exist here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from natsroute.errors import EvaluationError, RouteError, ScriptError, ScriptLimitError
from natsroute.kamailio.cfg.document import Block, CfgWarning, KamailioCfg
from natsroute.kamailio.cfg.htables import tables_of
from natsroute.kamailio.cfg.source import Position
from natsroute.kamailio.script import syntax
from natsroute.kamailio.script.context import Place, Run, ScriptExitError
from natsroute.kamailio.script.flow import nothing
from natsroute.kamailio.script.functions import FUNCTIONS
from natsroute.kamailio.script.functions.definitions import FunctionDefinition
from natsroute.kamailio.script.initialization import NAME as INITIALIZATION
from natsroute.kamailio.script.initialization import Initialization
from natsroute.kamailio.script.missing_tables import missing_tables
from natsroute.kamailio.script.parser import parse
from natsroute.kamailio.script.statements import BlockCompiler
from natsroute.nearest import did_you_mean
from natsroute.routes.event import Event
from natsroute.routes.event_routes import EventRoutes
from natsroute.routes.route import PREFIX, Route

#: Kamailio's default for ``max_while_loops``.
MAX_WHILE_LOOPS = 100


@attrs.frozen
class CompiledScript:
    """
    The event routes of a ``kamailio.cfg``.

    :ivar event_routes: as a program has them.
    :ivar positions: where each of them begins, by name.
    :ivar passed_over: the blocks that natsroute does not run, as they are written.
    :ivar warnings: what is probably wrong, although Kamailio accepts it.
    :ivar initialization: what is to run before them, or None.
    """

    event_routes: EventRoutes
    positions: Mapping[str, Position]
    passed_over: tuple[str, ...]
    warnings: tuple[CfgWarning, ...] = ()
    initialization: Initialization | None = None


class _Block:
    """
    A block that runs, or can be called.

    :ivar tree: what it consists of.
    :ivar run: runs it, when it is compiled.
    :ivar waits: :attr:`run` returns a coroutine.
    :ivar problem: why it cannot run, if nothing but a call with a variable name could reach it.
    """

    def __init__(self, block: Block) -> None:
        self.block = block
        self.tree = syntax.Block((), 0)
        self.run: Callable[[Run], Any] = nothing
        self.waits = False
        self.problem: ScriptError | None = None

    @property
    def written(self) -> str:
        """As it is written in the file."""
        return f"{self.block.kind}[{self.block.name}]" if self.block.name else self.block.kind


def compile_script(cfg: KamailioCfg, functions: Mapping[str, FunctionDefinition] = FUNCTIONS) -> CompiledScript:
    """
    Compile the event routes for NATS.

    :param functions: what the script can call.
    :raises ScriptError: one of them, or of what they call, cannot be compiled; or lark is not installed. Or a hash
        table is malformed.
    """
    compiler = _ScriptCompiler(cfg, functions, lambda name: name.startswith(PREFIX))
    run = compiler.compile()
    event_routes = EventRoutes()
    for block in compiler.entries:
        _add(event_routes, block)
    warnings: list[CfgWarning] = []
    initialization, also_run = _initialization(cfg, functions, warnings)
    run += also_run
    tables = [name.decode("utf-8", "surrogateescape") for name in tables_of(cfg)[0]]
    warnings += missing_tables([(block.block.body, block.tree) for block in run], tables)
    positions = {block.block.position for block in run}
    passed_over = [block.written for block in compiler.all_blocks if block.block.position not in positions]
    return CompiledScript(
        event_routes,
        {block.block.name: block.block.position for block in compiler.entries},
        tuple(dict.fromkeys(passed_over)),
        tuple(warnings),
        initialization,
    )


def _initialization(
    cfg: KamailioCfg, functions: Mapping[str, FunctionDefinition], warnings: list[CfgWarning]
) -> tuple[Initialization | None, list[_Block]]:
    """
    What is to run before the event routes, and the blocks that run then. What cannot run is passed over, with a
    warning: it may do much that has nothing to do with NATS.
    """
    compiler = _ScriptCompiler(cfg, functions, lambda name: name == INITIALIZATION)
    if not compiler.entries:
        return None, []
    (entry,) = compiler.entries
    position = entry.block.position
    try:
        run = compiler.compile()
    except ScriptError as error:
        warnings.append(CfgWarning(position, f"{entry.written} does not run, and tables stay empty: {error}"))
        return None, []
    return Initialization(_function(entry), position), run


class _ScriptCompiler:
    """
    Compiles event routes. It is a :class:`~natsroute.kamailio.script.calls.Routes`.

    :param is_entry: whether an event route with this name is to be compiled.

    :ivar entries: these event routes.
    :ivar all_blocks: all blocks of the file.
    """

    def __init__(
        self, cfg: KamailioCfg, functions: Mapping[str, FunctionDefinition], is_entry: Callable[[str], bool]
    ) -> None:
        self._functions = functions
        self._max_while_loops = cfg.parameters.get("max_while_loops", MAX_WHILE_LOOPS)
        self.entries: list[_Block] = []
        self._others: list[_Block] = []
        self._routes: dict[str, _Block] = {}
        self._usable: dict[bytes, _Block] = {}
        self.any_waits = False
        self._sort(cfg.blocks, is_entry)
        self.all_blocks = [*self._others, *self._routes.values()]

    def compile(self) -> list[_Block]:
        """
        Compile them, and what they call.

        :return: all blocks that can run.
        :raises ScriptError: one of them cannot be compiled.
        """
        reached = self._reach(self.entries)
        named = [block for block in self._routes.values() if block not in reached]
        optional: list[_Block] = []
        if any(self._has_dynamic_call(block) for block in reached):
            optional = [block for block in named if self._can_parse(block)]
        self._find_waits([*reached, *optional])
        for block in reached:
            self._compile(block)
        for block in optional:
            self._try_to_compile(block)
        self._usable = {name.encode("utf-8", "surrogateescape"): block for name, block in self._routes.items()}
        return [*reached, *(block for block in optional if block.problem is None)]

    def find(self, name: bytes, place: Place) -> _Block:
        """See :meth:`Routes.find <natsroute.kamailio.script.calls.Routes.find>`."""
        text = name.decode("utf-8", "surrogateescape")
        try:
            return self._routes[text]
        except KeyError:
            remedy = did_you_mean(text, self._routes, f"Add route[{text}]", prefix="")
            if text.startswith("$"):
                remedy = "Write the variable without quotes: a name in quotes is not expanded"
            raise place.error(f"there is no route[{text}]", remedy) from None

    def has(self, name: bytes) -> bool:
        """See :meth:`Routes.has <natsroute.kamailio.script.calls.Routes.has>`."""
        return name.decode("utf-8", "surrogateescape") in self._routes

    def find_now(self, name: bytes) -> _Block:
        """See :meth:`Routes.find_now <natsroute.kamailio.script.calls.Routes.find_now>`."""
        found = self._usable.get(name)
        if found is None:
            raise EvaluationError("there is no route of this name")
        if found.problem is not None:
            raise EvaluationError(f"{found.written} cannot run: {found.problem}")
        return found

    def _sort(self, blocks: Iterable[Block], is_entry: Callable[[str], bool]) -> None:
        """
        :raises ScriptError: two blocks have the same name.
        """
        first: dict[tuple[str, str], Block] = {}
        for block in blocks:
            found = _Block(block)
            key = (block.kind, block.name)
            if block.kind == "event_route" and is_entry(block.name):
                self.entries.append(found)
            elif block.kind == "route" and block.name:
                self._routes[block.name] = found
            else:
                self._others.append(found)
                continue
            if key in first:
                problem = f"a second {found.written}; the first is at {first[key].position}"
                raise block.position.error(problem, "Remove one of them")
            first[key] = block

    def _reach(self, entries: list[_Block]) -> list[_Block]:
        """These blocks and all that they call by name, parsed."""
        reached: dict[int, _Block] = {}
        todo = list(entries)
        while todo:
            block = todo.pop(0)
            if id(block) in reached:
                continue
            reached[id(block)] = block
            block.tree = parse(block.block.body, block.block.position)
            todo += self._called(block)
        return list(reached.values())

    def _called(self, block: _Block) -> list[_Block]:
        """The routes that a block calls by name. Those that do not exist are an error when it is compiled."""
        names = [_target(node) for node in syntax.walk(block.tree) if isinstance(node, syntax.RouteCall)]
        return [self._routes[name] for name in names if name in self._routes]

    def _has_dynamic_call(self, block: _Block) -> bool:
        return any(isinstance(node, syntax.RouteCall) and node.is_dynamic for node in syntax.walk(block.tree))

    def _can_parse(self, block: _Block) -> bool:
        try:
            block.tree = parse(block.block.body, block.block.position)
        except ScriptError as error:
            block.problem = error
        return block.problem is None

    def _find_waits(self, blocks: list[_Block]) -> None:
        """Mark the blocks that the script waits for: they call a function that waits, or another such block."""
        callers: dict[int, list[_Block]] = {}
        dynamic: list[_Block] = []
        todo: list[_Block] = []
        for block in blocks:
            for called in self._called(block):
                callers.setdefault(id(called), []).append(block)
            if self._has_dynamic_call(block):
                dynamic.append(block)
            if any(self._waits(node) for node in syntax.walk(block.tree)):
                todo.append(block)
        while todo:
            block = todo.pop()
            if block.waits:
                continue
            block.waits = True
            todo += callers.get(id(block), ())
            if block.block.kind == "route":
                self.any_waits = True
                todo += dynamic

    def _waits(self, node: syntax.Node) -> bool:
        if not isinstance(node, syntax.Call):
            return False
        function = self._functions.get(node.name)
        return function is not None and function.waits

    def _compile(self, block: _Block) -> None:
        compiler = BlockCompiler(block.block.body, self._functions, self, max_while_loops=self._max_while_loops)
        compiled = compiler.block(block.tree)
        block.run, block.waits = compiled.run, compiled.waits

    def _try_to_compile(self, block: _Block) -> None:
        try:
            self._compile(block)
        except ScriptError as error:
            block.problem = error


def _add(event_routes: EventRoutes, block: _Block) -> None:
    try:
        event_routes.add(Route(block.block.name, _function(block)))
    except RouteError as error:
        raise block.block.position.error(str(error), "Correct the name of the event route") from None


def _target(node: syntax.RouteCall) -> str:
    if not isinstance(node.target, syntax.Constant):
        return ""
    value = node.target.value
    return str(value) if isinstance(value, int) else value.decode("utf-8", "surrogateescape")


def _function(block: _Block) -> Callable[[Event], Any]:
    """The function of an event route."""
    if block.waits:
        return _waiting_function(block)
    body = block.run

    def event_route(event: Event) -> None:
        run = Run(event, event.reset_variables())
        try:
            body(run)
        except ScriptExitError:
            pass
        except RecursionError:
            raise _too_deep() from None

    event_route.__qualname__ = block.written
    return event_route


def _waiting_function(block: _Block) -> Callable[[Event], Any]:
    body = block.run

    async def event_route(event: Event) -> None:
        run = Run(event, event.reset_variables())
        try:
            await body(run)
        except ScriptExitError:
            pass
        except RecursionError:
            raise _too_deep() from None
        finally:
            run.consumer.service.locks.release_all(run.own)

    event_route.__qualname__ = block.written
    return event_route


def _too_deep() -> ScriptLimitError:
    return ScriptLimitError("the script calls itself too deeply")
