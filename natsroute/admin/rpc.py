"""
JSON-RPC 2.0 as values and bytes: one object in one line of UTF-8. No I/O.

Parameters are given by name. Batches are refused: a client can write several lines instead.
Source: https://www.jsonrpc.org/specification
"""

from __future__ import annotations

import enum
import json
from typing import Any, TypeAlias

import attrs

from natsroute.admin.errors import MethodError, NoAnswerError
from natsroute.text import printable

#: What identifies a request; None in the answer to a request that could not be read.
Id: TypeAlias = "str | int | float | None"

#: Characters of a received text that an error shows.
_MAX_SHOWN = 80


class Code(enum.IntEnum):
    """The codes of errors. FAILED is ours: the method was called and failed, and the text says why."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    UNKNOWN_METHOD = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    FAILED = -32000


@attrs.frozen
class Request:
    """
    A request.

    :ivar method: the name of the method.
    :ivar params: its parameters, by name.
    :ivar id: identifies the request in its answer.
    :ivar wants_answer: False for a notification, which has no ``id``.
    """

    method: str
    params: dict[str, Any]
    id: Id = None
    wants_answer: bool = True

    def line(self) -> bytes:
        """The request as a line."""
        fields: dict[str, object] = {"jsonrpc": "2.0", "method": self.method, "params": self.params}
        return _line({**fields, "id": self.id} if self.wants_answer else fields)


class RequestError(Exception):
    """
    A request that cannot be read.

    :ivar id: its id, as far as it could be read.
    :ivar error: what is wrong, for the answer.
    """

    def __init__(self, code: Code, text: str, id: Id = None) -> None:
        super().__init__(text)
        self.id = id
        self.error = MethodError(code, text)


def read_request(line: bytes) -> Request:
    """
    Read a request.

    :raises RequestError: it is malformed.
    """
    fields = _json(line)
    if isinstance(fields, list):
        raise RequestError(Code.INVALID_REQUEST, "batches are not supported: write each request in a line of its own")
    if not isinstance(fields, dict):
        raise RequestError(Code.INVALID_REQUEST, "a request is a JSON object")
    request_id = fields.get("id")
    if not (request_id is None or isinstance(request_id, (str, int, float))) or isinstance(request_id, bool):
        raise RequestError(Code.INVALID_REQUEST, "id is a string or a number")
    if fields.get("jsonrpc") != "2.0":
        raise RequestError(Code.INVALID_REQUEST, 'jsonrpc is "2.0"', request_id)
    method, params = fields.get("method"), fields.get("params", {})
    if not isinstance(method, str):
        raise RequestError(Code.INVALID_REQUEST, "method is a string", request_id)
    if not (isinstance(params, dict) or params == []):
        raise RequestError(Code.INVALID_PARAMS, "params is an object: give parameters by name", request_id)
    return Request(method, dict(params), request_id, "id" in fields)


def result_line(id: Id, result: object) -> bytes:
    """
    The answer to a request whose method has returned.

    :param result: a JSON value.
    :raises TypeError, ValueError, RecursionError: it is no JSON value.
    """
    return _line({"jsonrpc": "2.0", "result": result, "id": id})


def error_line(id: Id, error: MethodError) -> bytes:
    """The answer to a request that failed."""
    return _line({"jsonrpc": "2.0", "error": {"code": error.code, "message": str(error)}, "id": id})


def read_answer(line: bytes) -> Any:
    """
    Read an answer.

    :return: the result.
    :raises MethodError: the answer is an error.
    :raises NoAnswerError: it is no answer of JSON-RPC.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if isinstance(fields, dict) and "result" in fields:
        return fields["result"]
    error = fields.get("error") if isinstance(fields, dict) else None
    if isinstance(error, dict) and isinstance(error.get("code"), int) and isinstance(error.get("message"), str):
        raise MethodError(error["code"], error["message"])
    raise NoAnswerError(f"this is no answer of JSON-RPC: {line[:_MAX_SHOWN]!r}")


def _json(line: bytes) -> object:
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RequestError(Code.PARSE_ERROR, f"the request is not UTF-8: {error.reason}") from None
    except ValueError as error:
        raise RequestError(Code.PARSE_ERROR, f"the request is not JSON: {printable(str(error), _MAX_SHOWN)}") from None
    except RecursionError:
        raise RequestError(Code.PARSE_ERROR, "the request is nested too deeply") from None


def _line(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
