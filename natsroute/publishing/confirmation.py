"""
The Deferred that a publish returns, which costs little until somebody listens to it.

Most routes publish and drop the Deferred, and thousands of them are on the way at any moment. A plain Deferred brings a
list for its callbacks, whether there are any or not: two objects to make, to keep and to look through for the garbage
collector where one does. And when all of them fail, Twisted would write a traceback for each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred
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
        if self.has_listeners:
            self.errback(reason)
            return
        # What errback() would do, without the traceback that it would leave in the log.
        failure = reason if isinstance(reason, Failure) else Failure(reason)
        failure.cleanFailure()
        self.called = True
        self.result = failure
        self.unheard = unheard
        self.__class__ = _FailedConfirmation


class _FailedConfirmation(Confirmation):
    """Apart, since a ``__del__`` would cost the others too."""

    def __del__(self) -> None:
        if not self.has_listeners:
            self.unheard(cast(Failure, self.result))


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


def _count_references(confirmations: Sequence[Confirmation | None]) -> list[int]:
    return [_references(confirmation) for confirmation in confirmations]


#: How often CPython says that an object is referred to; elsewhere nobody can know whether a Deferred is still wanted.
_references: Callable[[object], int] = getattr(sys, "getrefcount", lambda thing: sys.maxsize)
#: What it says of one that nobody has but the list that is looked through.
[_OURS_ALONE] = _count_references([Confirmation()])


def without_abandoned(confirmations: Sequence[Confirmation | None]) -> list[Confirmation | None]:
    """
    None in the place of each that nobody will ever look at: its publisher has dropped it, and nobody listens.

    They need not be kept until the server has their messages, and looked through by the garbage collector meanwhile.
    """
    return [
        confirmation
        if confirmation is None or _references(confirmation) > _OURS_ALONE or confirmation.has_listeners
        else None
        for confirmation in confirmations
    ]
