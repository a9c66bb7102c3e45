"""Loads a script once, to see whether it can be used. Nothing that it publishes or asks is sent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from natsroute.errors import PublisherStoppedError
from natsroute.kamailio.evaluation import ConsumerVariables, ServiceVariables
from natsroute.kamailio.kemi.context import Message, ScriptContext
from natsroute.kamailio.kemi.scripts import Script
from natsroute.ledger import RouteCounters
from natsroute.routes.event import Event, EventContext


def attempt(script: Script, variables: ServiceVariables) -> None:
    """
    Load a script as a start does, in a thread of its own, with all hooks but the one for a consumer: Kamailio does not
    call that for ``kamailio -c`` either.

    :raises ScriptError: it cannot be used.
    """
    errors: list[BaseException] = []

    def load() -> None:
        try:
            script.load(ScriptContext(ConsumerVariables(variables), _Nowhere(), _no_event()), None).close()
        except BaseException as error:  # it is for the caller, whatever it is
            errors.append(error)

    thread = threading.Thread(target=load, name="natsroute script", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors.pop()  # its traceback has this frame


class _Nowhere:
    """The outbox of a script that is not used."""

    def publish(self, subject: bytes, payload: bytes, reply: bytes | None = None) -> None:
        """Nothing is published."""

    def publish_all(self, messages: Sequence[Message]) -> None:
        """Nothing is published."""

    def ask(self, request: Callable[[], Deferred[Any]]) -> NoReturn:
        """Nobody answers."""
        raise PublisherStoppedError("the script is only tried, and nothing is sent")


def _no_event() -> Event:
    return Event.of_connection(EventContext(_never, Clock(), RouteCounters("(no event)")))


def _never(*arguments: object, **named: object) -> NoReturn:
    raise AssertionError("scripts publish through their context")
