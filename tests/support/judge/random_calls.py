"""Random calls of a script's functions, the same for the same seed."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from tests.support.judge.calls import IN, OUT, Assignment, Call
from tests.support.judge.chance import draw

_NAMES = st.sampled_from(["a", "b", "c.d", "é", ""])
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.sampled_from([0.5, 1e10, -2.25, 1e-7, 123456789.125])
    | st.sampled_from(["", "text", 'q"\\', "é€", "tab\t", "/", "\x1f"])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)
_DOCUMENTS = (st.lists(_VALUES, max_size=3) | st.dictionaries(_NAMES, _VALUES, max_size=3)).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)
_PATHS = st.lists(
    st.sampled_from(["a", "b", "a.b", ".", "[0]", "[1]", "[", "]", "0", "é", "x", "..", "[-1]", "[ 1]"]), max_size=4
).map("".join)
_LISTS = st.lists(
    st.sampled_from(["a", "b", "ab", " ", ",", ";", "=", '"', "1", "\t", "A"]), min_size=1, max_size=7
).map("".join)
_SHORT = st.text("abA-] [*\\", max_size=5)
_WILDCARD_PARTS = [
    "a",
    "b",
    "*",
    "?",
    "[",
    "]",
    "[ab]",
    "[!a]",
    "[^b]",
    "[a-]",
    "-",
    "\\\\",
    "\\a",
    "[]a]",
    "[[:upper:]]",
]
_WILDCARDS = st.lists(st.sampled_from(_WILDCARD_PARTS), max_size=5).map("".join)


_CHANGES = st.tuples(
    st.sampled_from(["jansson_set", "jansson_append"]),
    st.tuples(st.just("string"), _SHORT)
    | st.tuples(st.just("int"), st.integers(-(2**63), 2**63 - 1).map(str))
    | st.tuples(st.sampled_from(["object", "array"]), _DOCUMENTS)
    | st.tuples(st.sampled_from(["true", "null"]), st.just("")),
    _PATHS,
    _DOCUMENTS,
)


def random_calls(number: int, seed: int) -> list[Call]:
    """
    Random calls of the functions with the most room for mistakes.

    :param number: how many of each kind.
    """
    calls: list[Call] = []
    for document, path in draw(st.tuples(_DOCUMENTS, _PATHS), number, seed):
        calls.append(Call("jansson_get", (path, IN, OUT), (Assignment(IN, document),), (OUT,)))
    for name, (kind, written), path, document in draw(_CHANGES, number, seed):
        calls.append(
            Call(
                name,
                (kind, path, "$var(new)", OUT),
                (Assignment("$var(new)", written), Assignment(OUT, document)),
                (OUT,),
            )
        )
    for document, field in draw(st.tuples(_DOCUMENTS, _NAMES), number, seed):
        for name in ("json_get_field", "json_get_string"):
            calls.append(Call(name, (IN, field, OUT), (Assignment(IN, document),), (OUT,)))
    for document in draw(_DOCUMENTS, number, seed):
        made = (Assignment(IN, document), Call("jansson_xdecode", (IN, "xNNN")))
        calls.append(Call("jansson_xdecode", (IN, "xNNN"), made[:1], ("$xavp(xNNN=>a)", "$xavp(xNNN=>b)")))
    for text, pattern in draw(st.tuples(_SHORT, _WILDCARDS), number, seed):
        calls.append(
            Call("fnmatch", ("$var(in)", "$var(pattern)"), (Assignment(IN, text), Assignment("$var(pattern)", pattern)))
        )
    for params in draw(_LISTS, number, seed):
        shows = ("$xavp(xNNN=>a[*])", "$xavp(xNNN=>b[*])", "$xavp(xNNN=>ab)", "$xavp(xNNN=>v[*])")
        calls.append(Call("xavp_params_explode", (IN, "xNNN"), (Assignment(IN, params),), shows))
        calls.append(Call("xavp_slist_explode", (IN, ",;", "t", "xNNN"), (Assignment(IN, params),), shows))
    for wanted, items in draw(st.tuples(_SHORT, _LISTS), number, seed):
        for name in ("in_list", "in_list_prefix"):
            calls.append(
                Call(name, (IN, "$var(items)", ","), (Assignment(IN, wanted), Assignment("$var(items)", items)))
            )
    for first, second in draw(st.tuples(_SHORT, _SHORT), number, seed):
        before = (Assignment(IN, first), Assignment("$var(second)", second))
        for name in ("cmp_str", "cmp_istr", "starts_with", "ends_with", "str_find", "str_ifind"):
            calls.append(Call(name, (IN, "$var(second)"), before))
    return calls
