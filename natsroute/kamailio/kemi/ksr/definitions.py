"""What a function of ``KSR`` is to the languages of the scripts."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from natsroute.kamailio.kemi.context import ScriptContext

#: What a function returns: a script in Python gets str for bytes, one in Lua nil for None.
Result = int | bytes | None

#: The function itself. It is called in the thread of the script, with bytes and integers as its parameters say.
Run = Callable[..., Result]


@attrs.frozen
class KemiFunction:
    """
    A function of ``KSR``.

    :ivar name: such as ``pv.get``, or ``info`` for one of the core.
    :ivar parameters: a letter for each argument: ``s`` for a string, ``i`` for an integer.
    :ivar new: makes the function for one instance of a script.
    :ivar optional: how many of them may be left out, at the end.
    :ivar has_result: it returns something. One that does not gives 0 in Python and false in Lua, as in Kamailio.
    """

    name: str
    parameters: str
    new: Callable[[ScriptContext], Run]
    has_result: bool = True
    optional: int = 0

    @property
    def fewest(self) -> int:
        """The number of arguments that it needs."""
        return len(self.parameters) - self.optional


def function(
    name: str, parameters: str, run: Callable[..., Result], *, has_result: bool = True, optional: int = 0
) -> KemiFunction:
    """
    A function of ``KSR``.

    :param run: called with the context and the arguments.
    """

    def new(context: ScriptContext) -> Run:
        if not parameters:
            return lambda: run(context)
        if len(parameters) == 1:
            return lambda argument: run(context, argument)
        if len(parameters) == 2:
            return lambda first, second: run(context, first, second)
        return lambda *arguments: run(context, *arguments)

    return KemiFunction(name, parameters, new, has_result, optional)


def table(*functions: KemiFunction) -> dict[str, KemiFunction]:
    """The functions by their names."""
    return {one.name: one for one in functions}
