"""``KSR.htable``: entries of hash tables. Of what native scripts have functions for, most is in :mod:`.native`."""

from __future__ import annotations

from collections.abc import Callable

from natsroute.errors import EvaluationError
from natsroute.kamailio.expressions import NULL_TEXT
from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.kamailio.kemi.ksr.definitions import Result, function, table
from natsroute.kamailio.kemi.ksr.locking import lock, unlock
from natsroute.kamailio.script.functions.htable import remove_by_regex
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


def _logged(context: ScriptContext, name: str, problem: str) -> int:
    context.failed(f"htable.{name}", problem)
    return -1


def _lock(context: ScriptContext, table_name: bytes, name: bytes) -> Result:
    """Wait until no other event has locked the entry; see :func:`.locking.lock`."""
    if _table(context, table_name) is None:
        return _logged(context, "sht_lock", _NO_TABLE)
    return lock(context, (table_name, name), "htable.sht_lock")


def _unlock(context: ScriptContext, table_name: bytes, name: bytes) -> Result:
    if _table(context, table_name) is None:
        return _logged(context, "sht_unlock", _NO_TABLE)
    return unlock(context, (table_name, name))


def _count(context: ScriptContext, table_name: bytes, operator: bytes, operand: bytes) -> Result:
    """The number of entries whose names match, by an operator of ``$shtcn``; without one, by a regular expression."""
    store = _table(context, table_name)
    if store is None:
        return _logged(context, "sht_cn", _NO_TABLE)
    if len(operator) not in (0, 2):
        return _logged(context, "sht_cn", "an operator has two characters")
    return store.count((operator or b"~~") + operand, by_value=False)


def _remove(*, by_value: bool) -> Callable[[ScriptContext, bytes, bytes], Result]:
    """Delete the entries whose name or value matches a regular expression."""
    name = "sht_rm_value_re" if by_value else "sht_rm_name_re"

    def remove(context: ScriptContext, table_name: bytes, pattern: bytes) -> Result:
        try:
            return remove_by_regex(context.evaluation, (table_name, pattern), by_value=by_value)
        except EvaluationError as error:
            return _logged(context, name, str(error))

    return remove


_NO_TABLE = "there is no such hash table"

FUNCTIONS = table(
    function("htable.sht_lock", "ss", _lock),
    function("htable.sht_unlock", "ss", _unlock),
    function("htable.sht_cn", "sss", _count),
    function("htable.sht_rm_name_re", "ss", _remove(by_value=False)),
    function("htable.sht_rm_value_re", "ss", _remove(by_value=True)),
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
