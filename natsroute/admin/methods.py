"""
The admin methods of a process, by name.

Whoever has something to offer adds one line: ``methods.add("reload", reload, changes=True)``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeAlias

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from natsroute.admin.errors import MethodError
from natsroute.admin.rpc import Code, Request, RequestError, error_line, read_request, result_line
from natsroute.errors import NatsrouteError
from natsroute.log import Logger
from natsroute.nearest import did_you_mean
from natsroute.text import printable

#: A method: takes the parameters by name, and returns a JSON value or a Deferred of one. An error of natsroute that it
#: raises is shown to the caller; any other exception is a fault, of which the caller learns the type only.
Method: TypeAlias = Callable[[Mapping[str, Any]], Any]

#: Characters of a name that an error shows.
_MAX_NAME = 64


class ParameterError(NatsrouteError):
    """A method raises this for a parameter that it cannot use. The caller sees the text."""


@attrs.frozen
class _Entry:
    function: Method
    required: Mapping[str, type]
    optional: Mapping[str, type]
    changes: bool


class Methods:
    """
    The admin methods, by name. Everything here is called in the reactor's thread.
    """

    log = Logger()

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def add(
        self,
        name: str,
        function: Method,
        *,
        required: Mapping[str, type] | None = None,
        optional: Mapping[str, type] | None = None,
        changes: bool = False,
    ) -> None:
        """
        Offer a method.

        :param function: called with the parameters, once their names and types are checked.
        :param required: the names and types of the parameters that it needs.
        :param optional: those of the others.
        :param changes: whether it changes something. Over NATS, such a method is offered only if the settings name it.
        """
        self._entries[name] = _Entry(function, required or {}, optional or {}, changes)

    @property
    def names(self) -> Collection[str]:
        """The names of all methods."""
        return self._entries.keys()

    @property
    def reading(self) -> list[str]:
        """The names of the methods that change nothing."""
        return [name for name, entry in self._entries.items() if not entry.changes]

    def only(self, names: Iterable[str]) -> Methods:
        """A registry with these methods only. Names that are not known are left out."""
        offered = Methods()
        offered._entries = {name: self._entries[name] for name in names if name in self._entries}
        return offered

    def call(self, name: str, params: Mapping[str, Any]) -> Deferred[Any]:
        """
        Call a method.

        :return: fires with its result, in the reactor's thread. Fails with
            :class:`~natsroute.admin.errors.MethodError` only. Cancelling it cancels what the method has returned.
        """
        called: Deferred[Any] = maybeDeferred(self._call, name, params)
        return called.addErrback(self._failed, name)

    def answer(self, line: bytes) -> Deferred[bytes | None]:
        """
        Answer a request.

        :param line: the request as received, without the line end.
        :return: fires with the line of the answer, or None for a notification. Never fails, unless it is cancelled.
        """
        return Deferred.fromCoroutine(self._answer(line))

    async def _answer(self, line: bytes) -> bytes | None:
        try:
            request = read_request(line)
        except RequestError as refused:
            return error_line(refused.id, refused.error)
        try:
            answer = _encoded(request, await self.call(request.method, request.params))
        except MethodError as error:
            answer = error_line(request.id, error)
        return answer if request.wants_answer else None

    def _call(self, name: str, params: Mapping[str, Any]) -> Any:
        entry = self._entries.get(name)
        if entry is None:
            remedy = did_you_mean(name[:_MAX_NAME], self.names, f"There are {', '.join(sorted(self.names))}", prefix="")
            raise MethodError(Code.UNKNOWN_METHOD, f"there is no method {printable(name, _MAX_NAME)!r}. {remedy}")
        known = {**entry.required, **entry.optional}
        for unknown in params.keys() - known.keys():
            remedy = did_you_mean(unknown[:_MAX_NAME], known, f"It takes {', '.join(known) or 'none'}", prefix="")
            text = f"{name} has no parameter {printable(unknown, _MAX_NAME)!r}. {remedy}"
            raise MethodError(Code.INVALID_PARAMS, text)
        for missing in entry.required.keys() - params.keys():
            raise MethodError(Code.INVALID_PARAMS, f"{name} needs the parameter {missing!r}")
        for given, value in params.items():
            if not isinstance(value, known[given]) or (isinstance(value, bool) and known[given] is not bool):
                expected = {str: "a string", bool: "true or false", dict: "an object", list: "an array"}
                text = f"the parameter {given!r} of {name} is {expected.get(known[given], 'a number')}"
                raise MethodError(Code.INVALID_PARAMS, text)
        return entry.function(params)

    def _failed(self, failure: Failure, name: str) -> Failure:
        error = failure.value
        if isinstance(error, MethodError):
            return failure
        if isinstance(error, ParameterError):
            return Failure(MethodError(Code.INVALID_PARAMS, str(error)))
        if isinstance(error, NatsrouteError):
            return Failure(MethodError(Code.FAILED, str(error)))
        self.log.failure("The admin method {name} failed", failure, name=name)
        text = f"{name} failed: {type(error).__name__}. The log of the service has the traceback"
        return Failure(MethodError(Code.INTERNAL_ERROR, text))


def _encoded(request: Request, result: object) -> bytes:
    """
    The answer to a request whose method has returned.

    :raises MethodError: what it has returned is no JSON value.
    """
    try:
        return result_line(request.id, result)
    except (TypeError, ValueError, RecursionError) as error:
        kind = type(error).__name__
        raise MethodError(Code.INTERNAL_ERROR, f"{request.method} returned no JSON value ({kind})") from None
