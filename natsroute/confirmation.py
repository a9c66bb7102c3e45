"""
The Deferred that a publish returns, and the log of failures that nobody handles.

Most routes publish and drop the Deferred, and thousands of Deferreds wait for their confirmation at any moment. A plain
Deferred creates a list of callbacks even if there are none: two objects to create, to keep and to traverse during
garbage collection instead of one. When all of them fail, Twisted would log a traceback for each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import DebugInfo, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from natsroute.errors import NatsrouteError
from natsroute.log import Logger
from natsroute.text import printable

_new_deferred = vars(Deferred())
#: The attribute in which this version of Twisted keeps the callbacks (25.5 renamed it). None if a new Deferred has
#: attributes that we do not know; then a Confirmation is a plain Deferred.
_CALLBACKS = next(
    (name for name in ("_callbacks", "callbacks") if _new_deferred == {name: [], "_canceller": None}), None
)


class Confirmation(Deferred[None]):
    """
    Fires with None when the server has the message.

    :ivar has_callbacks: whether a callback was added, or the Deferred was fired or cancelled from outside.
    :ivar resendable: whether the message may be sent again after a lost connection.
    """

    has_callbacks = _CALLBACKS is None
    resendable = True

    @staticmethod
    def _on_cancel() -> None:
        """See :func:`new_confirmation_class`."""

    _on_callback = _on_cancel

    if _CALLBACKS is not None:
        _canceller = None
        # Class attributes replace the attributes of a new Deferred, and __getattr__ creates the list of callbacks when
        # it is needed. So creating a Confirmation runs no Python code.
        __init__ = object.__init__

        def __getattr__(self, name: str) -> Any:
            if name != _CALLBACKS:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
            self.has_callbacks = True
            callbacks: list[Any] = []
            setattr(self, name, callbacks)
            self._on_callback()
            return callbacks

    def cancel(self) -> None:
        """Fail with :class:`~twisted.internet.defer.CancelledError`, unless it has fired."""
        if not self.called:
            self._on_cancel()
        super().cancel()

    def fail(self, reason: Failure | Exception, on_unhandled: Callable[[Failure], object]) -> None:
        """
        Fail the Deferred: the message was not published. Nothing happens if it was cancelled.

        :param on_unhandled: called with the failure if the Deferred is garbage collected before anybody has handled it;
            in any thread.
        """
        if self.called:
            return
        failure = reason if isinstance(reason, Failure) else Failure(reason)
        self._debugInfo = debug_info = _UnhandledFailure(on_unhandled)
        if self.has_callbacks:
            self.errback(failure)
        else:
            failure.cleanFailure()
            self.called = True
            self.result = debug_info.failResult = failure


def new_confirmation_class(
    on_cancel: Callable[[], None], on_callback: Callable[[], None] = lambda: None
) -> type[Confirmation]:
    """
    The class of the Deferreds of one publisher.

    The functions belong to the class because attributes of each Deferred would cost each publish time.

    :param on_cancel: called when one of them is cancelled, shortly before it fails.
    :param on_callback: called when the first callback is added to one of them; in the thread that adds it.
    """
    functions = {"_on_cancel": staticmethod(on_cancel), "_on_callback": staticmethod(on_callback)}
    return type("Confirmation", (Confirmation,), functions)


class _UnhandledFailure(DebugInfo):
    """
    Holds the failure of a Deferred until an errback handles it; then Twisted removes it from here. Twisted's own class
    logs a traceback for each failure that is left.
    """

    def __init__(self, on_unhandled: Callable[[Failure], object]) -> None:
        self._on_unhandled = on_unhandled

    def __del__(self) -> None:
        if self.failResult is not None:
            self._on_unhandled(self.failResult)


#: Seconds in which failures of one type are logged once.
LOG_INTERVAL = 60.0
#: Subjects whose routes are remembered, and characters of a subject in the log.
_MAX_SUBJECTS = 8192
_MAX_SUBJECT_LENGTH = 200


class UnhandledFailureLog:
    """
    Logs publishes that failed without anybody handling the failure.

    The first failure of a type is logged at once. Further ones are counted, and the number is logged with the next
    failure after ``LOG_INTERVAL``, or by :meth:`log_rest`.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._logged_at: dict[type[BaseException], float] = {}
        self._not_logged: dict[type[BaseException], int] = {}
        self._routes: dict[str, set[str]] = {}  # by the subject that they publish to

    def publishes(self, route: str, subject: str) -> None:
        """Remember that a route publishes to a subject. A message does not carry its route, as that costs time."""
        if not route:
            return
        if len(self._routes) >= _MAX_SUBJECTS:
            self._routes.clear()
        self._routes.setdefault(subject, set()).add(route)

    def describe(self, subject: str, route: str = "") -> str:
        """
        Name a message in the log: its subject, and the route that published it.

        :param route: the route if it is known; otherwise all routes that publish to this subject are named.
        """
        routes = {route} if route else self._routes.get(subject, ())
        source = f" from {' or '.join(sorted(routes))}" if routes else ""
        return printable(str(subject), _MAX_SUBJECT_LENGTH) + source

    def add(self, failure: Failure, subject: str, route: str = "") -> None:
        """Log or count the failure of a message. The garbage collector may call this in any thread."""
        kind = failure.type
        assert kind is not None
        now = self._clock.seconds()
        if now - self._logged_at.get(kind, -LOG_INTERVAL) < LOG_INTERVAL:
            self._not_logged[kind] = self._not_logged.get(kind, 0) + 1
            return
        self._logged_at[kind] = now
        count = self._not_logged.pop(kind, 0)
        more = f" ({count} more failures of this type since the last line)" if count else ""
        to = self.describe(subject, route)
        if failure.check(NatsrouteError):
            self.log.error(
                "Not published: message to {to}: {reason}{more}",
                to=to,
                reason=failure.getErrorMessage(),
                more=more,
                subject=subject,
                route=route,
            )
        else:  # the user's payload function raised it, and the traceback shows where
            self.log.failure(
                "Not published: message to {to}{more}", failure=failure, to=to, more=more, subject=subject, route=route
            )

    def log_rest(self) -> None:
        """Log how many failures were counted since the last line of their type. For the end."""
        not_logged, self._not_logged = self._not_logged, {}
        for kind, count in not_logged.items():
            self.log.error("Not published: {count} more messages, {kind}", count=count, kind=kind.__name__)
