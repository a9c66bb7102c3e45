"""KEMI scripts without threads, for the tests of what loads and runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.evaluation import ConsumerVariables, ServiceVariables
from natsroute.kamailio.kemi.context import Message, ScriptContext
from natsroute.kamailio.kemi.instance import CONSUMER_RANK, Instance
from natsroute.kamailio.kemi.ksr import FUNCTIONS
from natsroute.kamailio.kemi.python_script import PythonScript
from natsroute.kamailio.kemi.worker import Worker
from natsroute.kamailio.tables import HashTable
from natsroute.ledger import RouteCounters
from natsroute.routes.event import Event, EventContext
from natsroute.routes.outgoing import NoRequests, Requests
from natsroute.wire.frames import Address


def new_event(
    data: bytes = b"",
    *,
    subject: str = "a",
    route: str = "nats:a",
    headers: bytes = b"",
    requests: Requests = NoRequests(),
) -> Event:
    """A message on its way to a script; one without a subject is the event of a connection."""
    context = EventContext(_no_publish, Clock(), RouteCounters(route), "group", requests=requests)
    return Event.of_message(context, Address(subject, 1 if subject else 0), data, headers)


def _no_publish(*arguments: object, **named: object) -> Any:
    raise AssertionError("scripts publish through their context")


class ScriptCase(SynchronousTestCase):
    """
    A test with a script.

    :ivar published: what was published: subject, payload and reply subject.
    :ivar failures: expressions that had no value, and positions in scripts of what failed; each with the reason.
    :ivar service: what the instances share; with the hash table ``t``, and ``n`` whose entries are 0 at first.
    """

    def setUp(self) -> None:
        self.published: list[tuple[str, bytes, str | None]] = []
        self.failures: list[tuple[str, str]] = []
        self.service = ServiceVariables(
            tables={b"t": HashTable(), b"n": HashTable(initial=0)},
            on_failure=lambda text, error: self.failures.append((text, str(error))),
            on_statement_failure=lambda position, error: self.failures.append((position, str(error))),
        )

    def publish(self, subject: bytes, payload: bytes, reply: bytes | None = None) -> None:
        """What the test is to its instances: an outbox."""
        self.published.append((subject.decode(), payload, reply.decode() if reply else None))

    def publish_all(self, messages: Sequence[Message]) -> None:
        """Likewise."""
        for message in messages:
            self.publish(*message)

    def ask(self, request: Callable[[], Deferred[Any]]) -> Any:
        """Likewise. The answer must be there at once."""
        outcomes: list[Any] = []
        request().addBoth(outcomes.append)
        [outcome] = outcomes
        if isinstance(outcome, Failure):
            outcome.raiseException()
        return outcome

    def new_context(self) -> ScriptContext:
        """What an instance works with."""
        return ScriptContext(ConsumerVariables(self.service), self, new_event(subject="", route="(no event)"))

    def script(self, source: str, suffix: str = ".py") -> str:
        """Write a script to a file; returns its path."""
        path = Path(self.mktemp()).with_suffix(suffix).resolve()
        path.write_text(dedent(source), encoding="utf-8")
        return str(path)

    def load(self, source: str, callback: str = "on_event", rank: int | None = CONSUMER_RANK) -> Instance:
        """Load a script in Python."""
        return PythonScript(self.script(source), callback).load(self.new_context(), rank)

    def new_caller(self, event: Event) -> Callable[..., object]:
        """Calls a function of KSR by its name, with bytes and integers, for one event."""
        context = self.new_context()
        context.begin(event)
        functions = {name: function.new(context) for name, function in FUNCTIONS.items()}
        return lambda name, *arguments: functions[name](*arguments)

    def check_calls(self, event: Event, calls: Sequence[tuple[object, ...]]) -> None:
        """Each of the calls is a result, the name of a function, and arguments; they are made in order."""
        call = self.new_caller(event)
        for expected, *name_and_arguments in calls:
            result = call(*name_and_arguments)
            self.assertEqual((result, type(result)), (expected, type(expected)), name_and_arguments)


class MemoryWorker(Worker):
    """A worker whose thread is the test: it works when :meth:`work` is called."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.thread = _NoThread(self._begin)  # type: ignore[assignment]
        self.awake = 0
        self.instance: Instance | None = None

    def _begin(self) -> None:
        self.instance = self._new_instance(self)
        self._on_loaded(None)

    def wake(self) -> None:
        self.awake += 1

    def work(self) -> None:
        """Handle what is in the inbox, and say so."""
        assert self.instance is not None
        self._run_inbox(self.instance)
        self._on_pause()

    def finish(self) -> None:
        """The end of the thread, after :meth:`end`."""
        self.thread.alive = False  # type: ignore[attr-defined]
        self._on_ended()


class _NoThread:
    def __init__(self, begin: Callable[[], None]) -> None:
        self.alive = False
        self.ident = 1
        self._begin = begin

    def start(self) -> None:
        self.alive = True
        self._begin()

    def is_alive(self) -> bool:
        return self.alive
