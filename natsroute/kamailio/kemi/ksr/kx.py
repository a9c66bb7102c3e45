"""``KSR.kx``, as far as it is not about SIP messages: definitions, environment variables and the time."""

from __future__ import annotations

from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.kamailio.kemi.ksr.definitions import Result, function, table
from natsroute.kamailio.values import parse_integer


def _definition(context: ScriptContext, name: bytes) -> bytes | None:
    return context.evaluation.consumer.service.definitions.get(name)


def _variable(context: ScriptContext, name: bytes) -> bytes | None:
    value = context.evaluation.consumer.service.environment.get(name.decode("utf-8", "surrogateescape"))
    return None if value is None else value.encode("utf-8", "surrogateescape")


def _get_def(context: ScriptContext, name: bytes) -> Result:
    """What ``#!define`` defines; empty if it does not."""
    return _definition(context, name) or b""


def _get_defn(context: ScriptContext, name: bytes) -> Result:
    """Its number, 0 if it is none."""
    return parse_integer(_definition(context, name) or b"") or 0


def _ifdef(context: ScriptContext, name: bytes) -> Result:
    return _definition(context, name) is not None


def _ifndef(context: ScriptContext, name: bytes) -> Result:
    return _definition(context, name) is None


def _get_env(context: ScriptContext, name: bytes) -> Result:
    """An environment variable; empty if there is none."""
    return _variable(context, name) or b""


def _get_envn(context: ScriptContext, name: bytes) -> Result:
    """Its number, 0 if it is none."""
    return parse_integer(_variable(context, name) or b"") or 0


def _get_timestamp(context: ScriptContext) -> Result:
    return int(context.evaluation.consumer.service.now())


FUNCTIONS = table(
    function("kx.get_def", "s", _get_def),
    function("kx.get_defn", "s", _get_defn),
    function("kx.ifdef", "s", _ifdef),
    function("kx.ifndef", "s", _ifndef),
    function("kx.get_env", "s", _get_env),
    function("kx.get_envn", "s", _get_envn),
    function("kx.get_timestamp", "", _get_timestamp),
)
