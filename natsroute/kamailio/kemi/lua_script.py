"""
Scripts in Lua, by the package ``lupa`` (the extra ``lua``).

As in Kamailio's ``app_lua``: null is nil, numbers are numbers, strings are bytes, and what is called with arguments of
a wrong type or too few of them logs an error and returns false.
"""

from __future__ import annotations

import importlib
import math
import os
import re
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from natsroute.errors import PublisherStoppedError, ScriptError
from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.kamailio.kemi.ksr import FUNCTIONS
from natsroute.kamailio.kemi.ksr.definitions import KemiFunction
from natsroute.kamailio.kemi.script_file import read_script_file
from natsroute.nearest import did_you_mean
from natsroute.routes.event import Event

#: The version of Lua that Kamailio's packages for Debian and Ubuntu use, and those that lupa may have instead.
_VERSIONS = ("lua51", "luajit21", "lua54", "lua53", "lua52")

#: Lua shortens longer names of files in its messages.
_MAX_NAME = 50

#: What ``KSR.x.exit()`` raises in Lua, as in Kamailio.
_EXIT = "~~ksr~exit~~"

#: Where a script defines a function of its own.
_FUNCTION = re.compile(rb"\bfunction\s+([A-Za-z_]\w*)\s*\(")

#: What runs before each script. It returns a function that defines a function of ``KSR``, one that calls the event
#: callback for several messages, and one that finds the callback.
_PRELUDE = Path(__file__).with_name("prelude.lua")


class LuaScript:
    """
    A script in Lua that was read and compiled. It runs when :meth:`load` is called.

    :param path: the path of the script.
    :param callback: the name of the event callback.
    :raises ScriptError: lupa is not installed, the script cannot be read, or it has a syntax error.
    """

    def __init__(self, path: str, callback: str) -> None:
        self._path = path
        self._callback = callback
        self._name = Path(path).name[-_MAX_NAME:]
        self._chunk_name = f"@{self._name}".encode("utf-8", "surrogateescape")
        self._source = self._read()
        self._lua = self._lupa()
        self._compile(self._new_runtime())

    def load(self, context: ScriptContext, rank: int | None) -> LuaInstance:
        """
        Run the script in the current thread.

        :param rank: is not used: Kamailio calls no hooks in Lua.
        :raises ScriptError: the script fails, or there is no such callback.
        """
        runtime = self._new_runtime()
        instance = LuaInstance(context, self._call_error)
        path, cpath = _search_paths(Path(self._path).resolve().parent)
        prelude = runtime.compile(_PRELUDE.read_bytes(), name=b"=KSR")
        define, run, find, line = prelude(
            _EXIT.encode(), path, cpath, instance.enter, instance.publish, context.release_locks, _print
        )
        context.where = lambda: self._where(line(self._chunk_name))
        for name, function in FUNCTIONS.items():
            package, _, own_name = name.rpartition(".")
            define(package.encode(), own_name.encode(), _lua_function(function, context))
        chunk = self._compile(runtime)
        try:
            chunk()
        except self._lua.LuaError as error:
            line, problem = self._line_of(_text_of(error))
            if problem == _EXIT:
                remedy = "A script must not end itself while it is loaded"
                self._fail(line, "KSR.x.exit() or KSR.x.drop() was called", remedy)
            self._fail(line, problem, "Fix that line")
        finally:
            context.release_locks()
        kind = find(self._callback.encode()).decode()
        if kind != "function":
            found = "there is no such thing" if kind == "nil" else f"it is a {kind}"
            defined = [_decoded(name) for name in _FUNCTION.findall(self._source)]
            remedy = "Define it as a function that takes the name of the event"
            if kind == "nil":
                remedy = did_you_mean(self._callback, defined, remedy, prefix="")
            self._fail(1, f"event_callback is {self._callback!r}, and {found}", remedy)
        instance.begin(run)
        return instance

    def _where(self, line: int | None) -> str:
        """The line of the script that runs now; empty, if a module of it does."""
        return f"{self._path}:{int(line)}:1" if line else ""

    def _read(self) -> bytes:
        source = read_script_file(self._path)
        return b"--" + source if source.startswith(b"#") else source  # as the lua command does

    def _lupa(self) -> Any:
        for version in _VERSIONS:
            try:
                return _import_for_modules_in_c(f"lupa.{version}")
            except ImportError:
                pass
        problem, remedy = "scripts in Lua need the package lupa", "Install it: pip install 'natsroute[lua]'"
        raise ScriptError(self._path, 1, 1, problem, remedy)

    def _new_runtime(self) -> Any:
        return self._lua.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)

    def _compile(self, runtime: Any) -> Callable[[], object]:
        try:
            chunk: Callable[[], object] = runtime.compile(self._source, name=self._chunk_name)
        except self._lua.LuaSyntaxError as error:
            line, problem = self._line_of(_text_of(error))
            self._fail(line, f"syntax error: {problem}", "Fix that line")
        return chunk

    def _line_of(self, text: str) -> tuple[int, str]:
        """The line in the script that an error names, and what is wrong there."""
        problem = text.partition("\nstack traceback:")[0]
        own = re.escape(self._name)
        found = re.match(rf"{own}:(\d+): (.*)", problem, re.DOTALL)
        if found is not None:
            return int(found[1]), found[2]
        behind = re.search(rf"{own}:(\d+):", text)
        return int(behind[1]) if behind is not None else 1, problem or "an error without a text"

    def _call_error(self, text: str) -> ScriptError:
        """The error of a call, with Lua's own traceback instead of a remedy."""
        line, problem = self._line_of(text)
        calls = [call.strip() for call in text.partition("\nstack traceback:\n")[2].splitlines()]
        remedy = f"Called by: {'; '.join(calls)}" if calls else "Lua does not say what called it"
        return ScriptError(self._path, line, 1, problem, remedy)

    def _fail(self, line: int, problem: str, remedy: str) -> NoReturn:
        raise ScriptError(self._path, line, 1, problem, remedy)


class LuaInstance:
    """
    One instance: a Lua of its own.

    :cvar max_batch: see :class:`~natsroute.kamailio.kemi.instance.Instance`.

    :param call_error: makes the error of a call of what Lua says about it.
    """

    max_batch = 256

    def __init__(self, context: ScriptContext, call_error: Callable[[str], ScriptError]) -> None:
        self._context = context
        self._call_error = call_error
        self._events: Sequence[Event] = ()
        self._names: dict[str, bytes] = {}  # of the events

    def begin(self, run: Callable[..., object]) -> None:
        """
        The script is loaded.

        :param run: calls it, as the prelude says.
        """
        self._run = run

    def enter(self, number: int) -> None:
        """The script calls Python for an event for the first time. Most events need no call."""
        if number:
            self._context.begin(self._events[int(number) - 1])

    def publish(self, *messages: Any) -> None:
        """Publish messages: subject, payload and reply subject or False of one after the other."""
        self._context.outbox.publish_all(list(zip(messages[::3], messages[1::3], messages[2::3])))

    def run(self, event: Event) -> object:
        """See :meth:`natsroute.kamailio.kemi.instance.Instance.run`."""
        # The event of a connection has no payload.
        failures = [*self._run_events([event], [event.data if event.address.subject else None])]
        if failures:
            raise failures.pop()[1]  # no variable has it: its traceback has this frame
        return None

    def run_batch(self, events: Sequence[Event]) -> Sequence[tuple[int, Exception]]:
        """See :meth:`natsroute.kamailio.kemi.instance.Instance.run_batch`."""
        return self._run_events(events, [event.data for event in events])

    def _run_events(self, events: Sequence[Event], payloads: Sequence[bytes | None]) -> Sequence[tuple[int, Exception]]:
        self._events = events
        name = events[0].context.counters.route
        encoded = self._names.get(name)
        if encoded is None:
            encoded = self._names[name] = name.encode("utf-8", "surrogateescape")
        result: Any = self._run(encoded, *payloads)
        failures = result
        if type(result) is tuple:  # something was published
            failures = result[0]
            try:
                self._context.outbox.publish_all(list(zip(result[1::3], result[2::3], result[3::3])))
            except PublisherStoppedError:
                pass  # the calls have ended, and nothing is published any more
        if failures is None:
            return ()
        found = list(failures.values())
        return [(int(number) - 1, self._call_error(_decoded(text))) for number, text in zip(found[::2], found[1::2])]

    def close(self) -> None:
        """See :meth:`natsroute.kamailio.kemi.instance.Instance.close`."""


def _decoded(text: object) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _print(line: bytes) -> None:
    """As ``print()`` of Python does: under twistd, that is a line of the log. C would write to a file of its own."""
    sys.stdout.write(line.decode("utf-8", "backslashreplace") + "\n")


def _import_for_modules_in_c(name: str) -> Any:
    """Import a Lua so that modules written in C, which scripts load, find its functions."""
    if not hasattr(sys, "setdlopenflags"):
        return importlib.import_module(name)
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | os.RTLD_GLOBAL)
    try:
        return importlib.import_module(name)
    finally:
        sys.setdlopenflags(flags)


def _search_paths(folder: Path) -> tuple[bytes, bytes]:
    """Where modules are: beside the script, where Lua looks by itself (``@``), and where Debian's packages are."""
    libraries = [f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}", "/usr/lib"]
    path = [f"{folder}/?.lua", "@", "/usr/share/lua/5.1/?.lua", "/usr/share/lua/5.1/?/init.lua"]
    cpath = [f"{folder}/?.so", "@", *(f"{one}/lua/5.1/?.so" for one in libraries)]
    return tuple(";".join(one).encode("utf-8", "surrogateescape") for one in (path, cpath))  # type: ignore[return-value]


def _text_of(error: Exception) -> str:
    """The text of an error of Lua, which lupa gives as bytes or as text."""
    return _decoded(error.args[0]) if error.args else ""


def _lua_function(function: KemiFunction, context: ScriptContext) -> Callable[..., object]:
    """The function as Lua calls it."""
    run, parameters, name = function.new(context), function.parameters, function.name
    has_result = function.has_result

    def call(*arguments: object) -> object:
        if len(arguments) < function.fewest:
            return refuse(f"it takes {len(parameters)} arguments, not {len(arguments)}")
        converted: list[int | bytes] = []
        for letter, argument in zip(parameters, arguments):
            found = _integer(argument) if letter == "i" else _string(argument)
            if found is None:
                return refuse(f"argument {len(converted) + 1} is not a string")
            converted.append(found)
        result = run(*converted)
        return result if has_result else False

    def refuse(reason: str) -> bool:
        context.failed(name, reason)
        return False

    if not has_result:
        return call
    if parameters == "s":
        return lambda text=None, *more: run(text) if type(text) is bytes else call(text)
    if parameters == "ss":
        return lambda first=None, second=None, *more: (
            run(first, second) if type(first) is bytes is type(second) else call(first, second)
        )
    return call


def _string(argument: object) -> bytes | None:
    """As ``lua_tostring()``: numbers are strings too."""
    if isinstance(argument, bytes):
        return argument
    if isinstance(argument, (int, float)) and not isinstance(argument, bool):
        return b"%.14g" % argument
    return None


def _integer(argument: object) -> int:
    """As ``lua_tointeger()``: without its fraction; a string with a number is one; 0 is anything else."""
    if isinstance(argument, bytes):
        try:
            argument = float(argument)
        except ValueError:
            return 0
    if isinstance(argument, (int, float)) and not isinstance(argument, bool) and math.isfinite(argument):
        return int(argument)
    return 0
