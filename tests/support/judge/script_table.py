"""
Scripts that Kamailio and natsroute both run: each operator with each type, and each statement.
"""

from __future__ import annotations

from tests.support.judge.scripts import Script, published, shown


def _lines(text: str) -> list[str]:
    """The lines of a text, without those that are empty or begin with ``##``."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("##")]


#: Variables of each type.
_SET = '$var(n) = 5; $var(m) = -3; $vn(s) = "5"; $vn(t) = "abc"; $vn(e) = "";'

EXPRESSIONS = _lines(
    r"""
    ## constants
    7 * 3 - 4 / 2 mod 5
    "5" + 5
    (int)"12abc" + 1
    "a" + 1 + 2
    1 << 3 + 1
    5 - 3 - 1
    2 + 3 == 5
    1 | 6 & 3 ^ 1
    !0 + 1
    -2 * 3
    ~1 + 2
    not 1 or 1
    1 == 1 == 1
    7 < 3 == 0
    16 >> 2 << 1
    1 || 0 && 0
    5 && 3
    0x1F + 010 + 101b
    yes + on
    "\x41\102\q\n"
    '\n$var(n)'
    "a" "b"
    "5" == 5
    "a" == "a"
    "a" =~ "A"
    1 / 0
    5 mod 0
    -7 / 2
    -7 mod 3
    7 mod -3
    "" == 0
    1 ieq 1
    "a" eq "a"
    "a" ne "b"
    5 - -5
    (str)5 + 5
    ## + and its types
    $var(n) + $vn(s)
    $vn(s) + $var(n)
    $vn(q) + 5
    "" + $vn(q)
    $var(n) + $vn(q)
    $var(n) + 1 + $vn(s) + 2
    $vn(t) + $var(n) + 1
    $vn(s) + $vn(s) == 55
    1 + ($vn(s) + 5)
    ($vn(s) + 5) == 55
    "10" == $vn(s) + 5
    -($vn(s) + 5)
    $var(n) + ($vn(s) + 5) + $vn(s)
    $vn(t) + ($vn(s) + 5)
    (int)("5" + $vn(s))
    $vn(s) + 5 > 50
    $null + 5
    5 + $null
    "a" + $rc
    "x" + is_method("OPTIONS")
    is_method("OPTIONS") + $vn(s)
    $rc + 1
    ## arithmetic
    $var(n) * $vn(s)
    -$vn(s)
    ~$var(n)
    $vn(t) - 1
    $var(n) << 2
    $var(m) mod 2
    $var(m) / 2
    -$var(n) / 2
    $var(n) & 4 | 2 ^ 1
    $var(m) >> 1
    $vn(q) - 1
    !$vn(s)
    !$vn(t)
    -$var(m)
    ## equality
    $var(n) == $vn(s)
    $var(n) == "05"
    $vn(s) == "05"
    $vn(s) == 5
    $vn(q) == 0
    $vn(q) == "a"
    $vn(q) != 0
    $vn(t) != 0
    $vn(q) == $vn(e)
    $vn(e) == $vn(q)
    $var(n) eq $vn(s)
    $var(n) ne $vn(t)
    $vn(s) ieq 5
    $vn(t) ine 0
    5 == $vn(q)
    0 == $vn(q)
    $vn(q) == $vn(q)
    $vn(q) != $vn(q)
    $var(n) eq 5
    $vn(t) eq "ABC"
    1 + 1 == $vn(q)
    $vn(t) + 1 == "abc1"
    $var(z) + 1 == "1"
    $rm == "OPTIONS"
    $rm == 128
    ## an empty string
    $var(z) == ""
    $vn(e) == ""
    $vn(q) == ""
    "" == $vn(q)
    $vn(t) == ""
    $var(z) != ""
    $vn(t) != ""
    "" eq $var(z)
    ## null
    $vn(q) == $null
    $vn(e) == $null
    $vn(q) != $null
    $var(q) == $null
    $var(n) == $null
    $null == $vn(q)
    defined $vn(q)
    defined $vn(e)
    !defined $vn(q)
    $null
    (int)$null
    (str)$null
    ## comparison and regular expressions
    $var(n) < 10
    $vn(s) <= 5
    $vn(t) >= 0
    $vn(q) < 1
    $var(m) > $vn(q)
    $vn(t) =~ "^A.C$"
    $vn(t) =~ $vn(t)
    $var(n) =~ "5"
    $vn(q) =~ "^$"
    $vn(t) =~ "^b"
    $vn(t) =~ $vn(e)
    $natsData =~ "^[0-9]+;"
    ## logic
    $var(n) && $vn(s)
    $var(n) && $vn(t)
    $var(n) && 1
    1 && $vn(s)
    $var(n) || 0
    $var(n) && 2
    $var(n) || 1
    0 || $vn(s)
    $var(n) && 1 && $vn(s)
    5 && 3 && $var(n)
    $var(n) && 2 && 3
    $vn(t) or $vn(e)
    $var(n) and $vn(s) and $var(z)
    $var(z) || $vn(t) || $vn(s)
    ## what Kamailio simplifies
    0 / $var(z)
    0 mod $var(z)
    $var(n) / $var(z)
    $var(n) * 0
    $var(n) & 0
    $var(n) | 0
    $var(n) - 0
    $var(n) + 0
    0 + $vn(s)
    $vn(s) * 1
    $vn(t) / 1
    $vn(s) - 0
    0 - $vn(s)
    $vn(s) + ""
    ## casts and lengths
    (int)$vn(s) + 1
    (str)$var(n) + 1
    (int)$vn(q)
    (str)$vn(q)
    (int)(str)$var(n)
    (int)"0x10"
    (int)" 5"
    (int)"+5"
    (int)"-"
    (int)"5 "
    (int)"-0x5"
    (int)"0X1f"
    (int)"0x"
    strlen($vn(t))
    strlen($var(n))
    strlen($vn(q))
    strempty($vn(e))
    strempty($var(z))
    strlen($vn(t) + 1)
    strlen("é")
    ## the rest
    selval($var(n) > 1, $vn(t), 2)
    selval($var(z), $vn(t), 2)
    selval($var(n), $vn(q), 2)
    is_method("OPTIONS")
    is_method("INVITE")
    is_method("INVITE") + 0
    is_method("INVITE") * 1
    1 && is_method("INVITE")
    is_method("INVITE") + 1
    !is_method("INVITE")
    ($var(x) = 7) + $var(x)
    $rc
    $(var(n){s.len})
    $var(data)
    $(vn(t){s.int})
    $(vn(s){s.int}) + 1
    $(vn(s){s.int}) == "5"
    $rm
    $rm + 1
    """
)

#: What a route does, of which ``$rc`` is compared.
RESULTS = _lines(
    r"""
    return;
    return();
    return(5);
    return -2;
    return $var(x) + 1;
    return 1 / $var(z);
    return 0;
    exit;
    exit(5);
    drop;
    drop(5);
    break;
    exit(-1);
    is_method("INVITE");
    is_method("OPTIONS");
    $var(a) = 0;
    $var(a) = "";
    $vn(a) = 1 / $var(z);
    if (1) is_method("INVITE");
    if (0) is_method("INVITE");
    while (0) is_method("INVITE");
    switch (1) { case 1: is_method("INVITE"); }
    switch (1) { case 1: break; }
    switch ($var(z)) { case 2: is_method("INVITE"); }
    switch (1 / $var(z)) { case 2: is_method("INVITE"); }
    switch (1 / $var(z)) { case 2: is_method("OPTIONS"); default: is_method("INVITE"); }
    switch (1) { case 1: }
    switch (1) { case 2: exit; }
    switch ($var(z)) { case 0: }
    switch ($var(z)) { }
    switch (5) { }
    if (1) { break; } is_method("INVITE");
    while (1) { break; }
    while (1) { return 4; }
    while ($var(x) < 3) { $var(x) = $var(x) + 1; is_method("INVITE"); }
    while (1) { $var(x) = 1; }
    while (-1) { return 3; }
    route(@B);
    if (1) { if (1) { return -7; } is_method("OPTIONS"); }
    if ($var(z) == 1) exit; else if ($var(z) == 0) is_method("INVITE"); else exit;
    $var(a) = is_method("INVITE");
    route(@B); $var(a) = 1;
    return(route(@B));
    return $rc;
    is_method("INVITE"); return $rc;
    $vn(a) = $vn(q);
    $var(a) = $(var(t){s.int});
    ;
    drop();
    return is_method("INVITE");
    return !is_method("INVITE");
    return $vn(q) + 5;
    return $var(q) + "7";
    """
)

CONDITIONS = _lines(
    r"""
    1
    0
    -1
    $vn(q)
    $var(data)
    is_method("OPTIONS")
    is_method("INVITE")
    1 / $var(z)
    1 / 0
    $null
    $var(q)
    $natsData
    $vn(q) == $null
    !$vn(q)
    defined $var(q)
    ($var(x) = -1)
    ($var(x) = 0)
    { is_method("INVITE"); is_method("OPTIONS"); }
    route(@M)
    !route(@M)
    route(@M) == 1
    route(@M) < 0
    route(@M) || is_method("OPTIONS")
    is_method("INVITE") && route(@M)
    $rc
    route(@M) + 5
    -route(@M)
    $var(m) + 1
    $vn(q) + "-1"
    """
)

_TEXT_CONDITIONS = ['"1"', '"a"', '""', '"0x1"', '"-1"']

_INTEGERS = _lines(
    r"""
    1
    2
    -3
    4
    5
    "2"
    $var(x)
    $vn(q)
    "x"
    1 + 1
    is_method("OPTIONS")
    1 / $var(z)
    $var(data)
    $var(data) + 1
    """
)
_TEXTS = _lines(
    r"""
    1
    "abc"
    "ABC"
    4
    5
    "2"
    $var(x)
    $vn(q)
    "x"
    1 + 1
    is_method("OPTIONS")
    1 / $var(z)
    $var(data)
    "ab" + "c"
    """
)
_MATCHED = ['"abc"', '"ABC"', '"axc"', '"abbc"', '"xB"', '"xb"', "$vn(q)", "5", "$var(data)"]


def _case(label: str, text: str, *, ends: bool = True) -> str:
    return f"case {label}: {published(text)} {'break;' if ends else ''}"


def _integer_switch(subject: str) -> str:
    cases = [
        _case("1", "1"),
        _case("2", "2", ends=False),
        _case("-3", "-3"),
        f"default: {published('d')}",
        _case("4", "4"),
    ]
    return f"$var(x) = 2; switch ({subject}) {{ {' '.join(cases)} }} {published('end')}"


def _text_switch(subject: str) -> str:
    cases = [_case('"1"', "1"), _case('"abc"', "2", ends=False), _case('""', "e"), f"default: {published('d')}"]
    return f"$var(x) = 2; switch ({subject}) {{ {' '.join([*cases, _case(chr(34) + '4' + chr(34), '4')])} }}"


def _regex_switch(subject: str) -> str:
    cases = [_case('"abc"', "1"), _case('/"^a.c"', "2"), _case('/"B"', "3"), f"default: {published('d')} break;"]
    return f"switch ({subject}) {{ {' '.join(cases)} }} {published('end')}"


def _jump_table(subject: int) -> str:
    cases = [_case(str(label), str(label), ends=label != 3) for label in (1, 2, 3, 5, 6, 100)]
    return f"switch ({subject}) {{ {' '.join(cases)} default: {published('d')} }}"


_P = published

STATEMENTS = [
    Script(f'$avp(a) = 1; $avp(a) = 2; $avp(a) = "x"; {_P("$avp(a) $(avp(a)[1]) $(avp(a)[*]) $cnt($avp(a))")} '
           f'$avp(a) = $null; {_P("$(avp(a)[*])")} $(avp(a)[*]) = $null; {_P("$avp(a)")} '
           f'$(avp(a)[*]) = "y"; {_P("$avp(a)")}'),
    Script(f'$xavp(a=>b) = 1; $xavp(a[0]=>c) = "x"; $xavp(a=>b) = 2; '
           f'{_P("$xavp(a=>b) $xavp(a[1]=>b) $xavp(a[1]=>c) $xavp(a=>c)")} $xavp(a) = $null;'),
    Script(f'$sht(t=>k) = 5; $sht(t=>k) = $sht(t=>k) + 1; {_P("$sht(t=>k)")} $sht(t=>k) = $null; {_P("$sht(t=>k)")}'),
    Script(f'$shv(a) = 5; {_P("$shv(a)")} $shv(a) = "x" + $shv(a); {_P("$shv(a)")}'),
    Script(f'$var(a) = 5; $var(a) = $null; {_P("$var(a)")}'),
    Script(f'$(var(a)) = 5; {_P("$var(a) $(var(a))")}'),
    Script(f'$var(a) = "a\\tb"; $vn(b) = \'a\\tb\'; {_P("$var(a) $vn(b)")}'),
    Script(f'$var(a) = "x"; /* c1 /* c2 */ */ # c3 \n // c4\n {_P("$var(a)")}'),
    Script(f'$var(a) = is_method("INVITE"); {_P("$var(a) $rc")} $var(a) = is_method("OPTIONS"); {_P("$var(a) $rc")} '
           f'$var(a) = route(@R); {_P("$var(a) $rc")}', {"R": "return(-9);"}),
    Script(f'is_method("INVITE"); $var(a) = 1; {_P("$rc")} if (($var(b) = 1)) {{ {_P("$rc")} }}'),
    Script(f'is_method("OPTIONS"); if (route(@R)) {{ {_P("$rc")} }} {_P("$rc")}', {"R": _P("in $rc") + "return(6);"}),
    Script(f'is_method("INVITE"); route(@R); {_P("$rc")}', {"R": _P("in $rc") + "return(-6);"}),
    Script(f'is_method("INVITE"); {_P("$rc")} {_P("$retcode")} {_P("$?")}'),
    Script(f'$var(a) = route(@R); {_P("not reached")}', {"R": "exit(3);"}),
    Script(f'{_P("a")} if (route(@R)) {_P("b")} {_P("c")}', {"R": "exit;"}),
    Script(f'route(@R); {_P("$var(n)")}', {"R": "$var(n) = $var(n) + 1; route(@R);"}),
    Script(f'route(@R); {_P("$var(n)")}', {"R": "$var(n) = $var(n) + 1; if ($var(n) > 0) { route(@R); }"}),
    Script(f'route(@R); {_P("$var(n) $rc")}',
           {"R": "$var(n) = $var(n) + 1; if ($var(n) < 50) route(@R); return($var(n));"}),
    Script(f'route(@R); {_P("$var(n) $rc")}',
           {"R": "$var(n) = $var(n) + 1; switch ($var(x)) { case 0: while (1) { route(@R); break; } }"}),
    Script(f'$var(x) = "@R"; route($var(x)); {_P("$rc")}', {"R": _P("in") + "return(4);"}),
    Script(f'is_method("INVITE"); $var(x) = "nosuch"; route($var(x)); {_P("$rc")}'),
    Script(f'route_if_exists("@R"); {_P("$rc")} $var(x) = route_if_exists("@R"); {_P("$var(x) $rc")}',
           {"R": _P("in") + "return(-4);"}),
    Script(f'is_method("OPTIONS"); route_if_exists("@NONE"); {_P("$rc")} $var(x) = route_if_exists("@NONE"); '
           f'{_P("$var(x) $rc")}'),
    Script(f'$var(x) = "R"; if (route_if_exists("@$var(x)")) {_P("yes $rc")} $var(x) = "NONE"; '
           f'if (!route_if_exists("@$var(x)")) {_P("no $rc")}', {"R": _P("in")}),
    Script(f'$var(x) = "@R"; route_if_exists("$var(x)"); {_P("$rc")}', {"R": "is_method(\"INVITE\");"}),
    Script(f'{_P("a")} route_if_exists("@R"); {_P("not reached")}', {"R": "return 0;"}),
    Script(f'{_P("a")} route_if_exists("@R"); {_P("not reached")}', {"R": "exit;"}),
    Script(f'{_P("a")} if (route_if_exists("@R")) {_P("b")} {_P("c")}', {"R": "drop;"}),
    Script(f'check_route_exists("@R"); {_P("$rc")} if (check_route_exists("@NONE")) {_P("yes")} {_P("$rc")}',
           {"R": _P("not run")}),
    Script(f'$var(x) = "R"; $var(y) = check_route_exists("@$var(x)"); {_P("$var(y) $rc")}', {"R": "return;"}),
    Script(f'$var(x) = "@|$var(y)"; $var(y) = 3; {_P("$var(x)")} nats_publish("answer", "@|" + $var(y));'),
    Script('nats_publish("answer", "@|" + $vn(q) + "|" + $var(q)); nats_publish("answer", "@|$vn(q)|$$");'),
    Script('nats_publish("answer", "@|" + (1 + 2) + "x");'),
    Script(f'$var(x) = 2147483647; {_P("$var(x)")}'),
    Script(f'xlog("L_NOTICE", "@|log $var(x)\\n"); {_P("$rc")} xlog("L_ERR", "@|$vn(q) $$\\n"); xwarn("@|warn\\n");'),
    Script(f"if (1) ; else {_P('a')} if (0) ; else {_P('b')}"),
    Script(f"if $var(z) == 0 {_P('a')}"),
    Script(f"if (1) if (0) {_P('a')} else {_P('b')}"),
    Script(f'$var(a) = {{ is_method("OPTIONS"); is_method("INVITE"); }}; {_P("$var(a) $rc")}'),
    Script(f'$var(a) = ($var(b) = 5); {_P("$var(a) $var(b)")}'),
    Script(f"exit; {_P('a')}"), Script(f"drop; {_P('a')}"), Script(f"break; {_P('a')}"), Script(f"return; {_P('a')}"),
    Script(f"$var(n) = $var(n) + 1; route(@R); {_P('$var(n)')}", {"R": "$var(n) = $var(n) + 1; route(@R);"}),
    Script(f"while ($var(i) < 3) {{ {_P('$var(i)')} $var(i) = $var(i) + 1; }}"),
    Script(f"while (1) {{ $var(i) = $var(i) + 1; }} {_P('$var(i)')}"),
    Script(f"while (1) {{ while (1) {{ {_P('1')} break; {_P('2')} }} {_P('3')} break; }} {_P('4')}"),
    Script("while ($var(i) < 3) { $var(i) = $var(i) + 1; $var(j) = 0; while ($var(j) < 2) { $var(j) = $var(j) + 1; "
           f"if ($var(j) == 2) break; {_P('$var(i) $var(j)')} }} }}"),
    Script(f"switch ($var(x)) {{ case 1: case 2: case 0: {_P('0')} case 5: }}"),
    Script(f"switch ($var(x)) {{ }} {_P('0')}"),
    Script(f"switch ($var(x)) {{ default: {_P('d')} break; case 1: {_P('1')} }}"),
    Script(f"switch ($var(x)) {{ case 1 + 1: {_P('2')} break; case 0: {_P('0')} }}"),
    Script(f"switch ($var(x)) {{ case 0: while (1) {{ break; }} {_P('0')} break; default: {_P('d')} }}"),
    Script("switch (1) { case 1: switch (2) { case 2: " + _P("in") + " break; } " + _P("out") + " }"),
]  # fmt: skip


def _branches(condition: str) -> str:
    return f"if ({condition}) {{ {_P('true')} }} else {{ {_P('false')} }} {_P('$rc $var(x)')}"


def table() -> list[Script]:
    """All scripts."""
    routes = {"M": "return(-2);"}
    found = [Script(f"{_SET} {shown(expression)}", payload="abc") for expression in EXPRESSIONS]
    found += [Script(f"route(@A); {_P('$rc')}", {"A": body, "B": "return(-3);"}) for body in RESULTS]
    found += [Script(_branches(one), routes, "text") for one in (*CONDITIONS, *_TEXT_CONDITIONS)]
    found += [Script(f"while ({one}) {{ {_P('true')} break; }} {_P('$rc $var(x)')}", routes) for one in CONDITIONS]
    found += [Script(_integer_switch(subject), payload="4") for subject in _INTEGERS]
    found += [Script(_text_switch(subject), payload="abc") for subject in _TEXTS]
    found += [Script(_regex_switch(subject), payload="aXcd") for subject in _MATCHED]
    found += [Script(_jump_table(number)) for number in range(9)]
    return found + STATEMENTS
