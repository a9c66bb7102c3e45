"""
For the tests of programs that use natsroute: run event routes without a server.

Only the network is missing. Routes are found, called and given events as in production, payloads are encoded and
subjects are checked::

    class DialogTests(TestCase):
        async def test_dialog_becomes_presence(self):
            tester = RouteTester(event_route)
            await tester.deliver("Kamailio-World", {"Event-Package": "dialog"})
            self.assertEqual([message.subject for message in tester.published], ["presence.dialog"])

Timeouts, retries and other middleware run as in production too, on a clock that moves only when the test calls
``tester.clock.advance(seconds)``.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from natsroute import payloads
from natsroute.daemon.code.loading import load_code
from natsroute.daemon.code.routing import compile_cfg
from natsroute.daemon.memory.publisher import MemoryPublisher, MemoryService, Published
from natsroute.daemon.memory.requests import MemoryRequests
from natsroute.daemon.memory.stream import Acknowledged, MemoryStream
from natsroute.daemon.settings.settings import Settings
from natsroute.errors import NatsrouteError, PendingLimitError, RouteError, ServerError, SlowConsumerError
from natsroute.jetstream.key_value.key_value import KeyValue
from natsroute.kamailio.cfg.start_values import service_variables
from natsroute.kamailio.evaluation import ConsumerVariables
from natsroute.kamailio.evaluation_log import EvaluationLog
from natsroute.kamailio.event_expressions import EventExpressions
from natsroute.kamailio.script.initialization import Initialization
from natsroute.ledger import RouteCounters
from natsroute.routes.event import Event, EventContext, RouteFunction
from natsroute.routes.event_routes import EventRoutes
from natsroute.routes.hooks import HookRunner
from natsroute.routes.key_value_event import KeyValueEvent
from natsroute.routes.results import call_deferred
from natsroute.routes.route import CONNECTED, DISCONNECTED, ERROR, SLOW_CONSUMER, Route
from natsroute.routes.table import RouteTable
from natsroute.wire.frames import Address
from natsroute.wire.headers import HeaderValues, encode_headers
from natsroute.wire.key_value import Operation, stream_of, subject_of
from natsroute.wire.subjects import matcher

__all__ = ["Acknowledged", "Published", "RouteTester"]


class RouteTester:
    """
    Delivers messages to event routes and keeps what they publish.

    A route with ``thread=True`` runs in the test's thread. ``concurrency`` and ``key`` have no effect: each
    :meth:`deliver` calls its route at once.

    To test the event routes of a ``kamailio.cfg``, with its hash tables and variables::

        settings = Settings.from_environment({}, kamailio_cfg="kamailio.cfg", event_routes="functions.py")
        tester = RouteTester(EventRoutes(), settings)

    :param routes: the routes to test, in addition to those of the ``kamailio_cfg`` of the settings.
    :param settings: what hooks see as ``service.settings``. Routes use the ``kamailio_cfg``, the functions for scripts
        in the files of ``event_routes``, ``pua_json_subject`` and ``script_timeout``.
    :raises RouteError: two of the routes have the same name.
    :raises ScriptError: an event route of the ``kamailio_cfg`` cannot be compiled.

    :ivar published: what the routes and hooks have published, in order. Answers are among them, those of routes with
        ``responds=True`` too.
    :ivar requested: the requests that the routes and hooks have made, in order. :meth:`answer` says what they get.
    :ivar acknowledged: what the routes, or natsroute for them, have acknowledged of the messages of a stream, in order.
    :ivar key_value: gives a key-value bucket in memory, which hooks and routes have, too. All buckets are
        there, and empty at first. See :mod:`natsroute.daemon.sending.key_values`.
    :ivar clock: the time that middleware sees, and ``$TS`` and the like in expressions.
    """

    def __init__(self, routes: EventRoutes, settings: Settings = Settings()) -> None:
        self.published: list[Published] = []
        self.requested: list[Published] = []
        self.acknowledged: list[Acknowledged] = []
        self._publisher = MemoryPublisher(self.published.append, matcher(settings.jetstream_publish))
        self.clock = Clock()
        self._stream = MemoryStream(self.clock, self.acknowledged.append)
        self._requests = MemoryRequests(self.clock, self.requested.append)
        initialization: Initialization | None = None
        if settings.cfg is not None:
            functions = load_code(settings.event_routes).script_functions
            compiled = compile_cfg(settings.cfg, functions, self._call_here)
            routes = EventRoutes.merged([routes, compiled.event_routes])
            initialization = compiled.initialization
        self._table = RouteTable(route for route in routes if route.bucket is None)
        self._key_value = RouteTable(route for route in routes if route.bucket is not None)
        self._hooks = HookRunner(routes.hooks, self.clock)
        failures = EvaluationLog()
        variables = service_variables(
            settings.cfg,
            pua_json_subject=settings.pua_json_subject,
            script_timeout=settings.script_timeout,
            now=self.clock.seconds,
            on_failure=failures.failed,
            on_statement_failure=failures.statement_failed,
        )
        if initialization is not None:
            initialization.run(variables)
        self._expressions = EventExpressions(ConsumerVariables(variables))
        self.key_value = self._requests.key_value
        self._service = MemoryService(self._publisher, self._requests, settings, lambda: len(self.published))

    def start(self) -> Deferred[None]:
        """
        Run the ``on_start`` hooks, as the start of a service does.

        :return: fires when all have succeeded; fails with the error of the first that fails, which is logged, too.
            Cancelling it cancels the hook that runs.
        """
        return self._hooks.start(self._service)

    def stop(self) -> Deferred[None]:
        """
        Run the ``on_stop`` hooks, as the stop of a service does: after :meth:`start`, in reverse order.

        :return: fires when all have ended. Their errors are logged.
        """
        return self._hooks.stop(self._service)

    def answer(self, subject: str, *answers: object, headers: HeaderValues | None = None) -> None:
        """
        Answer the requests that routes and hooks make to a subject from now on. Nobody answers any other request.

        :param subject: may have wildcards. If several match a request, the last one counts.
        :param answers: what the request gets, or all that ``request_many`` gets: a payload as for ``publish()``; an
            exception, with which the request fails; a Deferred of one of these; or a function that is called with the
            request, a :class:`Published`, and returns one of all these. Without any, nobody answers.
        :param headers: of all these answers.
        :raises SubjectError: the subject is invalid.
        :raises HeaderError: a header is invalid.
        """
        self._requests.answer(subject, *answers, headers=headers)

    def deliver(
        self,
        subject: str,
        payload: object = b"",
        *,
        reply: str | None = None,
        headers: HeaderValues | None = None,
        queue_group: str | None = None,
        stream: str = "",
        consumer: str = "consumer",
        sequence: int = 1,
        delivered: int = 1,
        max_deliver: int = 0,
    ) -> Deferred[object]:
        """
        Run the best route for a message.

        With ``stream``, the message comes from a consumer of that stream. :attr:`acknowledged` has what becomes of it.
        A message that should come again is not delivered again: call this once more, with ``delivered=2``.

        :param subject: the subject that the message is published to.
        :param payload: bytes; a string, sent as UTF-8; or anything else, sent as JSON.
        :param reply: the subject that answers go to, or None.
        :param headers: each with one value or several.
        :param queue_group: what ``event.queue_group`` is.
        :param stream: the stream that the message comes from; empty: from none.
        :param consumer: the name of its consumer.
        :param sequence: the message's sequence in the stream.
        :param delivered: how often it has been delivered, this time included.
        :param max_deliver: how often the consumer delivers it at most; 0: there is no limit.
        :return: fires with the route's result when the call has ended; fails with what the route raised, or with
            :class:`~natsroute.errors.RouteError` if no route matches. Cancelling it cancels the call.
        :raises PayloadError: the payload cannot be encoded.
        :raises HeaderError: a header is not valid.
        :raises SubjectError: ``stream`` or ``consumer`` is not a name that they can have.
        """
        route = self._table.find(subject)
        if route is None:
            return fail(RouteError(f"no event route matches a message to {subject!r}"))
        block = encode_headers(headers) if headers else b""
        reply_to = None if reply is None else reply.encode("utf-8", "surrogateescape")
        context = self._context(route, queue_group)
        event = Event.of_message(context, Address(subject, 1), payloads.to_bytes(payload), block, reply_to)
        function = route.wrapped(self._call_here)
        if not stream:
            return call_deferred(function, event)
        event.reply_to = self._stream.ack_subject(stream, consumer, sequence, delivered)
        event.context = attrs.evolve(context, acknowledgement=self._stream.acknowledgement(route, max_deliver))
        return self._stream.call(function, event)

    def change(
        self,
        bucket: str,
        key: str,
        value: object = b"",
        *,
        operation: Operation = "put",
        ttl: float | None = None,
    ) -> Deferred[object]:
        """
        Change a key of a bucket in memory, and run the best route for that, such as ``kv:BUCKET:calls.>``.

        :param value: as for ``put()`` of a bucket, if the operation is ``"put"``.
        :param operation: ``"put"``, ``"delete"`` or ``"purge"``.
        :param ttl: as for ``put()`` and ``purge()`` of a bucket.
        :return: as for :meth:`deliver`. It fails as the methods of a bucket do, too.
        :raises SubjectError: the name of the bucket is invalid.
        """
        return Deferred.fromCoroutine(self._change(self.key_value(bucket), key, value, operation, ttl))

    async def _change(self, bucket: KeyValue, key: str, value: object, operation: Operation, ttl: float | None) -> Any:
        if operation == "put":
            revision = await bucket.put(key, value, ttl=ttl)
        else:
            revision = await (bucket.delete(key) if operation == "delete" else bucket.purge(key, ttl=ttl))
        entry = (await bucket.history(key))[-1]
        subject = subject_of(bucket.bucket, key)
        route = self._key_value.find(subject)
        if route is None:
            raise RouteError(f"no event route matches a change of {key!r} in bucket {bucket.bucket}")
        block = encode_headers({name: entry.headers.get_all(name) for name in entry.headers}) if entry.headers else b""
        reply_to = self._stream.ack_subject(stream_of(bucket.bucket), "routes", revision, 1)
        event = KeyValueEvent.of_message(self._context(route, None), Address(subject, 1), entry.value, block, reply_to)
        return await call_deferred(route.wrapped(self._call_here), event)

    def connected(self, server: str = "nats://127.0.0.1:4222") -> Deferred[object]:
        """Run ``nats:connected``. See :meth:`deliver` for the Deferred; the other connection events have the same."""
        return self._run_connection_event(CONNECTED, server)

    def disconnected(self, server: str = "nats://127.0.0.1:4222") -> Deferred[object]:
        """Run ``nats:disconnected``."""
        return self._run_connection_event(DISCONNECTED, server)

    def error(self, error: ServerError, server: str = "nats://127.0.0.1:4222") -> Deferred[object]:
        """Run ``nats:error``."""
        return self._run_connection_event(ERROR, server, error)

    def slow_consumer(
        self, error: PendingLimitError | SlowConsumerError, server: str = "nats://127.0.0.1:4222"
    ) -> Deferred[object]:
        """Run ``nats:slow_consumer``."""
        return self._run_connection_event(SLOW_CONSUMER, server, error)

    def _run_connection_event(self, name: str, server: str, error: NatsrouteError | None = None) -> Deferred[object]:
        route = self._table.get(name)
        if route is None:
            return fail(RouteError(f"there is no event route {name!r}"))
        event = Event.of_connection(self._context(route, None, server, error))
        return call_deferred(route.wrapped(self._call_here), event)

    def _context(
        self, route: Route, queue_group: str | None, server: str | None = None, error: NatsrouteError | None = None
    ) -> EventContext:
        counters = RouteCounters(route.name)
        expressions = self._expressions
        return EventContext(
            self._publisher.publish,
            self.clock,
            counters,
            queue_group,
            server,
            error,
            expressions=expressions,
            requests=self._requests,
            publish_all=self._publisher.publish_all,
        )

    def _call_here(self, function: RouteFunction, event: Event) -> Deferred[object]:
        """Call a function that production calls in a thread."""
        return call_deferred(function, event)
