"""Functions in Python as functions of a script."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from natsroute.errors import DecodeError, RouteError
from natsroute.kamailio.cfg.reserved import RESERVED
from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.script.functions.calls import function, value
from natsroute.kamailio.script.functions.definitions import FunctionDefinition
from natsroute.kamailio.user_functions import ScriptFunction
from natsroute.kamailio.values import Value, text_of
from natsroute.routes.results import as_deferred
from natsroute.routes.route import CallInThread
from natsroute.routes.signatures import name_of


def definitions(
    functions: Iterable[ScriptFunction], taken: Collection[str], call_in_thread: CallInThread
) -> dict[str, FunctionDefinition]:
    """
    What the compiler of scripts needs of these functions, by name.

    :param taken: the names of natsroute's own functions.
    :param call_in_thread: runs the functions that block.
    :raises RouteError: a function has the name of another, or a word of the language.
    """
    found: dict[str, FunctionDefinition] = {}
    origins: dict[str, ScriptFunction] = {}
    for one in functions:
        if one.name in taken or one.name in RESERVED:
            whose = "natsroute has a function of this name" if one.name in taken else "it is a word of the language"
            raise RouteError(f"script function {one.name!r}: {whose}. Give {name_of(one.function)} another name")
        if one.name in origins:
            first, second = name_of(origins[one.name].function), name_of(one.function)
            raise RouteError(f"there are two script functions {one.name!r}: {first} and {second}. Rename one of them")
        origins[one.name] = one
        found[one.name] = _definition(one, call_in_thread)
    return found


def _definition(found: ScriptFunction, call_in_thread: CallInThread) -> FunctionDefinition:
    call, name = found.function, found.name

    def run(evaluation: Evaluation, *values: Value) -> int | Deferred[int]:
        arguments = [_shown(name, value) for value in values]
        if found.thread:
            returned: Any = call_in_thread(lambda event: call(event, *arguments), evaluation.event)
        else:
            returned = call(evaluation.event, *arguments)
        ending = as_deferred(returned)
        return result_of(name, returned) if ending is None else ending.addCallback(partial(result_of, name))

    parameters = [value] * found.maximum
    return function(name, run, *parameters, optional=found.maximum - found.minimum, waits=True)


def _shown(name: str, value: Value) -> str | int | None:
    """An argument, as the function gets it."""
    if value is None:
        return None
    if isinstance(value, int):
        return int(value)
    try:
        return text_of(value).decode()
    except UnicodeDecodeError as error:
        raise DecodeError(
            f"an argument of {name}() is not UTF-8: byte {error.start} of {len(value)} is invalid. event.data is the "
            "payload as it came"
        ) from None


def result_of(name: str, returned: object) -> int:
    """
    The result of a call, as the script sees it.

    :raises RouteError: the function returned something else.
    """
    if returned is None or returned is True:
        return 1
    if returned is False:
        return -1
    if type(returned) is int:
        return returned
    raise RouteError(
        f"script function {name!r} returned an object of type {type(returned).__name__}. It must return None, a bool "
        "or an int; event.set_pv() assigns to a variable of the script"
    )
