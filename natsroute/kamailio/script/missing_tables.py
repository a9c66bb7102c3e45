"""The hash tables that a script uses and no ``modparam`` of ``htable`` defines. Kamailio says nothing about them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from natsroute.kamailio.cfg.document import CfgWarning
from natsroute.kamailio.cfg.source import Position, SourceText
from natsroute.kamailio.script import syntax
from natsroute.kamailio.script.functions.htable import TABLE_ARGUMENTS
from natsroute.nearest import did_you_mean

#: A variable of an entry: the name of its table has no variables in it. ``$$`` is a dollar sign.
_VARIABLE = re.compile(r"(?<!\$)\$\(?sht(?:ex|inc|dec|cn|cv)?\([ \t\r\n]*([^= \t\r\n)]+)[ \t\r\n]*=>")


def missing_tables(
    blocks: Iterable[tuple[SourceText, syntax.Block]], tables: Collection[str]
) -> tuple[CfgWarning, ...]:
    """
    A warning for each table that is used and not defined, at the place where it is used first.

    :param blocks: what runs: the source, and what it consists of.
    :param tables: the names of those that are defined.
    """
    found: dict[str, Position] = {}
    for source, tree in blocks:
        for node in syntax.walk(tree):
            for name, at in _names(source, node):
                if name not in tables:
                    position = source.position_at(at)
                    found[name] = min(found.get(name, position), position)
    return tuple(
        CfgWarning(position, _text(name, tables)) for name, position in sorted(found.items(), key=lambda one: one[1])
    )


def _text(name: str, tables: Collection[str]) -> str:
    define = f'Add modparam("htable", "htable", "{name}=>size=8;")'
    remedy = did_you_mean(name, tables, define, prefix="")
    return f"there is no htable {name}: its entries are null, and assignments and functions fail. {remedy}"


def _names(source: SourceText, node: syntax.Node) -> Iterator[tuple[str, int]]:
    """The tables that a node names, with an index in the source."""
    if isinstance(node, syntax.Variable):
        for found in _VARIABLE.finditer(node.text):
            yield found[1], node.at + found.start()
    elif isinstance(node, syntax.Call):
        for number, argument in enumerate(node.arguments):
            if not isinstance(argument, syntax.Constant) or isinstance(argument.value, int):
                continue
            text = argument.value.decode("utf-8", "surrogateescape")
            if TABLE_ARGUMENTS.get(node.name) == number and "$" not in text:
                yield text.partition("=>")[0].strip(" \t\r\n"), argument.at
            for found in _VARIABLE.finditer(text):
                # An escape before it moves it in the source.
                inside = argument.at + 1 + found.start()
                yield found[1], inside if source.text.startswith(found[0], inside) else argument.at
