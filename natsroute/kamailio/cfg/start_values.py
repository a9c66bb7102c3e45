"""What the variables of a service are at its start, as a ``kamailio.cfg`` says it."""

from __future__ import annotations

import re
from typing import Any

from natsroute.kamailio.cfg.document import KamailioCfg
from natsroute.kamailio.cfg.htables import tables_of
from natsroute.kamailio.evaluation import ServiceVariables
from natsroute.kamailio.tables import HashTable, TableStore

_FORM = re.compile(r"([^=]+)=(?:[sS]:(.*)|[iI]:([+-]?[0-9]{1,18}))", re.DOTALL)


def service_variables(cfg: KamailioCfg | None, **more: Any) -> ServiceVariables:
    """
    The variables of a service: the hash tables of ``htable``, the values that ``shvset`` and ``varset`` of ``pv`` give
    ``$shv`` and ``$var``, and the definitions.

    :param cfg: the file; None if there is none.
    :param more: other arguments of :class:`~natsroute.kamailio.evaluation.ServiceVariables`.
    :raises ScriptError: one of the modparams is malformed.
    """
    cfg = KamailioCfg("") if cfg is None else cfg
    return ServiceVariables(
        tables=tables_of(cfg)[0],
        definitions=cfg.definitions,
        shared=_values(cfg, "shvset"),
        var=_values(cfg, "varset"),
        **more,
    )


def go_on_from(former: ServiceVariables, variables: ServiceVariables) -> None:
    """
    Let the variables of a new version of the code go on from those of the former one, which has them too while calls
    run in it: ``$shv``, locks, and each hash table whose definition has not changed. What is new begins as its modparam
    says.
    """
    for name, value in variables.shared.items():
        former.shared.setdefault(name, value)
    variables.shared = former.shared
    variables.tables = {name: _same(former.tables.get(name), table) for name, table in variables.tables.items()}
    variables.locks = former.locks
    variables.probability = former.probability
    variables.started = former.started


def _same(former: TableStore | None, table: TableStore) -> TableStore:
    return former if isinstance(former, HashTable) and former.is_defined_as(table) else table


def _values(cfg: KamailioCfg, parameter: str) -> dict[bytes, int | bytes]:
    """The values that ``"NAME=s:text"`` or ``"NAME=i:5"`` sets, by name."""
    values: dict[bytes, int | bytes] = {}
    for modparam in cfg.modparams_of("pv"):
        if modparam.name != parameter:
            continue
        found = _FORM.fullmatch(modparam.value) if isinstance(modparam.value, str) else None
        if found is None:
            raise modparam.position.error(f"{parameter} sets no variable", 'Write "NAME=s:text" or "NAME=i:5"')
        name, text, number = found.groups()
        values[_bytes(name)] = int(number) if text is None else _bytes(text)
    return values


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
