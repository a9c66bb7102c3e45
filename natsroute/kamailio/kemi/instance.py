"""What an instance of a script is to the thread that runs it, whatever its language."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.routes.event import Event

#: The rank of a process that consumes, as Kamailio passes it to ``child_init``.
CONSUMER_RANK = -2


class Instance(Protocol):
    """
    A script that was loaded. All methods are called in the thread that loaded it.

    :ivar max_batch: how many messages :meth:`run_batch` takes at most; 1: only :meth:`run` is called.
    """

    max_batch: int

    def run(self, event: Event) -> object:
        """
        Call the event callback. A script that ends itself, as by ``sys.exit()``, has not failed.

        :raises BaseException: whatever the script raises.
        """

    def run_batch(self, events: Sequence[Event]) -> Sequence[tuple[int, BaseException]]:
        """
        Call the event callback for several messages of one route, in order.

        :return: the index and the error of each call that failed.
        """

    def close(self) -> None:
        """The script is no longer needed."""


#: Loads a script, and calls its hooks. Called in the thread of the new instance, with the rank that ``child_init`` gets
#: (None: it is not called). Raises :class:`~natsroute.errors.ScriptError`.
NewInstance = Callable[[ScriptContext, "int | None"], Instance]
