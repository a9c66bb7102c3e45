"""
``import KSR``, for scripts in Python.

There is one module ``KSR`` in the process, since ``sys.modules`` is one, and a module that scripts import may import it
too. Its functions work for the instance of the thread that calls them: each instance has a thread of its own.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from natsroute.errors import MisuseError
from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.kamailio.kemi.ksr import FUNCTIONS
from natsroute.kamailio.kemi.ksr.definitions import KemiFunction, Run

_NAME = "KSR"


class _Current(threading.local):
    """The functions of the instance that runs in this thread; empty in all other threads."""

    functions: dict[str, Run] = {}


_current = _Current()


def use(context: ScriptContext) -> None:
    """Let ``KSR`` work for an instance of a script, in the current thread."""
    _current.functions = {name: function.new(context) for name, function in FUNCTIONS.items()}
    sys.modules[_NAME] = _MODULE


def forget() -> None:
    """The current thread has no instance any more."""
    _current.functions = {}


def _python_function(function: KemiFunction) -> Callable[..., object]:
    """
    The function as Python calls it: strings are str there, and may also be bytes in arguments.

    A result that is not UTF-8 raises UnicodeDecodeError, as in Kamailio. What is called most has a short way.
    """
    name, parameters, current = function.name, function.parameters, _current

    def of_one_text(text: Any, /) -> object:
        try:
            result = current.functions[name](text.encode())
        except (KeyError, AttributeError):
            return of_any(text)
        return result.decode() if type(result) is bytes else result

    def of_two_texts(first: Any, second: Any, /) -> object:
        try:
            result = current.functions[name](first.encode(), second.encode())
        except (KeyError, AttributeError):
            return of_any(first, second)
        return result.decode() if type(result) is bytes else result

    def of_any(*arguments: object) -> object:
        if name not in current.functions:
            raise MisuseError(f"KSR.{name}() works in the thread of a KEMI script, not in one that it has started")
        if not function.fewest <= len(arguments) <= len(parameters):
            raise TypeError(f"KSR.{name}() takes {len(parameters)} arguments, not {len(arguments)}")
        converted = [_CONVERTERS[letter](name, argument) for letter, argument in zip(parameters, arguments)]
        result = current.functions[name](*converted)
        return result.decode() if type(result) is bytes else result

    for made in (of_one_text, of_two_texts, of_any):
        made.__name__ = made.__qualname__ = name.rpartition(".")[2]
    if parameters == "s":
        return of_one_text
    return of_two_texts if parameters == "ss" else of_any


def _text(name: str, argument: object) -> bytes:
    if isinstance(argument, str):
        return argument.encode()
    if isinstance(argument, bytes):
        return argument
    raise TypeError(f"KSR.{name}() takes a str here, not {type(argument).__name__}")


def _number(name: str, argument: object) -> int:
    if isinstance(argument, int):
        return argument
    raise TypeError(f"KSR.{name}() takes an int here, not {type(argument).__name__}")


_CONVERTERS: dict[str, Callable[[str, object], int | bytes]] = {"s": _text, "i": _number}


def _new_module() -> ModuleType:
    root = ModuleType(_NAME, "The functions of Kamailio's KEMI framework that natsroute has.")
    for name, function in FUNCTIONS.items():
        package, _, own_name = name.rpartition(".")
        if package and not hasattr(root, package):
            setattr(root, package, ModuleType(f"{_NAME}.{package}"))
        setattr(getattr(root, package) if package else root, own_name, _python_function(function))
    return root


_MODULE = _new_module()
