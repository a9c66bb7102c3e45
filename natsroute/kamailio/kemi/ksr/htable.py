"""``KSR.htable``: single entries of hash tables. What native scripts have functions for is in :mod:`.native`."""

from __future__ import annotations

from natsroute.kamailio.expressions import NULL_TEXT
from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.kamailio.kemi.ksr.definitions import Result, function, table
from natsroute.kamailio.tables import TableStore


def _table(context: ScriptContext, name: bytes) -> TableStore | None:
    return context.evaluation.consumer.service.tables.get(name)


def _get(context: ScriptContext, table_name: bytes, name: bytes) -> Result:
    store = _table(context, table_name)
    return None if store is None else store.get(name)


def _gete(context: ScriptContext, table_name: bytes, name: bytes) -> Result:
    value = _get(context, table_name, name)
    return b"" if value is None else value


def _getw(context: ScriptContext, table_name: bytes, name: bytes) -> Result:
    value = _get(context, table_name, name)
    return NULL_TEXT if value is None else value


def _is_null(context: ScriptContext, table_name: bytes, name: bytes) -> Result:
    """2 if there is no such table, and 1 if there is no such entry, as in Kamailio; -1 if there is one."""
    store = _table(context, table_name)
    if store is None:
        return 2
    return 1 if store.get(name) is None else -1


def _set(context: ScriptContext, table_name: bytes, name: bytes, value: int | bytes) -> Result:
    store = _table(context, table_name)
    if store is None:
        return -1
    store.set(name, value)
    return 1


def _setex(context: ScriptContext, table_name: bytes, name: bytes, seconds: int) -> Result:
    store = _table(context, table_name)
    if store is None:
        return -1
    store.expire_in(name, seconds)
    return 1


def _add(context: ScriptContext, table_name: bytes, name: bytes, amount: int) -> Result:
    """The new value; -255 if there is no such table, or the entry is no number."""
    store = _table(context, table_name)
    value = None if store is None else store.add(name, amount)
    return -255 if value is None else value


FUNCTIONS = table(
    function("htable.sht_get", "ss", _get),
    function("htable.sht_gete", "ss", _gete),
    function("htable.sht_getw", "ss", _getw),
    function("htable.sht_is_null", "ss", _is_null),
    function("htable.sht_seti", "ssi", _set),
    function("htable.sht_sets", "sss", _set),
    function("htable.sht_setex", "ssi", _setex),
    function("htable.sht_inc", "ss", lambda context, table_name, name: _add(context, table_name, name, 1)),
    function("htable.sht_dec", "ss", lambda context, table_name, name: _add(context, table_name, name, -1)),
)
