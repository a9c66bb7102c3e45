"""The variables that scripts assign to: ``$var``, ``$vn``, ``$avp``, ``$xavp``, ``$shv``, and hash tables."""

from __future__ import annotations

from collections.abc import Callable

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import Evaluation, Getter
from natsroute.kamailio.reader import Reader, as_bytes
from natsroute.kamailio.tables import TableStore
from natsroute.kamailio.values import Value, text_of
from natsroute.kamailio.variables.definitions import (
    Access,
    Compiler,
    Definition,
    Index,
    by_name,
    computed,
    constant,
    dynamic_name,
    parse_index,
    split_key,
)
from natsroute.kamailio.xavps import Fields, Xavps

#: Between the values of ``$(avp(x)[*])``.
_DELIMITER = b", "


def plain(value: int | bytes) -> int | bytes:
    """A value as it is kept: an integer without a text of its own, or bytes without a number."""
    if value.__class__ is int or value.__class__ is bytes:  # nearly always
        return value
    return int(value) if isinstance(value, int) else text_of(value)


def _var(compiler: Compiler, reader: Reader, index: Index | None) -> Access:
    name = as_bytes(reader.rest())

    def get(evaluation: Evaluation) -> Value:
        return evaluation.consumer.var.get(name, 0)

    def assign(evaluation: Evaluation, value: Value) -> None:
        evaluation.consumer.var[name] = 0 if value is None else plain(value)

    return Access(get, assign)


def _vn(compiler: Compiler, reader: Reader, index: Index | None) -> Access:
    name = as_bytes(reader.rest())

    def get(evaluation: Evaluation) -> Value:
        return evaluation.consumer.vn.get(name)

    def assign(evaluation: Evaluation, value: Value) -> None:
        if value is None:
            evaluation.consumer.vn.pop(name, None)
        else:
            evaluation.consumer.vn[name] = plain(value)

    return Access(get, assign)


def _shv(compiler: Compiler, reader: Reader, index: Index | None) -> Access:
    name = as_bytes(reader.rest())

    def get(evaluation: Evaluation) -> Value:
        return evaluation.consumer.service.shared.get(name, 0)

    def assign(evaluation: Evaluation, value: Value) -> None:
        evaluation.consumer.service.shared[name] = 0 if value is None else plain(value)

    return Access(get, assign)


def avp_name(text: bytes) -> Value:
    """The name of an AVP: ``i:5`` is the number 5, ``s:x`` the text ``x``, anything else is a text."""
    prefix, rest = text[:2].lower(), text[2:]
    if prefix == b"i:" and rest.isdigit():
        return int(rest)
    if prefix == b"s:" and rest:
        return rest
    if b":" in text[1:2] or not text:
        raise ValueError(f"not the name of an AVP: {text!r}")
    return text


def _avp(compiler: Compiler, reader: Reader, index: Index | None) -> Access:
    name = dynamic_name(compiler, reader, avp_name)

    def values(evaluation: Evaluation) -> list[int | bytes]:
        """The newest last."""
        key = name(evaluation)
        return evaluation.own.avps.setdefault(key, []) if key is not None else []

    def newest(evaluation: Evaluation) -> Value:
        found = values(evaluation)
        return found[-1] if found else None

    def get(evaluation: Evaluation) -> Value:
        found = values(evaluation)
        if index is None or not found:
            return found[-1] if found else None
        if index.all:
            return _joined([text_of(value) for value in reversed(found)])
        return _at(found[::-1], index.number(evaluation))

    def assign(evaluation: Evaluation, value: Value) -> None:
        found = values(evaluation)
        if index is not None and index.all:
            found.clear()
        if value is not None:
            found.append(plain(value))
        elif found:
            found.pop()

    return Access(newest if index is None else get, assign)


def _joined(values: list[bytes]) -> bytes:
    """All values; as in Kamailio, no delimiter comes before the first one that is not empty."""
    first = next((index for index, value in enumerate(values) if value), len(values))
    return _DELIMITER.join(values[first:])


def _at(values: list[int | bytes], number: int) -> Value:
    try:
        return values[number]
    except IndexError:
        return None


def _cnt(compiler: Compiler, reader: Reader, index: Index | None) -> Access:
    text = reader.rest()
    if not text.startswith("$avp("):
        raise reader.error("$cnt counts an $avp")
    reader.position += len("$avp(")
    inner = reader.take_nested("(", ")")
    name = dynamic_name(compiler, inner, avp_name)

    def get(evaluation: Evaluation) -> Value:
        key = name(evaluation)
        return len(evaluation.own.avps.get(key, ())) if key is not None else 0

    return Access(get)


class _XavpName:
    """``name`` or ``name[index]``."""

    def __init__(self, compiler: Compiler, reader: Reader) -> None:
        while reader.peek() in (" ", "\t", "\n", "\r"):
            reader.take()
        self.name = as_bytes(reader.take_until("= \t\n\r["))
        if not self.name:
            raise reader.error("the name of an XAVP expected")
        while reader.peek() in (" ", "\t", "\n", "\r"):
            reader.take()
        self.index: Index | None = None
        if reader.peek() == "[":
            reader.take()
            self.index = parse_index(compiler, reader.take_nested("[", "]"))

    def number(self, evaluation: Evaluation) -> int:
        """The index, or 0."""
        return 0 if self.index is None else self.index.number(evaluation)

    def in_list(self, evaluation: Evaluation, fields: Fields) -> int:
        """The index for a change in a list, where -1 stands behind its end."""
        number = self.number(evaluation)
        return number if number >= 0 else len(fields.all(self.name)) + number + 1

    @property
    def all(self) -> bool:
        """The index is ``[*]``."""
        return self.index is not None and self.index.all


def _xavp(compiler: Compiler, reader: Reader, index: Index | None) -> Access:
    outer = _XavpName(compiler, reader)
    inner: _XavpName | None = None
    if reader.peek() == "=":
        reader.take()
        reader.expect(">", "'='")
        inner = _XavpName(compiler, reader)
    if reader.rest():
        raise reader.error(f"unexpected {reader.rest()!r}: name[index]=>field[index] expected")

    def get(evaluation: Evaluation) -> Value:
        found = evaluation.own.xavps.get(outer.name, outer.number(evaluation))
        if inner is not None:
            if not isinstance(found, Fields):
                return None
            if inner.all:
                values = found.all(inner.name)
                return _joined([_xavp_text(value) for value in values]) if values else None
            found = found.get(inner.name, inner.number(evaluation))
        return _xavp_text(found) if isinstance(found, Fields) else found

    def assign(evaluation: Evaluation, value: Value) -> None:
        if value is None:
            _remove_xavp(evaluation, outer, inner)
        elif inner is None:
            _set_xavp(evaluation, outer, evaluation.own.xavps, plain(value))
        else:
            _set_field(evaluation, outer, inner, plain(value))

    return Access(get, assign)


def _xavp_text(value: int | bytes | Fields) -> bytes:
    return b"<<xavp>>" if isinstance(value, Fields) else text_of(value)


def _set_xavp(evaluation: Evaluation, name: _XavpName, fields: Fields, value: int | bytes) -> None:
    if name.index is None:
        fields.add(name.name, value)
    elif not name.all:
        fields.replace(name.name, name.in_list(evaluation, fields), value)


def _set_field(evaluation: Evaluation, outer: _XavpName, inner: _XavpName, value: int | bytes) -> None:
    xavps = evaluation.own.xavps
    if outer.index is None:
        fields = Fields()
        fields.add(inner.name, value)
        xavps.add(outer.name, fields)
        return
    found = None if outer.all else xavps.get(outer.name, outer.in_list(evaluation, xavps))
    if isinstance(found, Fields):
        _set_xavp(evaluation, inner, found, value)


def _remove_xavp(evaluation: Evaluation, outer: _XavpName, inner: _XavpName | None) -> None:
    xavps = evaluation.own.xavps
    if inner is None:
        _remove(evaluation, outer, xavps)
        return
    number = outer.in_list(evaluation, xavps)
    lists = xavps.all(outer.name) if outer.all else [xavps.get(outer.name, number)]
    for found in lists:
        if isinstance(found, Fields):
            _remove(evaluation, inner, found)


def _remove(evaluation: Evaluation, name: _XavpName, fields: Fields | Xavps) -> None:
    if name.all:
        fields.remove_all(name.name)
    else:
        fields.remove(name.name, name.in_list(evaluation, fields))


def _format(compiler: Compiler, reader: Reader, index: Index | None) -> Access:
    return Access(compiler.format(reader))


def _table(
    get: Callable[[TableStore, bytes], Value], assign: Callable[[TableStore, bytes, Value], None] | None = None
) -> Definition:
    """A variable of the form ``$name(table=>key)``, where the key is a format string."""

    def build(compiler: Compiler, reader: Reader, index: Index | None) -> Access:
        table_name, reader = split_key(reader)
        key_of = _key(compiler.format(reader))

        def get_entry(evaluation: Evaluation) -> Value:
            table = evaluation.consumer.service.tables.get(table_name)
            return None if table is None else get(table, key_of(evaluation))

        def set_entry(evaluation: Evaluation, value: Value) -> None:
            table = evaluation.consumer.service.tables.get(table_name)
            if table is None or assign is None:
                raise EvaluationError(f"there is no hash table {table_name.decode('utf-8', 'backslashreplace')}")
            assign(table, key_of(evaluation), value)

        return Access(get_entry, set_entry if assign is not None else None)

    return Definition(build, has_name=True)


def _key(get: Getter) -> Callable[[Evaluation], bytes]:
    def key(evaluation: Evaluation) -> bytes:
        value = get(evaluation)
        return b"" if value is None else text_of(value)

    return key


def _set_entry(table: TableStore, key: bytes, value: Value) -> None:
    if value is None:
        table.delete(key)
    else:
        table.set(key, plain(value))


def _set_expiry(table: TableStore, key: bytes, value: Value) -> None:
    table.expire_in(key, int(value) if isinstance(value, int) else 0)


def _iterator_key(evaluation: Evaluation, name: bytes) -> Value:
    iterator = evaluation.own.iterators.get(name)
    return None if iterator is None else iterator.name


def _iterator_value(evaluation: Evaluation, name: bytes) -> Value:
    iterator = evaluation.own.iterators.get(name)
    return None if iterator is None else iterator.value


VARIABLES: dict[str, Definition] = {
    "null": constant(None),
    "rc": computed(lambda evaluation: evaluation.own.return_code),
    "retcode": computed(lambda evaluation: evaluation.own.return_code),
    "?": computed(lambda evaluation: evaluation.own.return_code),
    "_s": Definition(_format, has_name=True),
    "var": Definition(_var, has_name=True),
    "vz": Definition(_var, has_name=True),
    "vn": Definition(_vn, has_name=True),
    "shv": Definition(_shv, has_name=True),
    "avp": Definition(_avp, has_name=True, has_index=True),
    "cnt": Definition(_cnt, has_name=True),
    "xavp": Definition(_xavp, has_name=True),
    "sht": _table(lambda table, key: table.get(key), _set_entry),
    "shtex": _table(lambda table, key: table.expires_in(key), _set_expiry),
    "shtinc": _table(lambda table, key: table.add(key, 1)),
    "shtdec": _table(lambda table, key: table.add(key, -1)),
    "shtcn": _table(lambda table, key: table.count(key, by_value=False)),
    "shtcv": _table(lambda table, key: table.count(key, by_value=True)),
    "shtitkey": by_name(_iterator_key),
    "shtitval": by_name(_iterator_value),
}
