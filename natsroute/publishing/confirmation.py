"""
The Deferred that a publish returns, which costs little until somebody listens to it.

Most routes publish and drop the Deferred, and thousands of them are on the way at any moment. A plain Deferred brings a
list for its callbacks, whether there are any or not: two objects to make, to keep and to look through for the garbage
collector where one does. And when all of them fail, Twisted would write a traceback for each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import DebugInfo, Deferred
from twisted.python.failure import Failure

_fresh = vars(Deferred())
#: Where this Twisted keeps the callbacks (it changed in 25.5), if a fresh Deferred is as we know it.
_LISTENERS = next((name for name in ("_callbacks", "callbacks") if _fresh == {name: [], "_canceller": None}), None)


class Confirmation(Deferred[None]):
    """
    Fires with None when the server has a message.

    :ivar has_listeners: whether anybody looked for its result, or ended it already.
    :ivar kept: whether the message may be sent again.
    """

    has_listeners = _LISTENERS is None
    kept = True

    if _LISTENERS is not None:
        _canceller = None
        # The class gives what a fresh Deferred holds, and __getattr__ the list of callbacks; this is no call in Python.
        __init__ = object.__init__

        def __getattr__(self, name: str) -> Any:
            if name != _LISTENERS:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
            self.has_listeners = True
            listeners: list[Any] = []
            setattr(self, name, listeners)
            return listeners

    def fail(self, reason: Failure | Exception, unheard: Callable[[Failure], object]) -> None:
        """
        The server will not have the message.

        :param unheard: called with the failure if nobody has looked at it when the Deferred is gone; in any thread.
        """
        failure = reason if isinstance(reason, Failure) else Failure(reason)
        self._debugInfo = debug_info = _Unheard(unheard)
        if self.has_listeners:
            self.errback(failure)
        else:
            failure.cleanFailure()
            self.called = True
            self.result = debug_info.failResult = failure


class _Unheard(DebugInfo):
    """
    Stands where Twisted keeps a failure until somebody has looked at it; then it takes it away from here. What is left
    when this is gone Twisted would log, with a traceback for each.
    """

    def __init__(self, tell: Callable[[Failure], object]) -> None:
        self._tell = tell

    def __del__(self) -> None:
        if self.failResult is not None:
            self._tell(self.failResult)


def confirm_all(confirmations: Iterable[Confirmation | None]) -> None:
    """The server has these messages."""
    for confirmation in confirmations:
        if confirmation is None:
            continue
        if confirmation.has_listeners:
            confirmation.callback(None)
        else:
            # What callback() would do, at a tenth of its cost.
            confirmation.called = True
            confirmation.result = None


#: How often CPython says that an object is referred to. Elsewhere nobody can know whether a Deferred is still wanted.
_references: Callable[[object], int] | None = getattr(sys, "getrefcount", None)


def _count_references(confirmations: Sequence[Confirmation | None]) -> list[int]:
    return [0 if _references is None else _references(confirmation) for confirmation in confirmations]


#: What it says of one that nobody has but the list that is looked through.
[_OURS_ALONE] = _count_references([Confirmation()])


def without_abandoned(confirmations: list[Confirmation | None]) -> list[Confirmation | None]:
    """
    None in the place of each that nobody will ever look at: its publisher has dropped it, and nobody listens.

    They need not be kept until the server has their messages, and looked through by the garbage collector meanwhile.
    """
    if _references is None:
        return confirmations
    return [
        confirmation
        if confirmation is None or _references(confirmation) > _OURS_ALONE or confirmation.has_listeners
        else None
        for confirmation in confirmations
    ]
