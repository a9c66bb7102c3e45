"""Random payloads and expressions, the same for the same seed."""

from __future__ import annotations

import json
import re
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.support.judge.table import TRANSFORMATIONS

T = TypeVar("T")

_JSON_TEXT = st.sampled_from(
    ["", "a", "sip:al@ex.org", "é€", 'q"\\/', "tab\t", "\u2028", "😀", "x y", "a.b", "-1", "[0]"]
)
_JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**66) | _JSON_TEXT
    | st.sampled_from(["#1.50", "#1e5", "#-0.0", "#5E-3", "#100000000000000000000.5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "From"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
_URI_PARTS = st.lists(
    st.sampled_from([
        "al", "bob", "@", ":", ";", "?", "=", "&", "[::1]", "[", "]", ".", "-", "5060", "99999", "ex.org", "transport=",
        "tcp", "TLS", "lr", "lr=on", "user=phone", "ttl=3", "x=1", "%41", "+1", ",", "<", ">",
    ]),
    min_size=1,
    max_size=7,
).map("".join)  # fmt: skip
_HEADER_PARTS = st.lists(
    st.sampled_from(
        ["a", '"', "<", ">", "<sip:a@b>", "sip:c@d", '"Q U" ', ";tag=1", ";x", "=", " ", "\t", "\r\n ", ",", ";"]
    ),
    min_size=1,
    max_size=6,
).map("".join)
_LIST_PARTS = st.lists(
    st.sampled_from(["a", "b", "c", "=", ";", "&", ",", '"', "'", " ", "1", "x y", ">", "name", ";;", "\t"]),
    min_size=1,
    max_size=9,
).map("".join)
_TEXT = st.lists(
    st.sampled_from(
        ["a", "B", "7", " ", "\n", "\r\n", ",", ";", ":", "%", "%41", "\\", "'", '"', "é", "word", "=", "+", "-"]
    ),
    max_size=9,
).map("".join)


def _json_text(value: object) -> str:
    """As JSON; a text that begins with ``#`` is a number as it is written."""
    return re.sub(r'"#([^"]*)"', r"\1", json.dumps(value, ensure_ascii=False))


RANDOM_PAYLOADS: st.SearchStrategy[bytes] = st.one_of(
    st.dictionaries(st.sampled_from(["From", "o", "a", "b", "X"]), _JSON_VALUES, max_size=4)
    .map(_json_text)
    .map(str.encode),
    st.tuples(st.sampled_from(["sip:", "sips:", "tel:", "SIP:"]), _URI_PARTS).map("".join).map(str.encode),
    _HEADER_PARTS.map(str.encode),
    _LIST_PARTS.map(str.encode),
    _TEXT.map(str.encode),
    st.binary(max_size=12).map(lambda data: data.replace(b"\0", b"\1")),
    st.integers(-(10**9), 10**9).map(lambda number: b"%d" % number),
)

_NUMBERS = st.integers(-4, 6).map(str) | st.sampled_from(["$var(one)", "$var(minus)", " 2", "+1", "$var(text)"])
_LENGTHS = st.integers(0, 5).map(str) | st.sampled_from(["$var(one)", " 3 "])
_TEXTS = st.sampled_from(["a", "al", ":", "ex", "7", "$var(text)", "$var(key)", " b"])
_CHARACTERS = st.sampled_from([",", ";", ":", "a", "@", "\\n", " ", "=", '"', "}"])
_STEPS = st.sampled_from(["From", "o", "a", "b", "X", "a[0]", "b[1]", "From[-1]", "$var(key)"])


def _with(name: str, *parameters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parameters).map(lambda found: "{" + ",".join((name, *found)) + "}")


#: Those that read behind the end of a value which another transformation made come only first.
_READS_BEHIND = ["s.encode.7bit", "s.decode.7bit", "s.unescape.user", "s.unescape.param", "s.urldecode.param"]
#: Kamailio's faults in these would spread along a chain.
_FAULTY = {"s.decode.base58", "uri.saor", "uri.suri", "uri.duri", "urialias.decode"}
_SIMPLE = [name for name in TRANSFORMATIONS if "," not in name and name not in _READS_BEHIND and name not in _FAULTY]

_ONE = st.one_of(
    st.sampled_from(["{" + name + "}" for name in _SIMPLE if not name.startswith("nameaddr.")]),
    _with("s.substr", _NUMBERS, _LENGTHS),
    _with("s.select", _NUMBERS, _CHARACTERS),
    _with("s.strip", _NUMBERS),
    _with("s.striptail", _NUMBERS),
    _with("s.prefixes", _LENGTHS),
    _with("s.replace", _TEXTS, _TEXTS),
    _with("s.rm", _TEXTS),
    _with("s.stripto", _TEXTS),
    _with("s.count", _TEXTS),
    _with("s.before", _TEXTS),
    _with("s.after", _TEXTS),
    _with("s.corehash", _LENGTHS),
    _with("param.value", _TEXTS),
    _with("param.valueat", _NUMBERS),
    _with("param.name", _NUMBERS, st.sampled_from([";", "&", "x"])),
    _with("param.count", st.sampled_from([";", "&", ","])),
    _with("line.at", _NUMBERS),
    _with("line.sw", _TEXTS),
    _with("uri.param", _TEXTS),
    _with("json.parse", st.lists(_STEPS, min_size=1, max_size=3).map(".".join)),
    _with(
        "re.subst",
        st.sampled_from(["/a/X/g", "/[^a-z]/_/g", "/^(.)(.*)$/\\2\\1/", "/e|o/0/g", "/[0-9]{2}/NN/", "/\\./!/"]),
    ),
)
_FIRST = _ONE | st.sampled_from(["{" + name + "}" for name in _READS_BEHIND])
_CHAIN = st.tuples(_FIRST, st.lists(_ONE, max_size=3)).map(lambda found: found[0] + "".join(found[1]))
RANDOM_EXPRESSIONS: st.SearchStrategy[str] = st.one_of(
    _CHAIN.map(lambda chain: f"$(natsData{chain})"),
    _ONE.flatmap(
        lambda one: st.sampled_from(["uri", "digits", "blank", "text"]).map(lambda name: f"$(var({name}){one})")
    ),
    _CHAIN.map(lambda chain: f"$_s([$(natsData{chain})])").filter(lambda text: text.count("(") == text.count(")")),
    _CHAIN.map(lambda chain: f"$(avp(list){chain})"),
).filter(lambda text: not ("corehash" in text and "param." in text))  # see the difference no-value-no-number


def draw(strategy: st.SearchStrategy[T], number: int, seed_number: int) -> list[T]:
    """So many different examples, always the same for a seed."""
    found: list[T] = []

    @seed(seed_number)
    @settings(
        max_examples=number, database=None, phases=[Phase.generate], deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def collect(example: T) -> None:
        found.append(example)

    collect()
    return list(dict.fromkeys(found))
