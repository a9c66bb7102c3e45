"""Functions of the module ``htable``. A hash table without a ``modparam`` does not exist, as in Kamailio."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred

from natsroute.errors import EvaluationError, ExpressionError
from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.expressions import compile_format
from natsroute.kamailio.regular_expressions import BadExpressionError, compile_regex
from natsroute.kamailio.script.functions.calls import filled, function, number, table, text
from natsroute.kamailio.script.functions.definitions import Argument
from natsroute.kamailio.table_iterators import TableIterator
from natsroute.kamailio.tables import TableStore
from natsroute.kamailio.values import text_of
from natsroute.log import Logger

_log = Logger()

#: The name of a table, and a name or pattern in it.
_Entry = tuple[bytes, bytes]


def _entry(argument: Argument) -> Callable[[Evaluation], _Entry]:
    """
    ``"table=>name"``, where the name may have variables in it.

    :raises ScriptError: it has another form.
    """
    known = str(argument.constant())
    table_name, arrow, name = known.partition("=>")
    table_name = table_name.strip(" \t\r\n")
    if not table_name or not arrow or not name:
        raise argument.position.error(f"{known!r} is not an entry of a hash table", 'Write "table=>name"')
    try:
        compiled = compile_format(name)
    except ExpressionError as error:
        raise argument.position.error(str(error), "Fix the name behind =>") from None
    own_name = table_name.encode("utf-8", "surrogateescape")
    return lambda evaluation: (own_name, compiled.evaluate(evaluation))


def _table(evaluation: Evaluation, name: bytes) -> TableStore:
    found = evaluation.consumer.service.tables.get(name)
    if found is None:
        raise EvaluationError("there is no such hash table")
    return found


def _print(evaluation: Evaluation) -> int:
    """Log all entries of all tables, one line each."""
    for name, store in evaluation.consumer.service.tables.items():
        for entry, value in store.entries():
            _log.error(
                "$sht({table}=>{entry}) = {value}, expires in {seconds} s",
                table=_shown(name),
                entry=_shown(entry),
                value=value if isinstance(value, int) else f'"{_shown(value)}"',
                seconds=store.expires_in(entry),
            )
    return 1


def _shown(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _rm(evaluation: Evaluation, table_name: bytes, name: bytes) -> int:
    _table(evaluation, table_name).delete(name)
    return 1


def _is_null(evaluation: Evaluation, table_name: bytes, name: bytes) -> int:
    """1 if there is no such entry, -1 if there is, -2 if the table has an initial value, 2 if there is no table."""
    store = evaluation.consumer.service.tables.get(table_name)
    if store is None:
        return 2
    if store.initial is not None:
        return -2
    return 1 if store.get(name) is None else -1


def _reset(evaluation: Evaluation, table_name: bytes) -> int:
    _table(evaluation, table_name).clear()
    return 1


def _setxs(evaluation: Evaluation, table_name: bytes, name: bytes, value: bytes, seconds: int) -> int:
    _table(evaluation, table_name).set(name, value, seconds)
    return 1


def _setxi(evaluation: Evaluation, table_name: bytes, name: bytes, value: int, seconds: int) -> int:
    _table(evaluation, table_name).set(name, value, seconds)
    return 1


#: Compares a text with an operand.
_Matches = Callable[[bytes], bool]


def _pattern(operand: bytes) -> _Matches:
    try:
        pattern = compile_regex(operand, ignore_case=True)
    except BadExpressionError:
        raise EvaluationError("the regular expression is malformed") from None
    return lambda text: pattern.search(text) is not None


_OPERATORS: dict[bytes, Callable[[bytes], _Matches]] = {
    b"eq": lambda operand: lambda text: text == operand,
    b"ne": lambda operand: lambda text: text != operand,
    b"re": _pattern,
    b"sw": lambda operand: lambda text: text.startswith(operand),
}


def _operator(operator: bytes, allowed: tuple[bytes, ...]) -> Callable[[bytes], _Matches]:
    if operator not in allowed:
        raise EvaluationError(f"the operator is none of {', '.join(map(_shown, allowed))}")
    return _OPERATORS[operator]


def _matching(store: TableStore, matches: _Matches, *, by_value: bool) -> list[bytes]:
    """The names of the entries whose name or value matches; of values, only strings can."""
    if by_value:
        return [name for name, value in store.entries() if isinstance(value, bytes) and matches(text_of(value))]
    return [name for name, _ in store.entries() if matches(name)]


def _remove(store: TableStore, matches: _Matches, *, by_value: bool) -> int:
    for name in _matching(store, matches, by_value=by_value):
        store.delete(name)
    return 1


def remove_by_regex(evaluation: Evaluation, entry: tuple[bytes, bytes], *, by_value: bool) -> int:
    """
    ``sht_rm_name_re("table=>pattern")``. Without such a table, the result is 1 too.

    :param entry: the name of the table, and the regular expression.
    :raises EvaluationError: the regular expression is empty or malformed.
    """
    store = evaluation.consumer.service.tables.get(entry[0])
    if store is None:
        return 1
    if not entry[1]:
        raise EvaluationError("the regular expression is empty")
    return _remove(store, _pattern(entry[1]), by_value=by_value)


def _rm_op(*, by_value: bool) -> Callable[[Evaluation, bytes, bytes, bytes], int]:
    """``sht_rm_name("table", "re", "pattern")``."""

    def run(evaluation: Evaluation, table_name: bytes, operator: bytes, operand: bytes) -> int:
        store = _table(evaluation, table_name)
        return _remove(store, _operator(operator, (b"re", b"sw"))(operand), by_value=by_value)

    return run


def _match(*, by_value: bool) -> Callable[[Evaluation, bytes, bytes, bytes], int]:
    """``sht_match_name("table", "eq", "name")``."""

    def run(evaluation: Evaluation, table_name: bytes, operator: bytes, operand: bytes) -> int:
        store = _table(evaluation, table_name)
        matches = _operator(operator, (b"eq", b"ne", b"re", b"sw"))(operand)
        return 1 if _matching(store, matches, by_value=by_value) else -1

    return run


def _lock(evaluation: Evaluation, entry: _Entry) -> int | Deferred[int]:
    _table(evaluation, entry[0])
    waiting = evaluation.consumer.service.locks.acquire(entry, evaluation.own)
    return 1 if waiting is None else waiting.addCallback(lambda _: 1)


def _unlock(evaluation: Evaluation, entry: _Entry) -> int:
    _table(evaluation, entry[0])
    evaluation.consumer.service.locks.release(entry, evaluation.own)
    return 1


def _iterator_start(evaluation: Evaluation, name: bytes, table_name: bytes) -> int:
    evaluation.own.iterators[name] = TableIterator(_table(evaluation, table_name))
    return 1


def _iterator(evaluation: Evaluation, name: bytes) -> TableIterator:
    try:
        return evaluation.own.iterators[name]
    except KeyError:
        raise EvaluationError("there is no such iterator; sht_iterator_start() starts one") from None


def _iterator_next(evaluation: Evaluation, name: bytes) -> int:
    return 1 if _iterator(evaluation, name).next() else -1


def _iterator_end(evaluation: Evaluation, name: bytes) -> int:
    _iterator(evaluation, name)
    del evaluation.own.iterators[name]
    return 1


def _iterator_rm(evaluation: Evaluation, name: bytes) -> int:
    return 1 if _iterator(evaluation, name).remove() else -2


def _iterator_set(evaluation: Evaluation, name: bytes, value: int | bytes) -> int:
    iterator = _iterator(evaluation, name)
    iterator.table.set(iterator.current(), value)
    return 1


def _iterator_setex(evaluation: Evaluation, name: bytes, seconds: int) -> int:
    iterator = _iterator(evaluation, name)
    iterator.table.expire_in(iterator.current(), seconds)
    return 1


FUNCTIONS = table(
    function("sht_print", _print),
    function("sht_rm", _rm, filled, filled),
    function("sht_is_null", _is_null, filled, filled),
    function("sht_reset", _reset, filled),
    function("sht_setxs", _setxs, filled, filled, text, number),
    function("sht_setxi", _setxi, filled, filled, number, number),
    function("sht_rm_name_re", partial(remove_by_regex, by_value=False), _entry),
    function("sht_rm_value_re", partial(remove_by_regex, by_value=True), _entry),
    function("sht_rm_name", _rm_op(by_value=False), filled, filled, filled),
    function("sht_rm_value", _rm_op(by_value=True), filled, filled, filled),
    function("sht_match_name", _match(by_value=False), filled, filled, filled),
    function("sht_has_name", _match(by_value=False), filled, filled, filled),
    function("sht_match_str_value", _match(by_value=True), filled, filled, filled),
    function("sht_has_str_value", _match(by_value=True), filled, filled, filled),
    function("sht_lock", _lock, _entry, waits=True),
    function("sht_unlock", _unlock, _entry),
    function("sht_iterator_start", _iterator_start, filled, filled),
    function("sht_iterator_next", _iterator_next, filled),
    function("sht_iterator_end", _iterator_end, filled),
    function("sht_iterator_rm", _iterator_rm, filled),
    function("sht_iterator_sets", _iterator_set, filled, text),
    function("sht_iterator_seti", _iterator_set, filled, number),
    function("sht_iterator_setex", _iterator_setex, filled, number),
)

#: Which argument of a function names a table, as ``"table"`` or ``"table=>name"``.
TABLE_ARGUMENTS = {name: 0 for name in FUNCTIONS if name != "sht_print" and not name.startswith("sht_iterator_")}
TABLE_ARGUMENTS["sht_iterator_start"] = 1
