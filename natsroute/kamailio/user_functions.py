"""``@script_function``: functions in Python that a Kamailio script can call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

import attrs

from natsroute.errors import RouteError
from natsroute.routes.signatures import (
    AtCallersLine,
    check_kind,
    is_coroutine_function,
    name_of,
    positional_arguments,
)

_AnyFunction = TypeVar("_AnyFunction", bound=Callable[..., Any])

#: A call in a script has at most so many arguments.
MAX_ARGUMENTS = 32

#: The attribute of a function that keeps what it was decorated with.
_MARK = "_natsroute_script_functions"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@attrs.frozen
class ScriptFunction:
    """
    A function in Python that scripts can call.

    :ivar name: its name in scripts.
    :ivar function: what is called with the event and the arguments.
    :ivar thread: whether it runs in a thread, because it blocks.
    :ivar minimum: how many arguments it takes at least, without the event.
    :ivar maximum: how many it takes at most.
    """

    name: str
    function: Callable[..., Any]
    thread: bool
    minimum: int
    maximum: int


@overload
def script_function(function: _AnyFunction, /) -> _AnyFunction:
    """Without options."""


@overload
def script_function(*, name: str | None = None, thread: bool = False) -> Callable[[_AnyFunction], _AnyFunction]:
    """With options."""


def script_function(
    function: Callable[..., Any] | None = None, /, *, name: str | None = None, thread: bool = False
) -> Callable[..., Any]:
    """
    Let Kamailio scripts call the decorated function. The function itself is not changed::

        @script_function
        async def is_blocked(event, user): ...

        @script_function(name="lookup", thread=True)
        def look_up(event, user, domain): ...

    In the script, it is called like any other function: ``if (is_blocked("$var(user)")) { … }``. Natsroute finds it in
    the files and modules that ``--event_routes`` names.

    The function is called with the :class:`~natsroute.Event`, and with what the script gives it: text (``str``, with
    the variables in it expanded), integers (``int``), or None for ``$null``. ``event.pv()`` and ``event.set_pv()`` read
    and assign to the variables of the script.

    It returns the result of the call: an ``int``, which is true in the script if it is above 0, false if it is below 0,
    and ends the script if it is 0; or True, which is 1, False, which is -1, or None, which is 1. It may also be a
    coroutine function, or return a Deferred; the script waits for it, and other events run meanwhile. If it raises an
    exception, the script ends, and the event has failed.

    A wrong number of arguments is an error when the script is loaded. So is text that is not UTF-8 when it is called:
    that fails the event with :class:`~natsroute.errors.DecodeError`.

    :param name: its name in scripts; the name of the function by default.
    :param thread: run the function in a thread, because it blocks.
    :raises RouteError: it is not a function that can be called so, or the name is not possible in a script.
    """

    def decorate(decorated: _AnyFunction) -> _AnyFunction:
        with AtCallersLine():
            found = _checked(decorated, name, thread=thread)
            try:
                setattr(decorated, _MARK, (*getattr(decorated, _MARK, ()), found))
            except AttributeError:
                raise RouteError(f"{name_of(decorated)} cannot be decorated. Write a function that calls it") from None
        return decorated

    return decorate if function is None else decorate(function)


def script_functions_in(values: Iterable[object]) -> list[ScriptFunction]:
    """The functions among these values, such as those of a module, that were decorated with ``@script_function``."""
    found: list[ScriptFunction] = []
    for value in values:
        mark = getattr(value, "__dict__", {}).get(_MARK, ())
        found += [one for one in mark if one not in found]
    return found


def _checked(function: Callable[..., Any], name: str | None, *, thread: bool) -> ScriptFunction:
    own_name = getattr(function, "__name__", "") if name is None else name
    if not isinstance(own_name, str) or _NAME.fullmatch(own_name) is None:
        raise RouteError(f"{own_name!r} is not a name for a function in a script. Use letters, digits and underscores")
    try:
        check_kind(function)
        if thread and is_coroutine_function(function):
            raise RouteError("a coroutine function runs on the reactor, not in a thread")
        least, most = positional_arguments(function)
    except RouteError as error:
        raise RouteError(f"script function {own_name!r}: {error}") from None
    if most == 0:
        raise RouteError(f"script function {own_name!r}: {name_of(function)} takes no argument; the first is the event")
    maximum = MAX_ARGUMENTS if most is None else min(most - 1, MAX_ARGUMENTS)
    return ScriptFunction(own_name, function, thread, max(least - 1, 0), maximum)
