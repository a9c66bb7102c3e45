"""
``event_route[htable:mod-init]``, which runs once, before anything else: scripts fill their hash tables there.

``$var``, ``$vn`` and ``$shv`` keep what it has set, as in Kamailio, whose processes are copies of the one that ran it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import attrs
from twisted.internet.task import Clock

from natsroute.errors import EvaluationError
from natsroute.kamailio.cfg.source import Position
from natsroute.kamailio.evaluation import ConsumerVariables, ServiceVariables
from natsroute.kamailio.event_expressions import EventExpressions
from natsroute.ledger import RouteCounters
from natsroute.routes.event import Event, EventContext
from natsroute.routes.results import call_deferred

#: The name of the event route.
NAME = "htable:mod-init"


@attrs.frozen
class Initialization:
    """
    The event route, compiled.

    :ivar position: where it begins.
    """

    _function: Callable[[Event], Any]
    position: Position

    def run(self, variables: ServiceVariables) -> None:
        """
        Run it on the variables of a service, before there are consumers.

        :raises ScriptError: it raises an exception, takes too long, or waits for something.
        """
        consumer = ConsumerVariables(variables)
        context = EventContext(_publish, Clock(), RouteCounters(NAME), expressions=EventExpressions(consumer))
        ended: list[object] = []
        result = call_deferred(self._function, Event.of_connection(context)).addBoth(ended.append)
        if not ended:
            result.cancel()
            problem = f"event_route[{NAME}] waits, and nothing runs before it has ended"
            raise self.position.error(problem, "Leave out sleep(), lock() and functions in Python that wait")
        failure = ended[0]
        if failure is not None:
            problem = f"event_route[{NAME}] failed: {failure.getErrorMessage()}"  # type: ignore[attr-defined]
            raise self.position.error(problem, "Fix it, or remove it")
        variables.var, variables.vn = consumer.var, consumer.vn


def _publish(*message: object, **how: object) -> NoReturn:
    raise EvaluationError(f"nothing can be published in event_route[{NAME}], which runs before there is a connection")
