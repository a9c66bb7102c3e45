"""
Functions that ask about the SIP message: those of ``textops``, ``siputils`` and ``corex``.

The message is the constant one that Kamailio's event routes see, so that most results are known at the start.
"""

from __future__ import annotations

from collections.abc import Callable

from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.regular_expressions import Pattern
from natsroute.kamailio.script.functions.calls import constant, function, table
from natsroute.kamailio.script.functions.definitions import Argument, FunctionDefinition
from natsroute.kamailio.sip import message as sip_message

#: The methods that Kamailio has a number for.
_METHODS = frozenset({
    "INVITE", "CANCEL", "ACK", "BYE", "INFO", "REGISTER", "SUBSCRIBE", "NOTIFY", "MESSAGE", "OPTIONS", "PRACK",
    "UPDATE", "REFER", "PUBLISH", "KDMQ", "GET", "POST", "PUT", "DELETE",
})  # fmt: skip


def _always(name: str, result: int) -> FunctionDefinition:
    """A function without arguments, with the same result for every event."""
    return function(name, lambda evaluation: result)


def _is_method(argument: Argument) -> Callable[[Evaluation], int]:
    """
    ``"INVITE|OPTIONS"``. One name alone may be one that Kamailio does not know.

    :raises ScriptError: one of several names is unknown.
    """
    written = str(argument.constant())
    names = [name.strip() for name in written.replace("|", ",").split(",")]
    unknown = [name for name in names if name.upper() not in _METHODS]
    if not written or (unknown and len(names) > 1):
        raise argument.position.error(f"{written!r} is not a list of SIP methods", 'Write one such as "INVITE|OPTIONS"')
    result = 1 if sip_message.METHOD.decode() in [name.upper() for name in names] else -1
    return lambda evaluation: result


def _is_present_hf(evaluation: Evaluation, name: str | int) -> int:
    return 1 if sip_message.headers_named(str(name).encode("utf-8", "surrogateescape")) else -1


def _regex(argument: Argument) -> Callable[[Evaluation], Pattern]:
    return argument.regex()


def _is_present_hf_re(evaluation: Evaluation, pattern: Pattern) -> int:
    return 1 if any(pattern.search(name) is not None for name, _ in sip_message.HEADERS) else -1


def _search(evaluation: Evaluation, pattern: Pattern) -> int:
    """Whether a regular expression matches the message."""
    return 1 if pattern.search(sip_message.MESSAGE) is not None else -1


def _search_body(evaluation: Evaluation, pattern: Pattern) -> int:
    """The message has no body."""
    return -1


def _has_body(evaluation: Evaluation, kind: str | int = "") -> int:
    return -1


FUNCTIONS = table(
    FunctionDefinition("is_method", _is_method, 1, 1),
    function("is_present_hf", _is_present_hf, constant),
    function("is_present_hf_re", _is_present_hf_re, _regex),
    function("search", _search, _regex),
    function("search_body", _search_body, _regex),
    function("has_body", _has_body, constant, optional=1),
    _always("is_request", 1),
    _always("is_reply", -1),
    _always("is_faked_msg", -1),
    _always("has_totag", -1),
    _always("is_audio_on_hold", -1),
)
