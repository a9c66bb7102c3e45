"""
The Deferred that a publish returns, which costs little until somebody listens to it.

Most routes publish and drop the Deferred, and thousands of them are on the way at any moment. A plain Deferred brings a
list for its callbacks, whether there are any or not: two objects to make, to keep and to look through for the garbage
collector where one does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred

_fresh = vars(Deferred())
#: Where this Twisted keeps the callbacks (it changed in 25.5), if a fresh Deferred is as we know it.
_LISTENERS = next((name for name in ("_callbacks", "callbacks") if _fresh == {name: [], "_canceller": None}), None)


class Confirmation(Deferred[None]):
    """
    Fires with None when the server has a message.

    :ivar has_listeners: whether anybody looked for its result, or ended it already.
    """

    has_listeners = _LISTENERS is None

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


def confirm_all(confirmations: Iterable[Confirmation]) -> None:
    """The server has these messages."""
    for confirmation in confirmations:
        if confirmation.has_listeners:
            confirmation.callback(None)
        else:
            # What callback() would do, at a tenth of its cost.
            confirmation.called = True
            confirmation.result = None
