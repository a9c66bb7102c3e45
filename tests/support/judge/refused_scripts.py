"""Scripts that are mistakes, and others that look like it: which of them Kamailio and natsroute refuse."""

from __future__ import annotations

#: Where the scripts stand.
CONFIGURATION = """\
#!KAMAILIO
disable_tcp=yes
listen=udp:127.0.0.1:5060
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "cfgutils.so"
loadmodule "htable.so"
loadmodule "nats.so"
modparam("htable", "htable", "a=>size=4;")
modparam("nats", "subject_queue_group", "a:b")
request_route {{ exit; }}
route[A] {{ return; }}
event_route[nats:a] {{
{script}
}}
"""

#: One a line.
SCRIPTS = r"""
$var(x) = 5 + "a";
$var(x) = "a" + 5;
$var(x) = "a" - 5;
$var(x) = -"a";
$var(x) = !"a";
if (!"a") exit;
if ("a") exit;
while ("a") exit;
while ("a" == "a") exit;
return "a";
exit "a";
drop("a");
return(1 + "a");
$var(x) = 5 == "a";
$var(x) = "a" == 5;
$var(x) = 5 =~ "a";
$var(x) = "a" =~ 5;
$var(x) = $var(y) =~ 5;
$var(x) = $var(y) =~ "(";
$var(x) = $var(y) && "a";
$var(x) = "a" || 1;
$var(x) = strlen(5);
$var(x) = strlen("a");
$var(x) = strlen($var(y) - 1);
$var(x) = strempty(1 == 1);
$var(x) = defined 5;
$var(x) = defined "a";
$var(x) = defined $var(y);
$var(x) = defined is_method("A");
$var(x) = is_method("A") + "a";
$var(x) = "a" eq 5;
$var(x) = 5 eq "a";
$var(x) = 5 ieq "a";
$var(x) = "a" ieq "b";
$var(x) = 5 == $null;
$var(x) = "a" == $null;
$var(x) = $var(y) == $null;
$var(x) = $var(y) ieq $null;
$var(x) = "a" < 5;
$var(x) = 5 < "a";
$var(x) = "a" . "b";
$var(x) = "a" "b";
$var(x) = 'a' 'b';
$var(x) += 1;
$var(x) := 1;
$var(x) == 1;
$var(x);
5;
$natsData = 1;
$ru = "sip:a@b";
$rm = "X";
$var(x) = $nosuch(y);
$var(x) = $nosuch;
$(var(x){s.len}) = 1;
$(var(x)) = 1;
$null = 1;
$rc = 1;
$avp(x) = 1;
$vn(x) = 1
nosuch();
is_method();
is_method("A", "B", "C");
is_method("A" + "B");
is_method(is_method("A"));
is_method(route(A));
xlog("$nosuch(x)");
xlog("a", "b");
xlog("L_NOTICE", "b");
route(A);
route("A");
route('A');
route(B);
route("$var(x)");
route($var(x));
route("A" + "");
route(1);
route();
route_if_exists("A");
route_if_exists("B");
route_if_exists("$var(x)");
route_if_exists("$nosuch(x)");
route_if_exists();
route_if_exists("A", "B");
check_route_exists("B");
check_route_exists();
route(A, B);
{ exit; }
if (1) { }
if (1) {} else {}
if (1) ;
if (1) exit; else drop;
if 1 exit;
if $var(x) == 1 exit;
if (1) exit else drop;
if () exit;
else exit;
while (1) break;
while (0) { }
break;
continue;
return
return;
return();
return(-1);
return -1;
return 5 + 5;
return(1)(2);
exit();
drop();
switch (1) { }
switch ($var(x)) { }
switch ($var(x)) { default: exit; }
switch ($var(x)) { case 1: exit; default: drop; }
switch ($var(x)) { default: drop; case 1: exit; }
switch ($var(x)) { default: drop; case "a": exit; }
switch ($var(x)) { case "a": drop; default: exit; }
switch ($var(x)) { case 1: case "a": exit; }
switch ($var(x)) { case "a": case 1: exit; }
switch ($var(x)) { case 1: exit; case 1: drop; }
switch ($var(x)) { case "a": exit; case "a": drop; }
switch ($var(x)) { case $var(y): exit; }
switch ($var(x)) { case 1 + 1: exit; }
switch ($var(x)) { case "a" + "b": exit; }
switch ($var(x)) { case /"(": exit; }
switch ($var(x)) { case /"a": exit; }
switch ($var(x)) { case /a/: exit; }
switch ($var(x)) { case 1: exit; exit; }
switch ($var(x)) { default: exit; default: drop; }
switch ($var(x)) { exit; }
switch $var(x) { case 1: exit; }
switch ("a") { case 1: exit; }
switch (1) { case "a": exit; }
$var(x) = (1 + 2;
$var(x) = 1 + ;
$var(x) = "a;
$var(x) = $var(y;
$var(x) = 12abc;
$var(x) = 0x1F + 010 + 11b;
$var(x) = 08;
$var(x) = yes;
$var(x) = 1 !~ 2;
if ($var(x) !~ "a") exit;
if ($var(x) <> 1) exit;
if (not $var(x)) exit;
if (NOT $var(x)) exit;
IF (1) exit;
if ($var(x) and $var(y) or 1) exit;
$var(x) = $var(y) % 2;
$var(x) = 5 mod 2;
$var(x) = (int)"5";
$var(x) = ( int ) "5";
$var(x) = (str)5;
$var(x) = selval(1, 2, 3);
$var(x) = selval(1, 2);
$var(x) = ($var(y) = 5);
$var(x) = { exit; };
if (($var(x) = 1)) exit;
;
;;
/* c */ exit; # d
exit; // e
method == "A";
if (method == "A") exit;
$var(x) = 1 << 2 >> 1;
$var(x) = ~1 ^ 2 | 3 & 4;
$var(x) = - - 1;
$var(x) = 1 / 0;
$var(x) = $var(y) / 0;
$var(x) = "\x41\102";
$shv(x) = 1;
$sht(a=>b) = 1;
$sht(nosuch=>b) = 1;
if (defined $shtex(nosuch=>b)) exit;
xlog("$(sht(nosuch=>b){s.len})");
sht_reset("nosuch");
sht_rm("nosuch", "b");
sht_lock("nosuch=>b");
sht_match_name("nosuch", "eq", "b");
sht_iterator_start("i", "nosuch");
$dlg_var(x) = 1;
$xavp(a=>b) = 1;
$xavp(a[0]=>b) = 1;
$(avp(x)[*]) = 1;
$time(sec) = 1;
log("a");
log(1, "a");
nats_publish("a", "b");
nats_publish("a");
nats_publish("a", "b", "c");
nats_publish("a", $var(x));
nats_publish("a", "b" + $var(x));
nats_publish(1, 2);
xlog("L_NOTICE", $var(x));
xlog("L_NOTICE", "a" + "b");
xlog("L_NOSUCH", "a");
is_method("$var(x)");
""".strip().splitlines()

#: Scripts that only one of them refuses, and the name of the difference; ``later`` if it is a mistake that Kamailio's
#: parser does not see, but what follows it at the start.
ALLOWED = {
    'while ("a") exit;': "later",
    'return "a";': "later",
    'exit "a";': "later",
    'drop("a");': "later",
    '$var(x) = "a" =~ 5;': "later",
    "$var(x) = $var(y) =~ 5;": "later",
    '$var(x) = $var(y) =~ "(";': "later",
    'xlog("$nosuch(x)");': "later",
    'xlog("a", "b");': "later",
    "route(B);": "later",
    'route("$var(x)");': "later",
    "route(1);": "later",
    'route_if_exists("$nosuch(x)");': "later",
    "switch ($var(x)) { case 1: exit; case 1: drop; }": "later",
    'switch ($var(x)) { case "a": exit; case "a": drop; }': "later",
    'switch ($var(x)) { case /"(": exit; }': "later",
    '$ru = "sip:a@b";': "read-only",
    'if (method == "A") exit;': "conditions-of-sip",
    "if (1) { }": "empty-blocks",
    "if (1) {} else {}": "empty-blocks",
    "while (0) { }": "empty-blocks",
    'nats_publish("a", "b", "c");': "three-arguments",
    'xlog("L_NOTICE", $var(x));': "constant-arguments",
}
