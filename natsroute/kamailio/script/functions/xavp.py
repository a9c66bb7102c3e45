"""Functions of the module ``pv`` for ``$xavp``."""

from __future__ import annotations

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.expressions import Expression
from natsroute.kamailio.script.functions.calls import assignable, filled, function, number, table, text
from natsroute.kamailio.sip.parts import parse_params
from natsroute.kamailio.xavps import Fields, XavpValue
from natsroute.log import Logger

_log = Logger()

#: What ``xavp_slist_explode`` names its items.
_ITEM = b"v"
_SPACE = b" \t\r\n"


def _print(evaluation: Evaluation) -> int:
    """Log all XAVPs, one line each."""
    for name, value in evaluation.own.xavps.entries():
        if not isinstance(value, Fields):
            _log_value(_shown(name), value)
            continue
        for field, inner in value.entries():
            _log_value(f"{_shown(name)}=>{_shown(field)}", inner)
    return 1


def _log_value(name: str, value: XavpValue) -> None:
    shown = value if isinstance(value, int) else "<<xavp>>" if isinstance(value, Fields) else f'"{_shown(value)}"'
    _log.info("$xavp({name}) = {value}", name=name, value=shown)


def _shown(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _params_explode(evaluation: Evaluation, params: bytes, name: bytes) -> int:
    """Make an XAVP of ``a=1;b=2``. The first field is the newest."""
    fields = Fields()
    for key, value in reversed(parse_params(params)):
        if not key:
            raise EvaluationError("a parameter has no name")
        fields.add(key, value)
    evaluation.own.xavps.add(name, fields)
    return 1


def _params_implode(evaluation: Evaluation, name: bytes, target: Expression) -> int:
    """The reverse of ``xavp_params_explode``."""
    found = evaluation.own.xavps.get(name)
    parts: list[bytes] = []
    for key, value in found.entries() if isinstance(found, Fields) else ():
        if isinstance(value, int):
            parts.append(b"%b=%d;" % (key, value & 0xFFFFFFFF))
        elif isinstance(value, bytes):
            parts.append(b"%b=%b;" % (key, value) if value else b"%b;" % key)
    if not parts:
        return -1
    target.assign(evaluation, b"".join(parts))
    return 1


def _slist_explode(evaluation: Evaluation, values: bytes, separators: bytes, mode: bytes, name: bytes) -> int:
    """Make an XAVP with a field ``v`` for each part; with the mode ``t`` without the space around it."""
    for separator in separators[1:]:
        values = values.replace(bytes([separator]), separators[:1])
    parts = values.split(separators[:1])
    if mode.startswith(b"t"):
        parts = [part.strip(_SPACE) for part in parts]
    fields = Fields()
    for part in reversed(parts):
        if part:
            fields.add(_ITEM, part)
    evaluation.own.xavps.add(name, fields)
    return 1


def _child_set(evaluation: Evaluation, name: bytes, field: bytes, value: int | bytes) -> int:
    """Set a field of the newest XAVP of this name, which is made if it has no fields."""
    xavps = evaluation.own.xavps
    found = xavps.get(name)
    if not isinstance(found, Fields):
        if found is not None:
            xavps.remove(name)
        found = Fields()
        xavps.add(name, found)
    found.remove(field)
    found.add(field, value)
    return 1


def _rm(evaluation: Evaluation, name: bytes) -> int:
    evaluation.own.xavps.remove(name)
    return 1


def _child_rm(evaluation: Evaluation, name: bytes, field: bytes) -> int:
    found = evaluation.own.xavps.get(name)
    if isinstance(found, Fields):
        found.remove(field)
    return 1


def _var_to_xavp(evaluation: Evaluation, variable: bytes, name: bytes) -> int:
    """Copy one ``$var``, or all with ``*``, to a new XAVP, which replaces those of this name."""
    xavps, variables = evaluation.own.xavps, evaluation.consumer.var
    xavps.remove_all(name)
    fields = Fields()
    if variable == b"*":
        for key, value in variables.items():
            if value != b"":
                fields.add(key, value)
        if not len(fields):
            return 1
    else:
        try:
            fields.add(variable, variables[variable])
        except KeyError:
            raise EvaluationError("there is no such $var") from None
    xavps.add(name, fields)
    return 1


def _xavp_to_var(evaluation: Evaluation, name: bytes) -> int:
    """Copy the fields of all XAVPs of this name to ``$var``."""
    found = evaluation.own.xavps.all(name)
    if not found or not isinstance(found[0], Fields):
        raise EvaluationError("there is no such XAVP with fields")
    for one in found:
        for key, value in one.entries() if isinstance(one, Fields) else ():
            if isinstance(value, Fields):
                raise EvaluationError("a field is neither an integer nor a text")
            evaluation.consumer.var[key] = value
    return 1


def _copy(evaluation: Evaluation, source: bytes, index: int, target: bytes, target_index: int | None = None) -> int:
    """Copy an XAVP behind those of the target's name, or in place of one of them."""
    xavps = evaluation.own.xavps
    found = xavps.get(source, index) if index >= 0 else None
    if found is None:
        raise EvaluationError("there is no such XAVP")
    copy = _copied(found)
    if target_index is None:
        xavps.append(target, copy)
    elif not xavps.replace(target, target_index, copy):
        raise EvaluationError("there is no XAVP to replace")
    return 1


def _copied(value: XavpValue) -> XavpValue:
    if not isinstance(value, Fields):
        return value
    copy = Fields()
    for key, inner in reversed(value.entries()):
        if not isinstance(inner, Fields):
            copy.add(key, inner)
    return copy


FUNCTIONS = table(
    function("pv_xavp_print", _print),
    function("xavp_params_explode", _params_explode, filled, filled),
    function("xavp_params_implode", _params_implode, filled, assignable),
    function("xavp_slist_explode", _slist_explode, filled, filled, text, filled),
    function("xavp_child_seti", _child_set, filled, filled, number),
    function("xavp_child_sets", _child_set, filled, filled, text),
    function("xavp_rm", _rm, text),
    function("xavp_child_rm", _child_rm, text, text),
    function("pv_var_to_xavp", _var_to_xavp, text, text),
    function("pv_xavp_to_var", _xavp_to_var, text),
    function("xavp_copy", _copy, text, number, text, number, optional=1),
)
