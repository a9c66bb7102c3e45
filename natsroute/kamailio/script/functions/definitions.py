"""What a function of a script is to the compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred

from natsroute.kamailio.cfg.source import Position
from natsroute.kamailio.evaluation import Evaluation, Getter
from natsroute.kamailio.expressions import Expression
from natsroute.kamailio.regular_expressions import Pattern

#: A compiled call. As in Kamailio, a result above 0 is true, below 0 false, and 0 ends the script like ``exit``. It
#: raises :class:`~natsroute.errors.EvaluationError` where a function of Kamailio logs an error and returns -1: the
#: script logs the error, and takes -1 for the result.
Action = Callable[[Evaluation], int]
#: A compiled call that the script waits for.
WaitingAction = Callable[[Evaluation], "Deferred[int] | int"]


class Argument(Protocol):
    """
    An argument of a call, as it stands in the script: a string, a number, a variable, or an expression of these.

    Each function asks for the kind that its parameter has in Kamailio, while the script is compiled. All methods raise
    :class:`~natsroute.errors.ScriptError` if the argument is not of that kind, or cannot be compiled. The closures
    raise :class:`~natsroute.errors.EvaluationError` when there is no such value for an event.
    """

    @property
    def position(self) -> Position:
        """Where it stands."""

    def constant(self) -> str | int:
        """A string as it is written, without expansion, or a number. Other arguments are an error."""

    def text(self) -> Callable[[Evaluation], bytes]:
        """A text. In a string, variables are expanded; a number becomes its digits."""

    def number(self) -> Callable[[Evaluation], int]:
        """An integer. A string must hold a number or one variable."""

    def value(self) -> Getter:
        """Its value: null, an integer or bytes. A string is expanded."""

    def variable(self) -> Expression:
        """A variable, which the function can assign to. It may stand in a string, as ``"$var(x)"``."""

    def regex(self) -> Callable[[Evaluation], Pattern]:
        """A POSIX extended regular expression. A string is not expanded, and is compiled once."""


@attrs.frozen
class FunctionDefinition:
    """
    A function that a script can call.

    :ivar name: its name in the script.
    :ivar build: makes the closure, when the script is compiled. It is given an :class:`Argument` for each argument.
    :ivar minimum: how many arguments it has at least.
    :ivar maximum: how many it has at most.
    :ivar waits: the closure is a :data:`WaitingAction`. Blocks that call it are run as coroutines.
    """

    name: str
    build: Callable[..., WaitingAction]
    minimum: int
    maximum: int
    waits: bool = False
