"""``KSR.pv``: pseudo-variables by their expressions, with transformations."""

from __future__ import annotations

from collections.abc import Callable

from natsroute.errors import EvaluationError, ExpressionError
from natsroute.kamailio.expressions import NULL_TEXT, Expression, compile_expression
from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.kamailio.kemi.ksr.definitions import KemiFunction, Result, Run, function, table
from natsroute.kamailio.values import CodedText, NumberText, Value, parse_integer, text_of

#: Expressions that are remembered. A script can make any number of them.
_REMEMBERED = 4096
_compiled: dict[bytes, Expression] = {}


def expression(context: ScriptContext, text: bytes) -> Expression | None:
    """
    Compile an expression, or find it.

    :return: None if it is invalid, which is logged once. As in Kamailio, the script goes on.
    """
    found = _compiled.get(text)
    if found is not None:
        return found
    decoded = text.decode("utf-8", "surrogateescape")
    try:
        found = compile_expression(decoded)
    except ExpressionError as error:
        context.evaluation.consumer.service.on_failure(decoded, EvaluationError(error.problem))
        return None
    if len(_compiled) >= _REMEMBERED:
        _compiled.clear()
    _compiled[text] = found
    return found


def plain(value: Value) -> Result:
    """A value as scripts see it: of those that are both a text and a number, Kamailio's own type decides."""
    if type(value) is NumberText:
        return int(value)
    return text_of(value) if type(value) is CodedText else value


def _getter(default: bytes | None) -> Callable[[ScriptContext], Run]:
    """
    Makes a function that gives the value of an expression, or a default if that is null.

    Scripts call this more often than anything else, so it does without further calls.
    """

    def new(context: ScriptContext) -> Run:
        def get(text: bytes) -> Result:
            found = _compiled.get(text) or expression(context, text)
            if found is None:
                return default
            try:
                value = found.evaluate(context.evaluation)
            except EvaluationError as error:
                context.evaluation.consumer.service.on_failure(found.text, error)
                return default
            kind = type(value)
            if kind is bytes or kind is int:
                return value
            return default if value is None else plain(value)

        return get

    return new


def get(context: ScriptContext, text: bytes) -> Result:
    """Its value, or null."""
    found = expression(context, text)
    return None if found is None else plain(found.value(context.evaluation))


def getv(context: ScriptContext, text: bytes, default: int | bytes) -> Result:
    """Its value, or a default."""
    value = get(context, text)
    return default if value is None else value


def geti(context: ScriptContext, text: bytes) -> Result:
    """Its number, 0 if it has none."""
    found = expression(context, text)
    value = None if found is None else found.value(context.evaluation)
    if isinstance(value, CodedText):
        return value.number
    if isinstance(value, bytes):
        return parse_integer(value) or 0
    return 0 if value is None else int(value)


def is_null(context: ScriptContext, text: bytes) -> bool:
    """True if it is null, or has no value."""
    return get(context, text) is None


def assign(context: ScriptContext, text: bytes, value: Value) -> bool:
    """
    Assign to a variable.

    :return: False if there is no such variable. As in Kamailio, True if it cannot be assigned to. Both are logged once.
    """
    found = expression(context, text)
    if found is None:
        return False
    try:
        found.assign(context.evaluation, value)
    except EvaluationError as error:
        context.evaluation.consumer.service.on_failure(found.text, error)
    return True


def unset(context: ScriptContext, text: bytes) -> bool:
    """Make a variable null."""
    return assign(context, text, None)


FUNCTIONS = table(
    KemiFunction("pv.get", "s", _getter(None)),
    KemiFunction("pv.gete", "s", _getter(b"")),
    KemiFunction("pv.getw", "s", _getter(NULL_TEXT)),
    function("pv.geti", "s", geti),
    function("pv.getl", "s", geti),
    function("pv.getvn", "si", getv),
    function("pv.getvs", "ss", getv),
    function("pv.seti", "si", assign),
    function("pv.setl", "si", assign),
    function("pv.sets", "ss", assign),
    function("pv.unset", "s", unset),
    function("pv.is_null", "s", is_null),
)
