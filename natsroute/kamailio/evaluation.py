"""
What expressions are evaluated in: an event, the variables of its consumer, and what all consumers of the service share.

Kamailio's consumers are processes: ``$var`` lives in one of them and keeps its value from message to message, ``$shv``
and hash tables are in memory that all share. Here a consumer has a :class:`ConsumerVariables`, and all of them one
:class:`ServiceVariables`. What belongs to one event only, such as ``$avp``, is in its :class:`EventVariables`. They do
not refer to the event, so that the event can keep them without a cycle: large payloads would wait for the garbage
collector.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from natsroute.errors import EvaluationError
from natsroute.kamailio.jansson import documents as jansson_documents
from natsroute.kamailio.jansson.documents import NotJanssonError
from natsroute.kamailio.json import documents as json_documents
from natsroute.kamailio.json.lenient import NotJsonError
from natsroute.kamailio.locks import Locks
from natsroute.kamailio.table_iterators import TableIterator
from natsroute.kamailio.tables import HashTable, TableStore
from natsroute.kamailio.values import Value
from natsroute.kamailio.xavps import Xavps
from natsroute.routes.event import Event

#: What a document is that is not JSON.
NOT_JSON = object()

#: Bounds the documents that an evaluation keeps: an expression can parse one out of another.
_MAX_DOCUMENTS = 64

#: The defaults of the settings of these names.
DEFAULT_PUA_JSON_SUBJECT = "pua_json"
DEFAULT_SCRIPT_TIMEOUT = 1.0

#: The largest random number, as in Kamailio.
MAX_RANDOM = 2**31 - 1

#: The probability of ``rand_event`` before a script sets another one, in per cent.
INITIAL_PROBABILITY = 10


def _ignore(text: str, error: EvaluationError) -> None:
    """Failures are only seen as null."""


def _random_number() -> int:
    return random.randint(0, MAX_RANDOM)


class ServiceVariables:
    """
    What all consumers of a service share.

    :ivar shared: the values of ``$shv``, by name.
    :ivar var: the values that ``$var`` has for each consumer at its start, by name.
    :ivar vn: those that ``$vn`` has.
    :ivar tables: the hash tables behind ``$sht``, by name.
    :ivar locks: what scripts lock.
    :ivar probability: of ``rand_event``, in per cent.
    :ivar definitions: what ``#!define`` defines, by name.
    :ivar environment: the environment variables.
    :ivar pua_json_subject: where ``pua_json_publish`` sends what a Kamailio is to publish.
    :ivar script_timeout: seconds that a script may run for one event before other things do; 0 for any time.
    :ivar now: gives the seconds since 1970.
    :ivar seconds: gives seconds of a clock that nobody sets, for ``script_timeout``.
    :ivar random_number: gives an integer from 0 to 2**31 - 1.
    :ivar started: when the service started, in seconds since 1970.
    :ivar on_failure: called with an expression and the error, when it has no value for an event.
    :ivar on_statement_failure: called with the place of a statement of a script and the error, when it fails for an
        event.
    """

    def __init__(
        self,
        *,
        shared: Mapping[bytes, int | bytes] | None = None,
        var: Mapping[bytes, int | bytes] | None = None,
        tables: Mapping[bytes, TableStore] | None = None,
        definitions: Mapping[bytes, bytes] | None = None,
        environment: Mapping[str, str] | None = None,
        pua_json_subject: str = DEFAULT_PUA_JSON_SUBJECT,
        script_timeout: float = DEFAULT_SCRIPT_TIMEOUT,
        now: Callable[[], float] = time.time,
        seconds: Callable[[], float] = time.monotonic,
        random_number: Callable[[], int] = _random_number,
        on_failure: Callable[[str, EvaluationError], None] = _ignore,
        on_statement_failure: Callable[[str, EvaluationError], None] = _ignore,
        locks: Locks | None = None,
    ) -> None:
        self.shared: dict[bytes, int | bytes] = dict(shared or {})
        self.var = {} if var is None else var
        self.vn: Mapping[bytes, int | bytes] = {}
        self.tables = {} if tables is None else tables
        self.locks = Locks() if locks is None else locks
        self.probability = INITIAL_PROBABILITY
        self.definitions = {} if definitions is None else definitions
        self.environment = os.environ if environment is None else environment
        self.pua_json_subject = pua_json_subject
        self.script_timeout = script_timeout
        self.now = now
        self.seconds = seconds
        self.random_number = random_number
        self.on_failure = on_failure
        self.on_statement_failure = on_statement_failure
        self.started = int(now())

    def share_tables(self, share: Callable[[bytes, HashTable], TableStore]) -> None:
        """Have other tables, which may be shared with other processes, in the place of those in memory."""
        self.tables = {
            name: share(name, table) if isinstance(table, HashTable) else table for name, table in self.tables.items()
        }


class ConsumerVariables:
    """
    The variables of one consumer. They keep their values from event to event.

    :ivar service: what it shares with the other consumers.
    :ivar var: the values of ``$var``, by name; 0 is what is not there.
    :ivar vn: the values of ``$vn``, by name; null is what is not there.
    :ivar numbers: numbers its events, from 1.
    :ivar snapshot: seconds since 1970 that ``$TV(sn)`` read last.
    """

    __slots__ = ("numbers", "service", "snapshot", "var", "vn")

    def __init__(self, service: ServiceVariables | None = None) -> None:
        self.service = ServiceVariables() if service is None else service
        self.var: dict[bytes, int | bytes] = dict(self.service.var)
        self.vn: dict[bytes, int | bytes] = dict(self.service.vn)
        self.numbers = count(1)  # whose next() is safe in threads
        self.snapshot = 0.0


class EventVariables:
    """
    The variables of one event.

    :ivar consumer: the variables that outlive the event.
    :ivar number: which of the events of its consumer that were evaluated this is, counted from 1.
    :ivar return_code: what ``$rc`` gives: the result of the function that ran last.
    """

    # What most events do not have belongs to the class, so that it costs them nothing.
    _documents: dict[bytes | tuple[bytes], Any] | None = None
    _avps: dict[int | bytes, list[int | bytes]] | None = None
    _xavps: Xavps | None = None
    _iterators: dict[bytes, TableIterator] | None = None
    _moment: float | None = None

    def __init__(self, consumer: ConsumerVariables) -> None:
        self.consumer = consumer
        self.number = next(consumer.numbers)
        self.return_code = 0

    @property
    def avps(self) -> dict[int | bytes, list[int | bytes]]:
        """The values of ``$avp`` by name, the newest last."""
        if self._avps is None:
            self._avps = {}
        return self._avps

    @property
    def xavps(self) -> Xavps:
        """The values of ``$xavp``."""
        if self._xavps is None:
            self._xavps = Xavps()
        return self._xavps

    @property
    def iterators(self) -> dict[bytes, TableIterator]:
        """The iterators over hash tables, by name."""
        if self._iterators is None:
            self._iterators = {}
        return self._iterators

    @property
    def moment(self) -> float:
        """When the event was first asked for its time, in seconds since 1970; the same for all that ask later."""
        if self._moment is None:
            self._moment = self.consumer.service.now()
        return self._moment

    def document(self, data: bytes) -> Any:
        """
        The JSON document that the bytes hold, as json-c reads it, or :data:`NOT_JSON`. Each is parsed once for an
        event.
        """
        documents = self._documents
        if documents is None:
            documents = self._documents = {}
        try:
            return documents[data]
        except KeyError:
            pass
        try:
            document = json_documents.parse(data)
        except NotJsonError:
            document = NOT_JSON
        return self._remember(documents, data, document)

    def strict_document(self, data: bytes) -> Any:
        """The same, as jansson reads it. The document must not be changed."""
        documents = self._documents
        if documents is None:
            documents = self._documents = {}
        key = (data,)
        try:
            return documents[key]
        except KeyError:
            pass
        try:
            document = jansson_documents.parse(data)
        except NotJanssonError:
            document = NOT_JSON
        return self._remember(documents, key, document)

    def _remember(self, documents: dict[bytes | tuple[bytes], Any], key: bytes | tuple[bytes], document: Any) -> Any:
        if len(documents) >= _MAX_DOCUMENTS:
            documents.clear()
        documents[key] = document
        return document


class Evaluation:
    """
    An event, and the variables that its expressions see.

    :ivar own: the variables of the event.
    :ivar consumer: those of its consumer.
    """

    __slots__ = ("consumer", "event", "own")

    def __init__(self, event: Event, own: EventVariables) -> None:
        self.event = event
        self.own = own
        self.consumer = own.consumer


#: How a compiled expression gets its value.
Getter = Callable[[Evaluation], Value]
#: How a value is assigned to a variable.
Setter = Callable[[Evaluation, Value], None]
