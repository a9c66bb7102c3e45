"""
``python -m tests.support.kamailio_page`` writes the lists in docs/kamailio that are made from the code: functions,
differences, and most of the reference.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence

from natsroute.kamailio.differences import DIFFERENCES, Difference
from natsroute.kamailio.script.differences import SCRIPT_DIFFERENCES
from natsroute.kamailio.script.functions import (
    avpops,
    cfgutils,
    htable,
    ipops,
    jansson,
    json,
    nats,
    pua_json,
    pv,
    sip,
    textops,
    xavp,
    xlog,
)
from natsroute.kamailio.script.functions.absent import ABSENT
from natsroute.kamailio.script.functions.definitions import FunctionDefinition
from natsroute.kamailio.transformations import CLASSES
from natsroute.kamailio.variables import VARIABLES
from tests.support import ROOT, parameter_reference

FOLDER = ROOT / "docs" / "kamailio"

#: What is code in the texts of differences: variables, transformations, patterns, and what Markdown would change.
_CODE = re.compile(
    r"\w+\(\)|\$\([^ ]*\)|\$\w+(?:\([^)]*\))?|"
    r"\{[^}]*\}|\\[<>\w]+|<<\S+>>|<(?= )|\w+~\w+~\w+|\(a\+\)\+\$|natsroute\[\w+\]|@\w+|=~"
)

#: The functions, with the modules of Kamailio that they belong to.
FUNCTIONS: tuple[tuple[str, str, Mapping[str, FunctionDefinition]], ...] = (
    ("NATS", "nats", nats.FUNCTIONS),
    ("Log", "xlog, core", xlog.FUNCTIONS),
    ("JSON", "json", json.FUNCTIONS),
    ("JSON", "jansson", jansson.FUNCTIONS),
    ("Hash tables", "htable", htable.FUNCTIONS),
    ("Variables", "pv, kex", pv.FUNCTIONS),
    ("`$xavp`", "pv", xavp.FUNCTIONS),
    ("`$avp`", "avpops", avpops.FUNCTIONS),
    ("Texts", "textops, textopsx, siputils", textops.FUNCTIONS),
    ("IP addresses", "ipops", ipops.FUNCTIONS),
    ("Routes, waiting, locks, chance", "cfgutils", cfgutils.FUNCTIONS),
    ("The SIP message", "textops, siputils, corex", sip.FUNCTIONS),
    ("Presence", "pua_json", pua_json.FUNCTIONS),
)


def differences_table(differences: Sequence[Difference] = DIFFERENCES) -> str:
    """The table of differences, in Markdown."""
    rows = [("", "Kamailio 5.6.3", "natsroute", "reason"), ("---",) * 4]
    rows += [(one.about, one.kamailio, one.natsroute, one.reason) for one in differences]
    return "".join(f"| {' | '.join(map(_marked, row))} |\n" for row in rows)


def functions_table() -> str:
    """The table of functions, in Markdown: each with its arguments."""
    lines = ["|  | of the modules | functions |", "| --- | --- | --- |"]
    for title, modules, functions in FUNCTIONS:
        shown = ", ".join(f"`{signature(one)}`" for one in functions.values())
        lines.append(f"| {title} | {modules} | {shown} |")
    return "".join(f"{line}\n" for line in lines)


#: The arguments of functions that are not made by ``calls.function()``, and of some whose names in the code say less.
_ARGUMENTS = {
    "xlog": "[[facility, ]level, ]text",
    "xlogl": "[[facility, ]level, ]text",
    "xlogm": "level, text",
    "log": "[level, ]text",
    "is_method": "names",
    "sht_rm_name_re": "table=>pattern",
    "sht_rm_value_re": "table=>pattern",
}

#: Better words than some that the code has for its arguments.
_WORDS = {
    "kind": "type",
    "table_name": "table",
    "written": "value",
    "whole": "text",
    "entry": "table=>key",
    "more": "characters",
}


def signature(function: FunctionDefinition) -> str:
    """Its name and arguments, as in ``nats_publish(subject, payload[, reply])``."""
    run = inspect.getclosurevars(function.build).nonlocals.get("run")
    if run is None or function.name in _ARGUMENTS:
        return f"{function.name}({_ARGUMENTS.get(function.name, 'text')})"
    names = [_WORDS.get(name, name) for name in list(inspect.signature(run).parameters)[1 : function.maximum + 1]]
    assert len(names) == function.maximum, function.name
    needed, optional = names[: function.minimum], names[function.minimum :]
    tail = "".join(f"{', ' if needed or number else ''}{name}" for number, name in enumerate(optional))
    return f"{function.name}({', '.join(needed)}{f'[{tail}]' if tail else ''})"


def signatures() -> str:
    """A list of all functions, by module, in Markdown."""
    return "".join(
        f"- {modules}: {', '.join(f'`{signature(one)}`' for one in functions.values())}\n"
        for _, modules, functions in FUNCTIONS
    )


def variable_names() -> str:
    """All pseudo-variables, in Markdown."""
    names = [f"`${name}{'(name)' if one.has_name else ''}`" for name, one in VARIABLES.items()]
    return f"{', '.join(names)}\n"


def transformation_names() -> str:
    """All transformations, a line for each class, in Markdown."""
    return "".join(
        f"- {', '.join(f'`{{{kind}.{name}}}`' for name in transformations)}\n"
        for kind, transformations in CLASSES.items()
    )


def absent_table() -> str:
    """The table of functions that are not there, in Markdown."""
    lines = ["| functions | event routes with one | why not | instead |", "| --- | --- | --- | --- |"]
    for group in ABSENT:
        names = ", ".join(f"`{name}`" for name in group.names)
        lines.append(f"| {names} | {group.uses} | {_marked(group.reason)} | {_marked(group.instead)} |")
    return "".join(f"{line}\n" for line in lines)


def _marked(text: str) -> str:
    assert "|" not in text, text
    return _CODE.sub(lambda code: f"`{code[0]}`", text)


#: What stands between the marks of each section, and the page that has it.
TABLES: dict[str, tuple[str, Callable[[], str]]] = {
    "differences": ("differences.md", differences_table),
    "script differences": ("differences.md", lambda: differences_table(SCRIPT_DIFFERENCES)),
    "functions": ("functions.md", functions_table),
    "absent functions": ("functions.md", absent_table),
    "parameters": ("reference.md", parameter_reference.of_nats),
    "own parameters": ("reference.md", parameter_reference.of_natsroute),
    "function signatures": ("reference.md", signatures),
    "variable names": ("reference.md", variable_names),
    "transformation names": ("reference.md", transformation_names),
}


def _marks(section: str) -> tuple[str, str]:
    return f"<!-- {section}: begin -->\n\n", f"\n<!-- {section}: end -->"


def written(section: str) -> str:
    """The table that the page has."""
    begin, end = _marks(section)
    return (FOLDER / TABLES[section][0]).read_text("utf-8").partition(begin)[2].partition(end)[0]


if __name__ == "__main__":
    for name, (page, table) in TABLES.items():
        begin, end = _marks(name)
        text = (FOLDER / page).read_text("utf-8")
        (FOLDER / page).write_text(text.replace(begin + written(name) + end, begin + table() + end), "utf-8")
