"""What several middleware share."""

from __future__ import annotations

from functools import partial

from twisted.internet.defer import Deferred

from natsroute.errors import DecodeError, RouteError
from natsroute.routes.event import Event, RouteFunction
from natsroute.routes.results import call_deferred
from natsroute.routes.route_errors import is_exit


class CancellableCall(Deferred[object]):
    """
    A call of a route's function that knows whether it was cancelled from outside.

    :ivar cancelled: whether the call was cancelled, for example by a timeout around all attempts, or by the service
        when it stops. If it is False and the call fails with ``CancelledError``, that is the route's own error.
    """

    def __init__(self, function: RouteFunction, event: Event) -> None:
        super().__init__()
        self.cancelled = False
        self.addCallback(partial(call_deferred, function))
        self.callback(event)

    def cancel(self) -> None:
        """Cancel what the function returned."""
        self.cancelled = True
        super().cancel()

    def ends_with(self, error: BaseException) -> bool:
        """
        Whether nothing follows an error that ``await`` has raised: the call was cancelled from outside, it ended with
        ``sys.exit()``, or the error is not about the call but ends the coroutine that waits for it.
        """
        return self.cancelled or bool(self.paused) or is_exit(error)


def readable_headers(event: Event) -> dict[str, list[str]]:
    """
    The headers of a message, to be published again.

    Headers that cannot be read are left out, because they may be why the message failed.
    """
    try:
        return {name: event.headers.get_all(name) for name in event.headers}
    except DecodeError:
        return {}


def check_positive(name: str, value: float) -> None:
    """
    Check an argument of a middleware.

    :raises RouteError: it is not a number above 0, or infinite.
    """
    if not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise RouteError(f"{name} = {value!r}; it must be a number above 0")
