"""The hash tables that the modparams of ``htable`` define."""

from __future__ import annotations

import re
from collections.abc import Callable

from natsroute.kamailio.cfg.document import CfgWarning, KamailioCfg, Modparam
from natsroute.kamailio.tables import HashTable

_FORM = re.compile(r"\s*([^\s=]+)\s*=>(.*)", re.DOTALL)
_UNSIGNED, _SIGNED = re.compile(r"[0-9]{1,18}"), re.compile(r"[+-]?[0-9]{1,18}")
_EXAMPLE = 'Write "NAME=>size=8;autoexpire=300;initval=0;updateexpire=1"'

#: What a table cannot do here, and what it does instead. The value is one that asks for nothing.
_IGNORED = {
    "dbtable": ("", "the table is empty at the start and is not written to a database"),
    "dmqreplicate": ("0", "the table is not replicated to other servers"),
}
#: What needs no warning: how Kamailio divides its memory, and what belongs to dbtable.
_WITHOUT_EFFECT = {"size", "cols", "dbmode", "coldelim", "colnull"}
_NUMBERS = {"autoexpire": _UNSIGNED, "initval": _SIGNED, "updateexpire": _UNSIGNED}


def tables_of(
    cfg: KamailioCfg, make: Callable[..., HashTable] = HashTable
) -> tuple[dict[bytes, HashTable], list[CfgWarning]]:
    """
    The tables of ``modparam("htable", "htable", "NAME=>…")``.

    :param make: makes a table; the arguments are those of :class:`~natsroute.kamailio.tables.HashTable`.
    :return: the tables by name, and warnings of what natsroute's tables do not do.
    :raises ScriptError: a definition is malformed, or a table is defined twice.
    """
    tables: dict[bytes, HashTable] = {}
    warnings: list[CfgWarning] = []
    for modparam in cfg.modparams_of("htable"):
        if modparam.name != "htable":
            continue
        name, attributes = _split(modparam)
        key = name.encode("utf-8", "surrogateescape")
        if key in tables:
            raise modparam.position.error(f"the htable {name} is there already", "Give it another name")
        for attribute, (nothing, effect) in _IGNORED.items():
            if attributes.get(attribute, nothing) != nothing:
                warnings.append(CfgWarning(modparam.position, f"the htable {name} has {attribute}: {effect}"))
        initial = attributes.get("initval")
        tables[key] = make(
            expire=int(attributes.get("autoexpire", "0")),
            initial=None if initial is None else int(initial),
            update_expire=int(attributes.get("updateexpire", "1")) != 0,
        )
    return tables, warnings


def _split(modparam: Modparam) -> tuple[str, dict[str, str]]:
    """Name and attributes of a table."""
    found = _FORM.fullmatch(modparam.value) if isinstance(modparam.value, str) else None
    if found is None:
        raise modparam.position.error("it defines no htable", _EXAMPLE)
    attributes: dict[str, str] = {}
    for part in found[2].split(";"):
        if not part.strip():
            continue
        attribute, equals, value = (text.strip() for text in part.partition("="))
        known = attribute in _NUMBERS or attribute in _IGNORED or attribute in _WITHOUT_EFFECT
        if not known or not equals:
            problem = f"an htable has no attribute {attribute}" if not known else f"{attribute} has no value"
            raise modparam.position.error(problem, _EXAMPLE)
        value = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
        if attribute in _NUMBERS and _NUMBERS[attribute].fullmatch(value) is None:
            raise modparam.position.error(f"{attribute} of an htable is a number, and not {value!r}", _EXAMPLE)
        attributes[attribute] = value
    return found[1], attributes
