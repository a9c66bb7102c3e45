"""
Where scripts do something else than in Kamailio 5.6.3, and why. Those of variables and functions are in
:mod:`natsroute.kamailio.differences`.

The documentation shows this list, too. ``tests.interop.test_scripts`` compares scripts in both.
"""

from __future__ import annotations

from natsroute.kamailio.differences import Difference

SCRIPT_DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "expanded-twice",
        "nats_publish() and other functions whose arguments are expanded",
        "variables in the value of an argument are expanded, too: with nats_publish(), a payload that has $env in it "
        "shows the environment",
        "only variables in the strings of the script are expanded",
        "a message must not read variables",
    ),
    Difference(
        "event-routes-of-wildcards",
        "event routes for subjects with wildcards",
        "an event route has the name of the configured subject, and such a name cannot have wildcards: their messages "
        "are dropped",
        "the best match for the subject of the message runs",
        "messages must not be lost",
    ),
    Difference(
        "other-blocks",
        "blocks that neither an event route for NATS nor htable:mod-init reaches",
        "are parsed and run",
        "are passed over, and named in the log at the start",
        "they handle SIP",
    ),
    Difference(
        "initialization",
        "event_route[htable:mod-init]",
        "can publish and wait",
        "cannot; if it calls a function that natsroute does not have, it does not run, and a warning says so",
        "there is no connection yet, and it may do much that has nothing to do with NATS",
    ),
    Difference(
        "integers-of-scripts",
        "operators of integers",
        "integers have 32 bits",
        "they have 64 bits",
        "Kamailio has 64 bits since 5.7",
    ),
    Difference(
        "long-strings",
        "+ between strings",
        "a string can be as long as the private memory of the process allows",
        "8 MiB",
        "a loop must not fill the memory",
    ),
    Difference(
        "too-long",
        "while, route()",
        "a loop makes at most max_while_loops turns; loops in loops, and routes that call themselves twice, can run "
        "for hours",
        "the same, and an event whose script keeps the reactor for longer than script_timeout fails",
        "other messages wait meanwhile",
    ),
    Difference(
        "calls-in-expressions",
        "route() in an expression, and route_if_exists()",
        "does not count as a level of recursion, so that a route which calls itself there ends in a segmentation "
        "fault; an exit in it ends the script when the expression has been evaluated and assigned",
        "counts as two levels more; an exit ends the script at once, unless the call alone is assigned",
        "a script must not end the service",
    ),
    Difference(
        "selval-in-operators",
        "selval() as the operand of an operator",
        "has no value",
        "has one",
        "a bug in Kamailio",
    ),
    Difference(
        "default-of-a-switch",
        "switch",
        "cannot be parsed if the first label is default and the others are strings, or if default is the only label",
        "both work",
        "a bug in Kamailio",
    ),
    Difference(
        "empty-blocks",
        "{} without a statement",
        "is a syntax error, unless there is a semicolon in it",
        "is accepted",
        "it harms nobody",
    ),
    Difference(
        "constant-arguments",
        "arguments that are no strings, such as xlog() with a variable",
        "some functions take strings only",
        "any value will do",
        "it harms nobody",
    ),
    Difference(
        "three-arguments",
        "nats_publish() with a reply subject",
        "has two arguments",
        "has two or three",
        "later versions have three",
    ),
    Difference(
        "conditions-of-sip",
        "method, uri, src_ip and other words in conditions",
        "are compared with the SIP message",
        "are an error at the start; $rm, $ru and $si are the same",
        "there is no SIP message",
    ),
)
