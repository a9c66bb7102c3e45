"""One loaded version of the code: the event routes, the scripts and the hooks, and what they share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from natsroute.daemon.code.routing import Routing
from natsroute.daemon.settings.bucket_entry import KeyValueEntry
from natsroute.daemon.settings.jetstream_entries import AnyEntry
from natsroute.daemon.settings.settings import Settings
from natsroute.kamailio.cfg.start_values import go_on_from, service_variables
from natsroute.kamailio.evaluation import ConsumerVariables
from natsroute.kamailio.evaluation_log import EvaluationLog
from natsroute.kamailio.event_expressions import EventExpressions
from natsroute.kamailio.kemi.hook_names import hook_names
from natsroute.kamailio.kemi.script_thread import ScriptThread
from natsroute.kamailio.kemi.scripts import Scripts
from natsroute.kamailio.locks import Locks
from natsroute.kamailio.tables import HashTable, TableStore
from natsroute.routes.event import Expressions
from natsroute.routes.event_routes import EventRoutes
from natsroute.routes.hooks import HookRunner
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.outgoing import Publish
from natsroute.routes.route import CallInThread
from natsroute.routes.runner import ConnectionRunner, FindRoute, Runner, RunnerContext
from natsroute.routes.traced_runner import TracedRunner


@attrs.frozen
class ConnectionCode:
    """
    What one connection runs.

    :ivar version: stands for the version of the code.
    :ivar find: finds the route of a message.
    :ivar get: finds it by its name.
    :ivar find_event: finds the route of a connection event.
    :ivar expressions: evaluates pseudo-variables.
    :ivar script: the instance of the KEMI script, or None.
    """

    version: object
    find: FindRoute
    get: FindRoute
    find_event: FindRoute
    expressions: Expressions
    script: ScriptThread | None

    def new_runner(self, context: RunnerContext, entry: AnyEntry) -> Runner:
        """What runs the messages of a consumer, in this version at first."""
        kind = Runner if context.tracing is None else TracedRunner
        return kind(
            self.find,
            context,
            subject=entry.event_name,
            queue_group=entry.queue_group,
            expressions=self.expressions,
            version=self.version,
        )

    def new_event_runner(self, context: RunnerContext, queue_group: str | None = None) -> ConnectionRunner:
        """What runs the events of a connection, in this version at first."""
        return ConnectionRunner(
            self.find_event, context, queue_group=queue_group, expressions=self.expressions, version=self.version
        )


def _none(name: str) -> None:
    """There is no route of messages."""


class Program:
    """
    One loaded version of the code that the settings name, with the event routes of the program around it.

    :param event_routes: event routes of the program, in addition to those that the settings name, or None.
    :param call_in_thread: runs functions that block.
    :param in_flight: the calls that have not ended.
    :param publish_for: gives the ``publish`` of the KEMI script for a connection.
    :param former: the version before it, whose variables it goes on from; None for the first one.
    :param share: gives the htable that scripts use for one of the ``kamailio_cfg`` with this name.
    :raises SettingError: a routes file or a callback cannot be loaded.
    :raises ScriptError: something in the ``kamailio_cfg`` or the KEMI script is malformed, or one of the event routes
        cannot run.

    :ivar version: stands for this version of the code.
    :ivar settings: the settings that name the code.
    :ivar routing: which function runs for a message or a connection event.
    :ivar hooks: runs the hooks.
    :ivar scripts: the instances of the KEMI script.
    :ivar variables: the variables that all connections share.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        event_routes: EventRoutes | None,
        call_in_thread: CallInThread,
        in_flight: CallsInFlight,
        publish_for: Callable[[str], Publish],
        former: Program | None = None,
        share: Callable[[bytes, HashTable], TableStore] = lambda name, table: table,
    ) -> None:
        self.version = object()  # not the program: an event that is kept does not keep that
        self.settings = settings
        self._publish_for = publish_for
        slow_after = settings.slow_route_warning
        with settings.origins.in_errors():
            self.routing = Routing(settings, event_routes, call_in_thread)
        self.scripts = Scripts(
            reactor,
            settings.kemi_script,
            settings.event_callback,
            in_flight,
            hooks=hook_names(settings.cfg),
            slow_after=slow_after,
        )
        self.hooks = HookRunner(self.routing.hooks, reactor, slow_after=slow_after)
        failures = EvaluationLog()
        self.variables = service_variables(
            settings.cfg,
            pua_json_subject=settings.pua_json_subject,
            script_timeout=settings.script_timeout,
            on_failure=failures.failed,
            on_statement_failure=failures.statement_failed,
            locks=Locks(lambda call: reactor.callFromThread(call)),
        )
        if self.routing.initialization is not None:
            self.routing.initialization.run(self.variables)
        if former is not None:
            go_on_from(former.variables, self.variables)
        self.variables.share_tables(share)
        self._of_publish_workers = self._new_script("publish workers", consumes=False)

    def for_publish_worker(self) -> ConnectionCode:
        """What the connection of a publish worker runs. All of them have one instance of the KEMI script together."""
        script = self._of_publish_workers
        expressions = EventExpressions(ConsumerVariables(self.variables))
        return ConnectionCode(self.version, _none, _none, self.routing.for_connections(script), expressions, script)

    def for_consumer(self, entry: AnyEntry) -> ConnectionCode:
        """What a consumer runs."""
        variables = ConsumerVariables(self.variables)
        # The event of a change has a key and a revision, of which KEMI scripts know nothing.
        is_bucket = isinstance(entry, KeyValueEntry)
        script = None if is_bucket else self._new_script(str(entry), variables, consumes=True)
        return ConnectionCode(
            self.version,
            self.routing.for_entry(entry, script),
            self.routing.by_name(entry, script),
            self.routing.for_connections(script),
            EventExpressions(variables),
            script,
        )

    def _new_script(
        self, name: str, variables: ConsumerVariables | None = None, *, consumes: bool
    ) -> ScriptThread | None:
        consumer = ConsumerVariables(self.variables) if variables is None else variables
        return self.scripts.new_thread(name, consumer, self._publish_for, consumes=consumes)
