"""Whether a function can be an event route, seen when it is decorated: its kind and its parameters."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from types import FrameType, TracebackType
from typing import Any

from natsroute.errors import RouteError

_PACKAGE = __name__.partition(".")[0]


def check_function(function: Callable[..., Any], argument: str) -> None:
    """
    Check a function that natsroute is to call with one argument.

    What is not known, such as the parameters of a function that is written in C, is not refused.

    :param argument: what it is called with, for the error.
    :raises RouteError: it is not callable, it is a generator function, which a call does not run, or it does not take
        exactly one positional argument.
    """
    check_kind(function)
    try:
        # Decorators that pass on what they are given look like the function inside; only the outside is called.
        signature = inspect.signature(function, follow_wrapped=False)
    except (ValueError, TypeError):
        return
    try:
        signature.bind(None)
    except TypeError:
        raise RouteError(
            f"{name_of(function)} has the parameters {signature}; it is called with one argument, {argument}"
        ) from None


def check_kind(function: Callable[..., Any]) -> None:
    """
    Check that a call of a function runs it.

    :raises RouteError: it is not callable, or it is a generator function, which a call does not run.
    """
    if not callable(function):
        raise RouteError(f"{function!r} is not callable")
    code = called(function)
    if inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code):
        raise RouteError(
            f"{name_of(function)} is a generator function: a call runs none of it. Remove its 'yield', or decorate it "
            "with inlineCallbacks"
        )


def positional_arguments(function: Callable[..., Any]) -> tuple[int, int | None]:
    """
    How many positional arguments a function takes, at least and at most.

    :return: None for the second if there is no limit. If nothing is known of the function, 0 and None.
    :raises RouteError: it cannot be called with positional arguments alone.
    """
    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except (ValueError, TypeError):
        return 0, None
    parameters = signature.parameters.values()
    if any(one.kind is one.KEYWORD_ONLY and one.default is one.empty for one in parameters):
        raise RouteError(f"{name_of(function)} has the parameters {signature}; it is called with positional arguments")
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    least = sum(1 for one in positional if one.default is one.empty)
    return least, None if any(one.kind is one.VAR_POSITIONAL for one in parameters) else len(positional)


#: The attribute of a plain function that returns coroutines, so that it counts as a coroutine function.
RETURNS_COROUTINES = "_returns_coroutines"


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Whether a function is a coroutine function, also as a partial, a method, or an object that can be called."""
    return inspect.iscoroutinefunction(called(function)) or hasattr(function, RETURNS_COROUTINES)


def called(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function whose code a call runs first: inside a partial, or the ``__call__`` of an object."""
    while isinstance(function, partial):
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    call: Callable[..., Any] = type(function).__call__
    return call


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function for an error, with file and line if they are known."""
    inner = called(function)
    code = getattr(inner, "__code__", None)
    name = getattr(function, "__qualname__", None) or repr(function)
    return f"{name}()" if code is None else f"{name}() ({code.co_filename}:{code.co_firstlineno})"


class AtCallersLine(AbstractContextManager["AtCallersLine"]):
    """Lets the traceback of a :class:`~natsroute.errors.RouteError` end at the line of the program that is at fault."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, RouteError):
            return
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == _PACKAGE:
            frame = frame.f_back
        if frame is not None:
            raise error.with_traceback(TracebackType(None, frame, frame.f_lasti, frame.f_lineno)) from None
