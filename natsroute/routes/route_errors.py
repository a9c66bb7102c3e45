"""What the function of an event route raises: an error of this call, whatever it is."""

from __future__ import annotations

from natsroute.wire.headers import printable

#: Characters of an error's text that a header or a line of the log has: an error can quote a whole payload.
MAX_TEXT = 500


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
        return f"{name}: {printable(str(error)[:MAX_TEXT])}"
    except BaseException:  # even an exit: this is the text of an error, and ends nothing
        return name
