"""
Where pseudo-variables and transformations give something else than in Kamailio 5.6.3, and why.

The documentation shows this list. The tests that compare natsroute with the real Kamailio accept a difference only if
it is in here.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Difference:
    """
    One difference.

    :ivar name: by which the tests know it.
    :ivar about: the variables or transformations that it concerns, as they are written.
    :ivar kamailio: what Kamailio 5.6.3 does.
    :ivar natsroute: what natsroute does.
    :ivar reason: why.
    """

    name: str
    about: str
    kamailio: str
    natsroute: str
    reason: str


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "nul-bytes",
        "$natsData, {json.parse}",
        "a string ends at its first NUL byte, also at \\u0000 in JSON",
        "it is whole",
        "payloads may be binary",
    ),
    Difference(
        "64-bit-integers",
        "{s.int}, {s.ftime}, numbers as parameters",
        "integers have 32 bits: {s.int} of 3000000000 fails, a larger number as a parameter wraps around",
        "they have 64 bits",
        "Kamailio has 64 bits since 5.7",
    ),
    Difference(
        "large-values",
        "all transformations, $_s, $timef",
        "values above 64 KiB cannot be transformed, with {re.subst} and $_s none above 8 KiB",
        "values may be as large as a payload, but for base58, 7bit, {s.prefixes} and base64 with errors in it",
        "these limits are sizes of buffers; what stays limited would hold up other messages",
    ),
    Difference(
        "large-lenient-json",
        "{json.parse}",
        "reads comments, single quotes and other things that are no JSON in payloads of any size",
        "reads them in payloads up to 64 KiB",
        "a large payload would hold up other messages",
    ),
    Difference(
        "unset-between-events",
        "$avp, $xavp",
        "what one message sets is still there when the next one comes, since the SIP message is always the same",
        "both are empty when an event begins",
        "leftovers of another message are never wanted",
    ),
    Difference(
        "per-consumer",
        "$var, $vn",
        "they belong to a process, which is a consumer",
        "they belong to a consumer, whichever process or thread runs it",
        "consumers share a process here",
    ),
    Difference(
        "in-one-process",
        "$shv, $sht",
        "all processes share them",
        "all consumers of a natsroute process share them; several natsroute processes do not",
        "there is no memory that processes share",
    ),
    Difference(
        "empty-json-path",
        "{json.parse}",
        "crashes if the path is empty, begins with a dot or has two dots in a row",
        "an empty path is an error at start, empty steps are left out",
        "a typing error must not end the service",
    ),
    Difference(
        "long-json-names",
        "{json.parse}",
        "a step of a path that is longer than 24 bytes overflows a buffer on the stack",
        "names may have any length",
        "a bug in Kamailio",
    ),
    Difference(
        "json-index-alone",
        "{json.parse,[0]}",
        "an index without a name uses what is on the stack",
        "an empty string",
        "a bug in Kamailio",
    ),
    Difference(
        "broken-lines",
        "{s.fmtlines}, {s.fmtlinet}",
        "breaks the line before each of the first bytes, and never again",
        "breaks it after so many bytes, as the manual says",
        "a bug in Kamailio",
    ),
    Difference(
        "base58-end",
        "{s.decode.base58}",
        "adds a NUL byte at the end, and moves those at the beginning there",
        "gives what was encoded",
        "a bug in Kamailio",
    ),
    Difference(
        "short-uri",
        "{uri.saor}, {uri.suri}, {uri.duri}",
        "puts a byte of an earlier value behind the colon",
        "does not",
        "a bug in Kamailio, fixed since",
    ),
    Difference(
        "from-the-right",
        "{s.rbefore}, {s.rafter}",
        "searches behind the end of the value, which may end in a segmentation fault",
        "searches from the right, as the manual says",
        "a bug in Kamailio",
    ),
    Difference(
        "avp-from-the-end",
        "$(avp(name)[-1])",
        "a negative index is null, but for that of the newest value",
        "it counts from the oldest value, which is -1",
        "a bug in Kamailio",
    ),
    Difference(
        "empty-lines-from-the-end",
        "{line.at}",
        "with a negative index, an empty line is taken together with the one before it",
        "it is a line",
        "a bug in Kamailio",
    ),
    Difference(
        "no-value-no-number",
        "{s.int}, {s.corehash} behind {param.value}, {param.valueat} or {uri.param}",
        "for a parameter without =, the one has no value, the other ends in a segmentation fault",
        "both give 0, as for any empty string",
        "there is one kind of empty string",
    ),
    Difference(
        "same-class-twice",
        "{param}, {uri}, {nameaddr}, {tobody} behind one of the same class",
        "the second overwrites what it reads",
        "each has its own value",
        "a bug in Kamailio",
    ),
    Difference(
        "name-address-again",
        "{nameaddr}",
        "an address whose < is not closed has no value the first time, and a part of it when asked again",
        "it has no value",
        "a bug in Kamailio",
    ),
    Difference(
        "behind-the-end",
        "{s.encode.7bit}, {s.decode.7bit}, {s.unescape.user}, {s.unescape.param}, {s.urldecode.param}",
        "at the end of a value that another transformation made, bytes of an earlier value are read",
        "a value ends with a NUL byte",
        "a bug in Kamailio",
    ),
    Difference(
        "alias-without-tilde",
        "{urialias.decode}",
        "what is not host~port~protocol gives 64 KiB of memory",
        "an empty string",
        "a bug in Kamailio",
    ),
    Difference(
        "nothing-to-match",
        "{s.rm,}, {s.replace,,x}",
        "loops for ever or overflows a buffer if the value has the character in it that follows in the expression",
        "the value stays as it is",
        "a bug in Kamailio",
    ),
    Difference(
        "longest-alternative",
        "{re.subst}, $shtcn, $shtcv, functions with regular expressions",
        "of alternatives in a regular expression the one that gives the longest match is taken",
        "the same with natsroute[re2]; without it, or in a pattern with a back-reference, \\< or \\>, the longest one "
        "if all of a group are plain text, else the first that matches",
        "Python's regular expressions work so",
    ),
    Difference(
        "time-to-match",
        "{re.subst}, $shtcn, $shtcv, functions with regular expressions",
        "a regular expression takes time in proportion to the square of a value's length at worst, unless it has "
        "back-references",
        "one match in proportion to its length with natsroute[re2], and a {re.subst} with the flag g to its square at "
        "worst; without it, or in a pattern with a back-reference, \\< or \\>, a pattern such as (a+)+$ can take "
        "hours: take no pattern from a message",
        "Python's regular expressions try one way after the other",
    ),
    Difference(
        "repetitions-of-groups",
        "{re.subst}, =~ and all functions with regular expressions",
        "anything can repeat 32,767 times",
        "with natsroute[re2], a group can repeat 1,000 times, and groups inside of each other together; more of them "
        "are an error at start, or a failure if the regular expression comes from a variable",
        "RE2 has no more, and Python's regular expressions can take hours",
    ),
    Difference(
        "newer-transformations",
        "{json.parsex}, {json.encode}, {val}, {num}",
        "unknown",
        "as in 6.1",
        "later versions have them",
    ),
    Difference(
        "own-variables",
        "$natsSubject, $natsReply, $natsHeader(name), $natsQueueGroup, $defv, $defs",
        "unknown; $defv and $defs are in 6.1",
        "what NATS says of the message",
        "the module for NATS hides it",
    ),
    Difference(
        "connection-id",
        "$conid",
        "a segmentation fault in an event route",
        "null",
        "a bug in Kamailio",
    ),
    Difference(
        "message-number",
        "$mi",
        "counts what a process has handled, pings and such included",
        "counts the events of the connection in which an expression was evaluated",
        "the number means nothing else",
    ),
    Difference(
        "errors-at-start",
        "all expressions",
        "an unknown variable inside of a JSON path is found when a message comes",
        "it is an error at start",
        "an error must be seen early",
    ),
    Difference(
        "read-only",
        "$ru, $rm and all others of the SIP message",
        "some can be assigned to",
        "none can",
        "the message is made up, and never sent",
    ),
    Difference(
        "whole-xavp",
        "$xavp(name) of a list",
        "<<xavp:0x…>>, with an address",
        "<<xavp>>",
        "there is no address",
    ),
    Difference(
        "avp-names",
        "$avp(a.b)",
        "what stands before a dot in a name must be one of a few prefixes",
        "a dot is a character as any other",
        "the prefixes belong to SIP",
    ),
    Difference(
        "expanded-once",
        "all functions, with a variable as an argument that is not in quotes",
        "variables in the value of the variable are expanded, so that whoever sends a message can read all of them",
        "the value is taken as it is",
        "a hole in Kamailio's security",
    ),
    Difference(
        "targets-without-quotes",
        "functions that assign to a variable",
        "the variable must be in quotes; without them, its value is taken for the name of a variable",
        "quotes make no difference",
        "what a script means is clear",
    ),
    Difference(
        "variables-as-arguments",
        "functions that take constants only, such as xlog() and sht_rm()",
        "a variable without quotes is an error at start",
        "it is taken as in quotes",
        "later versions accept more of them",
    ),
    Difference(
        "newer-functions",
        "nats_publish() with three arguments, jansson_pv_get(), sht_is_null(), subst_v(), str_any_in(), str_all_in()",
        "unknown",
        "as in 6.1",
        "later versions have them",
    ),
    Difference(
        "result-of-setxi",
        "sht_setxi()",
        "the result is 0, which ends the script",
        "it is 1",
        "a bug in Kamailio",
    ),
    Difference(
        "result-of-log",
        "$rc behind log()",
        "the result of the function before it, since log() is part of the core",
        "1",
        "nobody looks at it",
    ),
    Difference(
        "time-of-longer-values",
        "sht_setxs()",
        "a value that is longer than the one before, or replaces an integer, never expires",
        "it expires after its time",
        "a bug in Kamailio",
    ),
    Difference(
        "order-of-entries",
        "sht_iterator_next(), sht_print()",
        "entries come in the order of their hashes",
        "in the order in which they were added",
        "the order means nothing",
    ),
    Difference(
        "iterators",
        "sht_iterator_start()",
        "a process has four iterators, which stay until they end; an entry is locked as long as an iterator is at it",
        "each event has iterators of its own, any number of them, which see the entries that are there when they begin",
        "a script that forgets to end one must not stop others",
    ),
    Difference(
        "locks",
        "lock(), sht_lock()",
        "different names can share a lock; a script that locks a name twice, or forgets to unlock, waits for ever; "
        "sht_lock() gives -11 if there is no such table",
        "each name has its own lock, which an event can have several times and releases at its end; the result is -1",
        "these are dangers only",
    ),
    Difference(
        "malformed-mask",
        "is_in_subnet()",
        "a mask that does not begin with a number, as in 10.0.0.0/x, matches all addresses",
        "a malformed mask matches none",
        "a bug in Kamailio",
    ),
    Difference(
        "negative-copies",
        "avp_copy() with the flag s",
        "a number below 0 becomes one near 18446744073709551616",
        "it keeps its sign",
        "a bug in Kamailio",
    ),
    Difference(
        "ignoring-case",
        "fnmatch() with the flag i",
        "the flag is ignored in the packages of Debian",
        "the case is ignored, as the manual says",
        "a bug in Kamailio",
    ),
    Difference(
        "jansson-limits",
        "jansson_get() and the others of this module",
        "documents may be 2048 levels deep; jansson_xdecode() keeps null",
        "256 levels; null is left out of an XAVP",
        "nobody needs more",
    ),
    Difference(
        "long-lines",
        "xlog() and its kin",
        "a line that is longer than 4096 bytes is not written",
        "it is shortened to 2000 characters, with line ends and control characters escaped",
        "the log must not be under the control of senders",
    ),
    Difference(
        "publish-failures",
        "nats_publish()",
        "a failure is in the log with the payload; an empty reply subject loses the message",
        "a failure is in the log with subject and event route, without the payload; an empty reply subject is none",
        "payloads may be private",
    ),
)
