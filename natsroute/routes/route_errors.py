"""What the function of an event route raises: an error of this call, whatever it is."""

from __future__ import annotations

from asyncio import _get_running_loop as running_loop

from natsroute.text import printable

#: Characters of an error's text that a header or a line of the log has: an error can quote a whole payload.
MAX_TEXT = 500

#: What to do when a route uses asyncio under another reactor.
NEEDS_ASYNCIO = "asyncio needs its own reactor: twistd --reactor asyncio natsroute"

# What asyncio says when its loop is not running.
_NO_LOOP = ("no running event loop", "await wasn't used with future", "There is no current event loop")


class HandedBackError(Exception):
    """
    A call has failed, and the server delivers its message again. Where the calls of a route are counted, this stands
    for what the function raised; see :mod:`natsroute.routes.acknowledging`.

    :ivar error: what the function raised.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"the message is delivered again after {describe(error)}")
        self.error = self.__cause__ = error


def needs_asyncio(error: BaseException | None) -> bool:
    """Whether an error says that a route uses asyncio under another reactor."""
    return type(error) is RuntimeError and running_loop() is None and str(error).startswith(_NO_LOOP)


def is_exit(error: BaseException | None) -> bool:
    """
    Whether an error is ``sys.exit()``, which ends a call without failing it, as in Kamailio's KEMI.

    With an error code or a message, as in ``sys.exit(1)``, the call has failed.
    """
    return isinstance(error, SystemExit) and error.code in (None, 0)


def describe(error: BaseException) -> str:
    """
    The type and the text of an error, printable and of bounded length.

    An error whose text cannot be had, because its ``__str__`` raises, is named by its type.
    """
    name = type(error).__name__
    try:
        text = f"{name}: {printable(str(error), MAX_TEXT)}"
        return f"{text}. {NEEDS_ASYNCIO}" if needs_asyncio(error) else text
    except BaseException:  # even an exit: this is the text of an error, and ends nothing
        return name
