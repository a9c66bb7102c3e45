"""
Scripts in Python, in both conventions of Kamailio. What the script defines shows which one it follows.

With ``mod_init()`` it is one for ``app_python3``: that function returns an object, whose methods are the callbacks.
They are called with the SIP message and the name of the event, and ``child_init(rank)`` in each process. Otherwise it
is one for ``app_python3s``: the callbacks are functions of the module, called with the name of the event, and the hooks
are ``script_init()`` and ``script_child_init()``. Modparams can give the hooks other names.
"""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, NoReturn

from natsroute.errors import ScriptError
from natsroute.kamailio.kemi import ksr_module
from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.kamailio.kemi.hook_names import HookName, HookNames
from natsroute.kamailio.kemi.script_file import read_script_file
from natsroute.kamailio.kemi.sip_object import SipMessage
from natsroute.nearest import did_you_mean
from natsroute.routes.event import Event

_MESSAGE = SipMessage()
_numbers = count(1)


class PythonScript:
    """
    A script in Python that was read and compiled. It runs when :meth:`load` is called.

    :param path: the path of the script.
    :param callback: the name of the event callback.
    :param hooks: the names of its hooks.
    :raises ScriptError: the script cannot be read, or has a syntax error.
    """

    def __init__(self, path: str, callback: str, hooks: HookNames = HookNames()) -> None:
        self._path = path
        self._callback = callback
        self._hooks = hooks
        self._code = _compile(path)

    def load(self, context: ScriptContext, rank: int | None) -> PythonInstance:
        """
        Run the script in the current thread, and call its hooks.

        :param rank: what ``child_init`` is called with; None: it is not called.
        :raises ScriptError: the script or a hook fails, or there is no such callback.
        """
        ksr_module.use(context)
        context.where = self._where
        folder = str(Path(self._path).resolve().parent)
        if folder not in sys.path:
            sys.path.insert(0, folder)  # so that the script can import modules beside it
        module = ModuleType(f"{Path(self._path).stem}_{next(_numbers)}")
        module.__file__ = self._path
        sys.modules[module.__name__] = module  # dataclasses and pickle look there
        try:
            return self._load(module, context, rank)
        except BaseException:
            del sys.modules[module.__name__]
            raise
        finally:
            context.release_locks()

    def _load(self, module: ModuleType, context: ScriptContext, rank: int | None) -> PythonInstance:
        self._call(lambda: exec(self._code, module.__dict__))
        hooks = self._hooks
        mod_init = None if hooks.are_functions else self._hook(module, hooks.mod_init)
        if mod_init is None:
            self._call_hook(module, hooks.script_init)
            self._call_child_hook(module, hooks.script_child_init, rank)
            function = self._find(module, "a function of the script", ("the name of the event",))
            return PythonInstance(module.__name__, context, function)
        owner = self._call(mod_init)
        if owner is None:
            problem = f"{hooks.mod_init.name}() returned None"
            self._fail(*_line_of(mod_init), problem, "Let it return the object with the callbacks")
        self._call_child_hook(owner, hooks.child_init, rank)
        function = self._find(
            owner,
            f"a method of the object that {hooks.mod_init.name}() returns",
            ("the SIP message", "the name of the event"),
        )
        return PythonInstance(module.__name__, context, lambda name: function(_MESSAGE, name))

    def _hook(self, owner: object, hook: HookName) -> Callable[..., Any] | None:
        """The hook of this name, or None. One that a modparam names must be there, as in Kamailio."""
        found: Any = getattr(owner, hook.name, None) if hook.name else None
        if found is None and hook.modparam:
            remedy = did_you_mean(hook.name, _functions(owner), f"Define it, or leave {hook.modparam} out", prefix="")
            self._fail(1, 1, f"there is no {hook.name!r}, which {hook.modparam} names", remedy)
        if found is not None and not callable(found):
            self._fail(1, 1, f"{hook.name!r} cannot be called", "Kamailio calls it when it starts: define a function")
        return found  # type: ignore[no-any-return]

    def _call_hook(self, owner: object, name: HookName) -> None:
        hook = self._hook(owner, name)
        if hook is not None:
            self._check_result(name.name, hook, self._call(hook))

    def _call_child_hook(self, owner: object, name: HookName, rank: int | None) -> None:
        """Look for the hook, and call it if there is a rank."""
        hook = self._hook(owner, name)
        if hook is None or rank is None:
            return
        arguments = (rank,) if _takes(hook, 1) else ()
        self._check_result(name.name, hook, self._call(lambda: hook(*arguments)))

    def _check_result(self, name: str, hook: Callable[..., Any], result: object) -> None:
        if isinstance(result, int) and result < 0:
            self._fail(*_line_of(hook), f"{name}() returned {result}", "Kamailio does not start then either; return 0")

    def _find(self, owner: object, what: str, arguments: tuple[str, ...]) -> Callable[..., object]:
        """The event callback."""
        name = self._callback
        function: Any = getattr(owner, name, None)
        if function is None:
            remedy = did_you_mean(name, _functions(owner), f"Define it as {what}", prefix="")
            self._fail(1, 1, f"event_callback is {name!r}, and there is no such thing", remedy)
        if not callable(function):
            self._fail(1, 1, f"event_callback is {name!r}, which cannot be called", f"Define it as {what}")
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            self._fail(*_line_of(function), f"{name} is a coroutine or generator", "Use 'def' without await and yield")
        if not _takes(function, len(arguments)):
            remedy = f"Let it take {len(arguments)}: {' and '.join(arguments)}"
            self._fail(*_line_of(function), f"{name}() takes another number of arguments", remedy)
        found: Callable[..., object] = function
        return found

    def _call(self, function: Callable[[], Any]) -> Any:
        """Call code of the script. Whatever it raises is why the script cannot be used."""
        try:
            return function()
        except ScriptError:
            raise
        except BaseException as error:
            line, column = self._line_in_script(error)
            problem = f"{type(error).__name__}: {error}".rstrip(": ").rstrip(".")
            self._fail(line, column, problem, _remedy(error))

    def _where(self) -> str:
        """The line of the script that runs now."""
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if frame.f_code.co_filename == self._path:
                return f"{self._path}:{frame.f_lineno}:1"
            frame = frame.f_back
        return ""

    def _line_in_script(self, error: BaseException) -> tuple[int, int]:
        if isinstance(error, SyntaxError) and error.filename == self._path:
            return error.lineno or 1, error.offset or 1
        frames = [one for one in traceback.extract_tb(error.__traceback__) if one.filename == self._path]
        if not frames:
            return 1, 1
        column = getattr(frames[-1], "colno", None)  # Python 3.11 and later have it
        return frames[-1].lineno or 1, 1 if column is None else column + 1

    def _fail(self, line: int, column: int, problem: str, remedy: str) -> NoReturn:
        raise ScriptError(self._path, line, column, problem, remedy)


class PythonInstance:
    """
    One instance: its globals are its own. Modules that the script imports are shared by all instances.

    :cvar max_batch: see :class:`~natsroute.kamailio.kemi.instance.Instance`.

    :param module: the name of its module.
    :param callback: called with the name of the event.
    """

    max_batch = 1

    def __init__(self, module: str, context: ScriptContext, callback: Callable[[str], object]) -> None:
        self._module = module
        self._context = context
        self._callback = callback

    def run(self, event: Event) -> object:
        """See :meth:`natsroute.kamailio.kemi.instance.Instance.run`."""
        self._context.begin(event)
        try:
            return self._callback(event.context.counters.route)
        except SystemExit:  # sys.exit() ends the call, as in Kamailio
            return None
        finally:
            if self._context.has_locked:
                self._context.release_locks()

    def run_batch(self, events: Sequence[Event]) -> NoReturn:
        """See :attr:`max_batch`."""
        raise AssertionError("it takes one message after the other")

    def close(self) -> None:
        """See :meth:`natsroute.kamailio.kemi.instance.Instance.close`."""
        sys.modules.pop(self._module, None)


def _compile(path: str) -> CodeType:
    source = read_script_file(path)
    try:
        code: CodeType = compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        problem = f"syntax error: {error.msg}"
        raise ScriptError(path, error.lineno or 1, error.offset or 1, problem, "Fix that line") from None
    except ValueError as error:  # it has NUL bytes
        raise ScriptError(path, 1, 1, str(error), "Name a script in Python") from None
    return code


def _takes(function: Callable[..., object], arguments: int) -> bool:
    try:
        inspect.signature(function).bind(*range(arguments))
    except TypeError:
        return False
    except ValueError:  # one that is written in C, and does not say
        return True
    return True


def _functions(owner: object) -> list[str]:
    """The names of the functions or methods of a module or object."""
    return [name for name in dir(owner) if not name.startswith("__") and callable(getattr(owner, name, None))]


def _line_of(function: Callable[..., object]) -> tuple[int, int]:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return (code.co_firstlineno if code is not None else 1), 1


def _remedy(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "A script must not end itself while it is loaded"
    if isinstance(error, ModuleNotFoundError):
        return "Install the module, or put it beside the script"
    if isinstance(error, ValueError) and "signal only works in main thread" in str(error):
        return "Scripts run in threads, and natsroute handles the signals: leave the call out"
    if isinstance(error, AttributeError) and "'KSR" in str(error):
        return "natsroute does not have that function; docs/kamailio/kemi.md lists those that it has"
    return "Fix that line"
