"""Functions of the modules ``pv`` and ``kex`` that look at variables, or change them."""

from __future__ import annotations

from collections.abc import Callable

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.expressions import Expression
from natsroute.kamailio.script.functions.calls import assignable, constant, function, readable, table, text
from natsroute.kamailio.values import CodedText, Value


def _isset(evaluation: Evaluation, variable: Expression) -> int:
    return -1 if variable.value(evaluation) is None else 1


def _unset(evaluation: Evaluation, variable: Expression) -> int:
    """As in Kamailio, nothing happens to a variable that cannot be assigned to."""
    if variable.can_be_assigned:
        variable.assign(evaluation, None)
    return 1


def _is_int(evaluation: Evaluation, variable: Expression) -> int:
    """Also for a text that has a number, such as ``$rm``."""
    return 1 if isinstance(variable.value(evaluation), (int, CodedText)) else -1


def _is_text(value: Value) -> bool:
    return isinstance(value, bytes)


#: The first letter of a type, in small letters.
_TYPES: dict[str, Callable[[Value], bool]] = {
    "i": lambda value: isinstance(value, int),
    "n": lambda value: value is None,
    "s": _is_text,
}


def _typeof(evaluation: Evaluation, variable: Expression, kind: str | int) -> int:
    """``"int"``, ``"null"`` or ``"str"``, of which the first letter counts."""
    is_type = _TYPES.get(str(kind)[:1].lower())
    if is_type is None:
        return -1
    try:
        return 1 if is_type(variable.evaluate(evaluation)) else -1
    except EvaluationError:
        return -1  # it is not even null


def _not_empty(evaluation: Evaluation, variable: Expression) -> int:
    """Whether it is a text that is not empty."""
    value = variable.value(evaluation)
    return 1 if _is_text(value) and value else -1


def _printf(evaluation: Evaluation, target: Expression, value: bytes) -> int:
    target.assign(evaluation, value)
    return 1


FUNCTIONS = table(
    function("pv_isset", _isset, readable),
    function("pv_unset", _unset, readable),
    function("is_int", _is_int, readable),
    function("typeof", _typeof, readable, constant),
    function("not_empty", _not_empty, readable),
    function("pv_printf", _printf, assignable, text),
    function("avp_printf", _printf, assignable, text),
)
