"""The subscriptions that a server refuses: which they are, and when they are asked for again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.client.subscription import Subscription
from natsroute.errors import ServerError


class Refusals:
    """
    Asks for refused subscriptions again, all at once, with a longer wait after each refusal.

    A server does not say when it grants a permission, so there is nothing else to wait for.

    :param delay: returns the seconds to wait, from how often a subscription has been refused in a row.
    :param ask: subscribes again, and returns a Deferred that fires when the server has answered, or fails if the server
        is lost.
    :param on_accepted: called when none is refused any more, and the server has accepted the last ones.
    """

    def __init__(
        self,
        clock: IReactorTime,
        delay: Callable[[int], float],
        *,
        ask: Callable[[Iterable[Subscription]], Deferred[None]],
        on_accepted: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._delay = delay
        self._ask = ask
        self._on_accepted = on_accepted
        self._refused: dict[Subscription, None] = {}  # in the order of their refusals
        self._asked: dict[Subscription, None] = {}  # those of them that were asked for, and not refused again
        self._rounds = 0
        self._timer: IDelayedCall | None = None
        self._asking: Deferred[None] | None = None

    @property
    def error(self) -> ServerError | None:
        """Why a subscription is refused; None while none is."""
        return next((subscription.refused for subscription in self._refused), None)

    @property
    def newest_asked(self) -> Subscription | None:
        """The last subscription that was asked for again and that the server has not answered; or None."""
        return next(reversed(self._asked), None)

    def add(self, subscription: Subscription, error: ServerError) -> None:
        """Take a refusal."""
        subscription.refused = error
        self._refused[subscription] = None
        self._asked.pop(subscription, None)
        if self._timer is None and self._asking is None:
            self._wait()

    def forget(self, subscription: Subscription) -> None:
        """A subscription has ended."""
        self._asked.pop(subscription, None)
        if subscription in self._refused:
            self._accept([subscription])

    def clear(self) -> None:
        """Nothing is refused any more: the server is gone, or the subscriptions have ended."""
        for subscription in self._refused:
            subscription.refused = None
        self._refused.clear()
        self._asked.clear()
        self._rounds = 0
        self._asking = None
        self._stop_timer()

    def _wait(self) -> None:
        self._rounds += 1
        self._timer = self._clock.callLater(self._delay(self._rounds), self._ask_again)

    def _ask_again(self) -> None:
        self._timer = None
        self._asked = dict(self._refused)
        asking = self._asking = self._ask(self._refused)
        asking.addCallbacks(self._answered, lambda lost: None, callbackArgs=(asking,))

    def _answered(self, _: None, asking: Deferred[None]) -> None:
        if self._asking is not asking:
            return  # it was cleared meanwhile
        self._asking = None
        asked, self._asked = self._asked, {}
        if len(asked) < len(self._refused):
            self._wait()
        self._accept(asked)

    def _accept(self, accepted: Iterable[Subscription]) -> None:
        for subscription in accepted:
            subscription.refused = None
            self._refused.pop(subscription, None)
        if not self._refused:
            self.clear()
            self._on_accepted()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
