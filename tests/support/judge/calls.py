"""
Calls of a script's functions, which Kamailio and natsroute both make: with their results, and what the variables hold
afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import attrs

#: A text in quotes, a number, or a variable without quotes.
Written = "str | int | Bare"


@attrs.frozen
class Bare:
    """An argument without quotes."""

    text: str


@attrs.frozen
class Call:
    """
    A call.

    :ivar name: the function.
    :ivar arguments: texts in quotes, numbers, and variables without quotes.
    :ivar before: assignments and calls that come before it.
    :ivar shows: what is compared beside the result.
    :ivar after: calls that give back what the others took.
    """

    name: str
    arguments: tuple[str | int | Bare, ...] = ()
    before: tuple[Assignment | Call, ...] = ()
    shows: tuple[str, ...] = ()
    after: tuple[Call, ...] = ()

    def numbered(self, number: int) -> Call:
        """The same with names of its own: ``NNN`` is replaced by the number in everything."""
        return attrs.evolve(
            self,
            arguments=tuple(_numbered(one, number) for one in self.arguments),
            before=tuple(one.numbered(number) for one in self.before),
            shows=tuple(one.replace("NNN", str(number)) for one in self.shows),
            after=tuple(one.numbered(number) for one in self.after),
        )

    def written(self) -> str:
        """As it stands in a script."""
        return f"{self.name}({', '.join(map(_written, self.arguments))});"

    def script(self) -> str:
        """With what comes before it, and an answer. ``$rc`` is the result of the function that was called last."""
        lines = [one.written() for one in (*self.before, self)]
        return "\n".join([*lines, "$var(rc) = $rc;"])


@attrs.frozen
class Assignment:
    """``variable = value``; None is ``$null``."""

    variable: str
    value: str | int | None

    def numbered(self, number: int) -> Assignment:
        """See :meth:`Call.numbered`."""
        return Assignment(self.variable.replace("NNN", str(number)), self.value)

    def written(self) -> str:
        """As it stands in a script."""
        return f"{self.variable} = {'$null' if self.value is None else _written(self.value)};"


def _numbered(argument: str | int | Bare, number: int) -> str | int | Bare:
    if isinstance(argument, Bare):
        return Bare(argument.text.replace("NNN", str(number)))
    return argument.replace("NNN", str(number)) if isinstance(argument, str) else argument


def _written(value: str | int | Bare) -> str:
    if isinstance(value, Bare):
        return value.text
    return str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False)


IN, OUT = "$var(in)", "$vn(oNNN)"


def _of_json() -> Iterator[Call]:
    documents = (
        '{"a": "text", "n": 2, "r": 1.50, "t": true, "z": null, "o": {"b": [1, "x"]}, "": "empty", "é": "é/\\""}',
        '{"a": "first", "a": "second", "o": {}, "n": 12345678901, "r": 1e5, "e": [ ]}',
        '[{"a": 1}, 2]',
        '"a"',
        "5",
        "{'a': 'single'}",
        '{"a": 1} rest',
        '{"a"',
        "not JSON",
        "",
    )
    for name in ("json_get_field", "json_get_string"):
        for document in documents:
            for field in ("a", "n", "r", "t", "z", "o", "e", "", "é", "o.b", "missing"):
                if field in ("a", "n", "o") or document is documents[0]:
                    yield Call(name, (IN, field, OUT), (Assignment(IN, document),), (OUT,))
        yield Call(name, ("$null", "a", OUT), (), (OUT,))
        yield Call(
            name,
            (Bare(IN), Bare("$var(field)"), OUT),
            (Assignment(IN, '{"k": 1}'), Assignment("$var(field)", "k")),
            (OUT,),
        )


def _of_jansson() -> Iterator[Call]:
    document = (
        '{"a": "text", "n": -2, "big": 12345678901, "r": 1.50, "e": 1e30, "t": true, "f": false, "z": null, '
        '"o": {"b": [1, "x", [2.5, {"c": 3}]], "a.b": 1, "": 0}, "u": "\\u00e9\\u0001/\\"\\\\", "empty": {}, '
        '"list": []}'
    )
    paths = (
        "a", "n", "big", "r", "e", "t", "f", "z", "o", "u", "empty", "list", "o.b", "o.b[0]", "o.b[1]", "o.b[2]",
        "o.b[2][0]", "o.b[2][1].c", "o.b[2][1]", "o.b[3]", "o.b[-1]", "o.b[x]", "o.b[]", "o.b[0x1]", "o.b[01]",
        "o.b[ 1]", "o.b[+1]", "o.b[0", "o.b[0]x", "o.b[0].x", "o.", "o..b", "o.b[", ".a", "[0]", "", "missing",
        "a.b", "o.a.b", "a[0]", "é",
    )  # fmt: skip
    for path in paths:
        yield Call("jansson_get", (path, IN, OUT), (Assignment(IN, document),), (OUT,))
    for path in ("o.b", "o", "list", "a", "missing", "o.b[2]", "", "o.b[2][1]"):
        yield Call("jansson_array_size", (path, IN, OUT), (Assignment(IN, document),), (OUT,))
    for path in ("[0]", "[1].a", "[0].a", "[", "[5]", "", "[0][0]"):
        yield Call("jansson_get", (path, '[[7], {"a": "in"}]', OUT), (), (OUT,))
    for other in (
        '{"a": 1, "a": 2}', '{"a": 1} x', '{"a": 1,}', "{'a': 1}", '"a"', "5", "null", "", "{", '{"a": NaN}',
        '{"a": 01}', '{"a": 1e400}', '{"a": 99999999999999999999}', '{"a": "\\u0000"}', '{"a": "\\ud800"}',
        '{"a": "\\ud83d\\ude00"}', '{"a": -0}', '{"a": 9223372036854775807}', '{"a": 2147483648}',
        '{"a": 2147483647}', '{"a": -2147483649}', '{"a": 1.0}', '{"a": 100000000000000000.5}', '{"a": 0.1}',
        '{"a": 1E5}', ' {"a" :\n1 }\t',
    ):  # fmt: skip
        yield Call("jansson_get", ("a", IN, OUT), (Assignment(IN, other),), (OUT,))
        yield Call("jansson_get", ("", IN, OUT), (Assignment(IN, other),), (OUT,))
    yield Call("jansson_get_field", (IN, "n", OUT), (Assignment(IN, document),), (OUT,))
    yield Call(
        "jansson_get",
        ("$var(path)", Bare(IN), OUT),
        (Assignment(IN, document), Assignment("$var(path)", "o.b[0]")),
        (OUT,),
    )
    starts: tuple[str | int | None, ...] = (
        '{"a": {"b": [1, 2]}, "l": [], "s": "x"}',
        '[[1], {"k": 1}]',
        "{}",
        None,
        5,
        "",
        "no JSON",
        '{"a":1.0,"b":1e22,"c":-0.5}',
    )
    changes = (
        ("string", "a.new", "text"), ("str", "x", 'a"b\\\\é'), ("int", "x.y.z", "-5"), ("integer", "x", ""),
        ("int", "x", "5x"), ("int", "x", "99999999999999999999"), ("int", "x", " 7"), ("real", "x", "1.5"),
        ("real", "x", "1e22"), ("real", "x", "5"), ("real", "x", "x"), ("real", "x", "0.1"), ("real", "x", ""),
        ("true", "x", ""), ("false", "x", "any"), ("null", "x", ""), ("object", "a", '{"c": 1}'),
        ("obj", "l", '{"c": 1}'), ("object", "a", "[1]"), ("array", "l", "[1, 2]"), ("array", "l", "{}"),
        ("array", "a", "x"), ("string", "a.b[0]", "zero"), ("string", "a.b[5]", "out"), ("string", "l", "more"),
        ("string", "s", "more"), ("string", "s.t", "more"), ("string", "n[0]", "x"), ("string", "[0]", "item"),
        ("string", "[1].k", "item"), ("string", "", "x"), ("object", "", '{"r": 1}'), ("string", "a.", "x"),
        ("string", "a..b", "x"), ("string", "x[", "x"), ("string", "a[", "x"), ("other", "x", "x"),
        ("string", "$rm", "$rm"), ("object", "x", '{"a": 1, "a": 2}'), ("string", "a.b", "x"),
    )  # fmt: skip
    for name in ("jansson_set", "jansson_append"):
        for start in starts:
            for change in changes:
                if start in (starts[0], starts[1]) or change[1] == "x":
                    yield Call(name, (*change, OUT), (Assignment(OUT, start),), (OUT,))
    fields = ("a", "n", "big", "r", "t", "z", "o", "u")
    for source in (document, '[{"a": 1}, {"a": 2, "n": 3}]', "[1, []]", "{}", "[]", "5", "no"):
        shows = tuple(f"$xavp(xNNN=>{field})" for field in fields) + tuple(
            f"$xavp(xNNN[1]=>{field})" for field in fields[:2]
        )
        yield Call("jansson_xdecode", (IN, "xNNN"), (Assignment(IN, source),), shows)
        yield Call(
            "jansson_xencode",
            ("xNNN", OUT),
            (Assignment(IN, source.replace('"z": null, ', "")), Call("jansson_xdecode", (IN, "xNNN"))),
            (OUT,),
        )
    made = tuple(
        Assignment(f"$xavp(xNNN{index}=>{field})", value)
        for index, field, value in (("", "a", 'q"\\ é'), ("[0]", "b", -5), ("[0]", "a", "again"))
    )
    yield Call("jansson_xencode", ("xNNN", OUT), made, (OUT,))
    yield Call("jansson_xencode", ("xNNN", OUT), (Assignment("$xavp(xNNN)", 5),), (OUT,))


def _of_pv() -> Iterator[Call]:
    variables = (
        "$rm",
        "$ru",
        "$rU",
        "$ci",
        "$null",
        "$natsData",
        "$cs",
        "$ml",
        "$var(never)",
        "$vn(never)",
        "$avp(never)",
        "$sht(t=>never)",
        "$sht(i=>never)",
        "$xavp(never)",
        "$(rm{s.len})",
        "$(rm{s.int})",
        "$(ci{s.int})",
        "$(rm{s.tolower})",
        "$Ts",
        "$pp",
        "$true",
        "$rc",
        "$cnt($avp(never))",
        "$(null{s.len})",
        "$rmid",
        "$proto",
    )
    for variable in variables:
        for name in ("pv_isset", "is_int", "not_empty"):
            yield Call(name, (variable,))
        for kind in ("int", "str", "null", "S", "other"):
            yield Call("typeof", (variable, kind))
    for value in ("", "0", "text", 0, 5, None):
        for variable in ("$vn(vNNN)", "$var(v)", "$avp(aNNN)", "$sht(t=>kNNN)", "$xavp(xNNN)", "$xavp(xNNN=>f)"):
            before = (Assignment(variable, value),)
            for name in ("pv_isset", "is_int", "not_empty"):
                yield Call(name, (variable,), before)
            yield Call("typeof", (variable, "string"), before)
            yield Call("typeof", (variable, "integer"), before)
            yield Call("pv_unset", (variable,), before, (variable,))
    yield Call("pv_unset", ("$rm",), (), ("$rm",))
    yield Call("pv_printf", (OUT, "a $rm $null b"), (), (OUT,))
    yield Call("avp_printf", ("$avp(aNNN)", "$ci"), (), ("$avp(aNNN)",))


def _of_xavps() -> Iterator[Call]:
    for params in (
        "a=1;b=2",
        "a=1;b=2;",
        "a",
        "a;b;c=x",
        "a=\"q s\";b='t'",
        "a=1;a=2",
        " a = 1 ; b",
        "a=1,b=2",
        ";;",
        "a=",
        "=1",
        "a=1;;b=2",
        "",
        "a b",
        'a="x',
        "$rm=$ci",
    ):
        call = Call(
            "xavp_params_explode",
            (params, "xNNN"),
            (),
            ("$xavp(xNNN=>a)", "$xavp(xNNN=>b)", "$(xavp(xNNN=>a[1]))", "$xavp(xNNN=>a[*])", "$xavp(xNNN=>OPTIONS)"),
        )
        yield call
        yield Call("xavp_params_implode", ("xNNN", OUT), (Call("xavp_params_explode", (params, "xNNN")),), (OUT,))
    made = tuple(
        Assignment(f"$xavp(xNNN{index}=>{field})", value)
        for index, field, value in (("", "a", "x"), ("[0]", "b", -5), ("[0]", "c", ""), ("[0]", "a", "y"))
    )
    yield Call("xavp_params_implode", ("xNNN", OUT), made, (OUT,))
    yield Call("xavp_params_implode", ("never", OUT), (), (OUT,))
    for values, separators, mode in (
        ("a,b , c", ",", ""),
        ("a,b , c,", ",", "t"),
        ("a;b,c", ",;", ""),
        (",,", ",", ""),
        (" , ", ",", "t"),
        ("", ",", ""),
        ("a", ",", "x"),
        ("a b", " ", ""),
    ):
        yield Call(
            "xavp_slist_explode",
            (values, separators, mode, "xNNN"),
            (),
            ("$xavp(xNNN=>v)", "$xavp(xNNN=>v[1])", "$xavp(xNNN=>v[2])", "$xavp(xNNN=>v[*])"),
        )
    shows = ("$xavp(xNNN=>a)", "$xavp(xNNN=>b)", "$xavp(xNNN=>a[*])", "$xavp(xNNN[1]=>a)", "$xavp(xNNN=>c)")
    for before in ((), made, (Assignment("$xavp(xNNN)", 5),), (*made, Assignment("$xavp(xNNN=>a)", "newer"))):
        yield Call("xavp_child_seti", ("xNNN", "a", 7), before, shows)
        yield Call("xavp_child_sets", ("xNNN", "b", "s $rm"), before, shows)
        yield Call("xavp_rm", ("xNNN",), before, shows)
        yield Call("xavp_child_rm", ("xNNN", "a"), before, shows)
        yield Call(
            "pv_xavp_to_var",
            ("xNNN",),
            (Assignment("$var(a)", 0), Assignment("$var(b)", 0), Assignment("$var(c)", 0), *before),
            ("$var(a)", "$var(b)", "$var(c)"),
        )
        yield Call(
            "xavp_copy",
            ("xNNN", 0, "yNNN"),
            before,
            ("$xavp(yNNN=>a)", "$xavp(yNNN=>b)", "$xavp(yNNN=>a[*])", "$xavp(yNNN[1]=>a)"),
        )
        yield Call("xavp_copy", ("xNNN", 1, "yNNN"), before, ("$xavp(yNNN=>a)",))
        yield Call("xavp_copy", ("xNNN", 0, "xNNN", 0), before, shows)
        yield Call("xavp_copy", ("xNNN", 0, "xNNN"), before, shows)
    for value in ("text", 5, "", None):
        yield Call("pv_var_to_xavp", ("vNNN", "xNNN"), (Assignment("$var(vNNN)", value),), ("$xavp(xNNN=>vNNN)",))
        yield Call("pv_var_to_xavp", ("*", "xNNN"), (Assignment("$var(vNNN)", value),), ("$xavp(xNNN=>vNNN)",))
    yield Call("pv_var_to_xavp", ("neverNNN", "xNNN"), (Assignment("$xavp(xNNN)", "old"),), ("$xavp(xNNN)",))


def _of_texts() -> Iterator[Call]:
    pairs = (
        ("", ""),
        ("a", ""),
        ("", "a"),
        ("abc", "abc"),
        ("abc", "ABC"),
        ("abc", "abd"),
        ("abc", "ab"),
        ("ab", "abc"),
        ("abc", "bc"),
        ("abcabc", "c"),
        ("b", "abc"),
        ("é", "É"),
        ("é", "a"),
        ("a", "é"),
        ("$rm", "OPTIONS"),
        ("$null", "null"),
        ("xAbY", "aby"),
        ("aab", "ab"),
    )
    for name in ("cmp_str", "cmp_istr", "starts_with", "ends_with", "str_find", "str_ifind", "search_str"):
        for first, second in pairs:
            yield Call(name, (first, second))
    for whole, pattern in (
        ("abc", "^a.c$$"),
        ("abc", "B"),
        ("abc", "("),
        ("a\nb", "^b$$"),
        ("abc", "x|c"),
        ("a.c", "a\\\\.c"),
        ("abc", "[[:digit:]]"),
        ("5", "[[:digit:]]"),
        ("aaa", "a{4}"),
    ):
        yield Call("search_str", (whole, pattern))
    for wanted, items, separator in (
        ("a", "a,b", ","),
        ("b", "a, b ,c", ","),
        ("c", " a , c ", ","),
        ("x", "a,b", ","),
        ("a", "", ","),
        ("", "a", ","),
        ("a", "A", ","),
        ("a b", "a b;c", ";"),
        ("ab", "a,b", ","),
        ("a", "a,", ","),
        ("$rm", "INVITE|OPTIONS", "|"),
        ("a", ",,a", ","),
    ):
        yield Call("in_list", (wanted, items, separator))
        yield Call("in_list_prefix", (wanted, items, separator))
        yield Call("in_list_prefix", (wanted + "/more", items, separator))
    for whole, pattern, index, count in (
        ("sip:al@ex", "sip:(.*)@(.*)", 1, 3),
        ("sip:al@ex", "sip:(.*)@(.*)", 2, 3),
        ("sip:al@ex", "sip:(.*)@(.*)", 0, 3),
        ("sip:al@ex", "sip:(.*)@(.*)", 3, 3),
        ("sip:al@ex", "SIP", 0, 1),
        ("abc", "x*", 0, 1),
        ("abc", "(x)?b", 1, 2),
        ("abc", "b", 1, 2),
        ("abc", "(", 0, 1),
    ):
        yield Call("regex_substring", (whole, pattern, index, count, OUT), (), (OUT,))
    for whole in (
        "",
        "0",
        "123",
        "12a",
        "+",
        "+1",
        "+0",
        "+12",
        "1+",
        "abc",
        "a1Z",
        "a-b",
        "a_b",
        "é",
        " 1",
        "-1",
        "sip:a@b",
        "sip:",
        "tel:+1",
        "a@b",
        "sip:a@b:x",
        "sips:b;lr",
    ):
        for name in ("is_numeric", "is_tel_number", "is_alphanum", "is_uri"):
            yield Call(name, (whole,))
        yield Call("is_alphanumex", (whole, "+-_"))
        yield Call("is_alphanumex", (whole, ""))
    for whole, pattern in (
        ("abc", "a*"),
        ("abc", "*c"),
        ("abc", "a?c"),
        ("abc", "a[a-c]c"),
        ("abc", "a[!b]c"),
        ("abc", "A*"),
        ("a/b", "*"),
        (".a", "*"),
        ("a*", "a\\\\*"),
        ("ab", "a\\\\*"),
        ("", "*"),
        ("", ""),
        ("a", ""),
        ("abc", "*b*"),
        ("abab", "*ab"),
        ("a]", "a[]]"),
        ("a-", "a[a-]"),
        ("a[", "a["),
        ("5", "[[:digit:]]"),
        ("x", "[[:digit:]x]"),
        ("a", "\\\\a"),
        ("a", "a\\\\"),
        ("b", "[^a]"),
        ("aaab", "a*b?"),
    ):
        yield Call("fnmatch", (whole, pattern))
        yield Call("fnmatch", (whole, pattern, "i"))


def _of_sip() -> Iterator[Call]:
    for methods in (
        "OPTIONS",
        "INVITE",
        "INVITE|OPTIONS",
        "options",
        "INVITE|ACK",
        "FOO",
        "INVITE | OPTIONS",
        "OPTIONS,INVITE",
    ):
        yield Call("is_method", (methods,))
    for name in (
        "From",
        "from",
        "f",
        "Via",
        "v",
        "Call-ID",
        "i",
        "CSeq",
        "Contact",
        "m",
        "X-Foo",
        "Content-Length",
        "l",
        "To",
        "t",
        "Max-Forwards",
        "Subject",
    ):
        yield Call("is_present_hf", (name,))
    for pattern in ("^From", "from", "x", "C.*", "call", "^v$"):
        yield Call("is_present_hf_re", (pattern,))
    for pattern in ("OPTIONS", "options", "^Via", "INVITE", "you@kamailio", "tag=[0-9]+", "^$"):
        yield Call("search", (pattern,))
    for name in ("is_request", "is_reply", "is_faked_msg", "has_totag", "is_audio_on_hold", "has_body"):
        yield Call(name)
    yield Call("has_body", ("application/sdp",))


def _of_tables() -> Iterator[Call]:
    filled = (
        Call("sht_reset", ("t",)),
        *(
            Assignment(f"$sht(t=>{name})", value)
            for name, value in (("alice", "ringing"), ("bob", "Busy"), ("bill", 5), ("x.y", ""))
        ),
    )
    shows = ("$sht(t=>alice)", "$sht(t=>bob)", "$sht(t=>bill)", "$sht(t=>x.y)", "$shtcn(t=>**)")

    def call(name: str, *arguments: str | int | Bare, more: tuple[str, ...] = ()) -> Call:
        return Call(name, arguments, filled, (*shows, *more))

    yield call("sht_rm", "t", "bob")
    yield call("sht_rm", "t", "nobody")
    yield call("sht_rm", "no", "bob")
    yield call("sht_rm", "t", "")
    yield call("sht_reset", "t")
    yield call("sht_reset", "no")
    yield call("sht_print")
    yield call("sht_setxs", "t", "bob", "longer than before", 5)
    yield call("sht_setxs", "t", "new$rm", "v$ci", 0, more=("$sht(t=>newOPTIONS)",))
    yield call("sht_setxs", "e", "kNNN", "v", 7, more=("$sht(e=>kNNN)", "$shtex(e=>kNNN)"))
    yield call("sht_setxs", "e", "kNNN", "v", 0, more=("$sht(e=>kNNN)", "$shtex(e=>kNNN)"))
    yield call("sht_setxs", "e", "kNNN", "v", "$var(never)", more=("$sht(e=>kNNN)", "$shtex(e=>kNNN)"))
    yield call("sht_setxs", "no", "k", "v", 1)
    yield call("sht_setxs", "t", "", "v", 1)
    for pattern in ("^b", "B", "bob|alice", "(", "x\\\\.y", "^$$", "."):
        yield call("sht_rm_name_re", f"t=>{pattern}")
        yield call("sht_rm_value_re", f"t=>{pattern}")
        yield call("sht_rm_name", "t", "re", pattern)
        yield call("sht_rm_value", "t", "re", pattern)
    yield call("sht_rm_value_re", "t=>^busy$$")
    yield call("sht_rm_value_re", "t=>5")
    yield call("sht_rm_name_re", "no=>a")
    yield call("sht_rm_value_re", "no=>a")
    for operator in ("eq", "ne", "re", "sw", "xx", "REGEX", ""):
        for operand in ("b", "bob", "Bob", "Busy", "Bu", "5", "", "("):
            yield call("sht_rm_name", "t", operator, operand)
            yield call("sht_rm_value", "t", operator, operand)
            yield call("sht_match_name", "t", operator, operand)
            yield call("sht_match_str_value", "t", operator, operand)
    yield call("sht_has_name", "t", "eq", "bob")
    yield call("sht_has_str_value", "t", "eq", "Busy")
    yield call("sht_match_name", "no", "eq", "bob")
    yield call("sht_rm_name", "no", "re", "bob")
    yield call("sht_lock", "t=>a")
    yield call("sht_unlock", "t=>a")
    iterator = ("$shtitkey(iNNN)", "$shtitval(iNNN)", "$shtcn(one=>**)", "$sht(one=>k)")
    one = (
        Call("sht_reset", ("one",)),
        Assignment("$sht(one=>k)", "value"),
        Call("sht_iterator_start", ("iNNN", "one")),
    )
    end = Call("sht_iterator_end", ("iNNN",))
    following = (*one, Call("sht_iterator_next", ("iNNN",)))
    yield Call("sht_iterator_start", ("iNNN", "one"), (), iterator[:2], (end,))  # there are four iterators
    yield Call("sht_iterator_end", ("iNNN",), (Call("sht_iterator_start", ("iNNN", "one")),), iterator[:2])
    yield Call("sht_iterator_end", ("neverNNN",))
    yield Call("sht_iterator_next", ("neverNNN",))
    yield Call("sht_iterator_start", ("iNNN", "no"), after=(end,))
    for name, *arguments in (
        ("sht_iterator_next", "iNNN"),
        ("sht_iterator_rm", "iNNN"),
        ("sht_iterator_sets", "iNNN", "longer value"),
        ("sht_iterator_seti", "iNNN", 6),
        ("sht_iterator_setex", "iNNN", 7),
    ):
        for before in (one, following, (*following, Call("sht_iterator_next", ("iNNN",)))):
            yield Call(str(name), tuple(arguments), before, iterator, (end,))


def _of_chance() -> Iterator[Call]:
    yield Call("rand_get_prob", (), (Call("rand_reset_prob"),))
    yield Call("rand_set_prob", ("100",))
    yield Call("rand_event", (), (Call("rand_set_prob", ("100",)),))
    yield Call("rand_event", (), (Call("rand_set_prob", ("0",)),))
    yield Call("rand_get_prob", (), (Call("rand_set_prob", ("33",)),))
    yield Call("rand_reset_prob")
    for first in ("", "abc", "abcdefghijklm", "é", "$rm"):
        for second in ("", "def", "$null"):
            for bits in (8, 0, 1, 3, 16, 31, 32, 33, 40, "4"):
                yield Call("core_hash", (first, second, bits))
    yield Call("core_hash", ("abc", "def", "$var(n)"), (Assignment("$var(n)", 5),))
    # Its length, and the version.
    digits = " ".join(f"$(uuid({kind}){{s.len}}) $(uuid({kind}){{s.substr,14,1}})" for kind in "grt")
    yield Call("pv_printf", (OUT, digits), (), (OUT,))
    yield Call("sleep", ("0",))
    yield Call("usleep", (0,))
    unlock = Call("unlock", ("free$rm",))
    yield Call("trylock", ("free$rm",), after=(unlock,))
    yield Call("trylock", ("freeOPTIONS",), (Call("trylock", ("freeOPTIONS",)),), after=(unlock,))
    yield Call("lock", ("freeOPTIONS",), after=(unlock,))
    yield Call("unlock", ("never",))


def all_calls() -> list[Call]:
    """All calls of the table."""
    groups = (_of_json, _of_jansson, _of_pv, _of_xavps, _of_texts, _of_sip, _of_tables, _of_chance)
    return [call for group in groups for call in group()]
