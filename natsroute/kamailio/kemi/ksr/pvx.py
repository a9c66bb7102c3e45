"""``KSR.pvx``: variables by their kind and name, without expressions."""

from __future__ import annotations

from collections.abc import Callable

from natsroute.kamailio.expressions import NULL_TEXT, compile_format
from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.kamailio.kemi.ksr import pv
from natsroute.kamailio.kemi.ksr.definitions import KemiFunction, Result, function, table
from natsroute.kamailio.variables.script import avp_name
from natsroute.kamailio.xavps import Fields, XavpValue

_Get = Callable[..., Result]


def _getters(name: str, parameters: str, get: _Get) -> list[KemiFunction]:
    """``…get``, ``…gete`` and ``…getw``."""

    def or_else(default: bytes) -> _Get:
        def get_or_else(context: ScriptContext, *arguments: bytes) -> Result:
            found = get(context, *arguments)
            return default if found is None else found

        return get_or_else

    return [
        function(f"pvx.{name}_get", parameters, get),
        function(f"pvx.{name}_gete", parameters, or_else(b"")),
        function(f"pvx.{name}_getw", parameters, or_else(NULL_TEXT)),
    ]


def _is_null(get: _Get) -> Callable[..., int]:
    return lambda context, *arguments: 1 if get(context, *arguments) is None else -1


# -- $var and $shv ----------------------------------------------------------------------------------------------------


def _var(context: ScriptContext, name: bytes) -> Result:
    return context.evaluation.consumer.var.get(name, 0)


def _set_var(context: ScriptContext, name: bytes, value: int | bytes) -> int:
    context.evaluation.consumer.var[name] = value
    return 1


def _shv(context: ScriptContext, name: bytes) -> Result:
    return context.evaluation.consumer.service.shared.get(name, 0)


def _set_shv(context: ScriptContext, name: bytes, value: int | bytes) -> int:
    context.evaluation.consumer.service.shared[name] = value
    return 1


# -- $avp -------------------------------------------------------------------------------------------------------------


def _avps(context: ScriptContext, name: bytes) -> list[int | bytes]:
    """The newest last."""
    try:
        key = avp_name(name)
    except ValueError:
        return []
    return [] if key is None else context.evaluation.own.avps.setdefault(key, [])


def _avp(context: ScriptContext, name: bytes) -> Result:
    found = _avps(context, name)
    return found[-1] if found else None


def _set_avp(context: ScriptContext, name: bytes, value: int | bytes) -> int:
    _avps(context, name).append(value)
    return 1


def _rm_avp(context: ScriptContext, name: bytes) -> int:
    found = _avps(context, name)
    if found:
        found.pop()
    return 1


# -- $xavp ------------------------------------------------------------------------------------------------------------


def _shown(value: XavpValue | None) -> Result:
    return b"<<xavp>>" if isinstance(value, Fields) else value


def _xavp(context: ScriptContext, name: bytes) -> Result:
    return _shown(context.evaluation.own.xavps.get(name))


def _set_xavp(context: ScriptContext, name: bytes, value: int | bytes) -> int:
    context.evaluation.own.xavps.add(name, value)
    return 1


def _rm_xavp(context: ScriptContext, name: bytes) -> int:
    context.evaluation.own.xavps.remove(name)
    return 1


def _rm_all_xavps(context: ScriptContext, name: bytes) -> int:
    context.evaluation.own.xavps.remove_all(name)
    return 1


def _fields(context: ScriptContext, name: bytes) -> Fields | None:
    found = context.evaluation.own.xavps.get(name)
    return found if isinstance(found, Fields) else None


def _child(context: ScriptContext, name: bytes, child: bytes) -> Result:
    fields = _fields(context, name)
    return None if fields is None else _shown(fields.get(child))


def _set_child(context: ScriptContext, name: bytes, child: bytes, value: int | bytes) -> int:
    """Set a field of the newest list of that name, which is made if there is none."""
    fields = _fields(context, name)
    if fields is None:
        fields = Fields()
        context.evaluation.own.xavps.add(name, fields)
    if not fields.replace(child, 0, value):
        fields.add(child, value)
    return 1


def _rm_child(context: ScriptContext, name: bytes, child: bytes) -> int:
    fields = _fields(context, name)
    if fields is not None:
        fields.remove(child)
    return 1


def _evalx(context: ScriptContext, variable: bytes, text: bytes) -> int:
    """Assign a text with the values of its variables, in which variables are expanded once more."""
    once = compile_format(text.decode("utf-8", "surrogateescape")).evaluate(context.evaluation)
    twice = compile_format(once.decode("utf-8", "surrogateescape")).evaluate(context.evaluation)
    return 1 if pv.assign(context, variable, twice) else -1


def _setters(name: str, more: str, run: Callable[..., Result]) -> list[KemiFunction]:
    return [
        function(f"pvx.{name}seti", f"{more}i", run),
        function(f"pvx.{name}sets", f"{more}s", run),
    ]


FUNCTIONS = table(
    function("pvx.var_get", "s", _var),
    *_setters("var_", "s", _set_var),
    function("pvx.shv_get", "s", _shv),
    *_setters("shv_", "s", _set_shv),
    *_getters("avp", "s", _avp),
    *_setters("avp_", "s", _set_avp),
    function("pvx.avp_is_null", "s", _is_null(_avp)),
    function("pvx.avp_rm", "s", _rm_avp),
    *_getters("xavp", "s", _xavp),
    *_setters("xavp_", "s", _set_xavp),
    function("pvx.xavp_is_null", "s", _is_null(_xavp)),
    function("pvx.xavp_rm", "s", _rm_xavp),
    function("pvx.xavp_rm_all", "s", _rm_all_xavps),
    *_getters("xavp_child", "ss", _child),
    *_setters("xavp_child_", "ss", _set_child),
    function("pvx.xavp_child_is_null", "ss", _is_null(_child)),
    function("pvx.xavp_child_rm", "ss", _rm_child),
    function("pvx.evalx", "ss", _evalx),
)
