"""
Functions of Kamailio that natsroute does not have, why, and what a script can do instead.

Which they are comes from public configurations: the event routes for nsq, kazoo, evapi, mqtt and nats, and the routes
that rtimer runs, with all routes that these call.
"""

from __future__ import annotations

import attrs

_IN_PYTHON = "Write a function in Python, with @script_function"


@attrs.frozen
class Absent:
    """
    A group of functions.

    :ivar names: their names; ``sql_*`` is all that begin with ``sql_``.
    :ivar uses: in how many of 81 event routes of public configurations one of them is used.
    :ivar reason: why they are not there.
    :ivar instead: what to do.
    """

    names: tuple[str, ...]
    uses: int
    reason: str
    instead: str


ABSENT: tuple[Absent, ...] = (
    Absent(("sql_*", "db_*"), 22, "natsroute has no databases of its own", f"{_IN_PYTHON}; adbapi of Twisted helps"),
    Absent(
        ("kazoo_*", "nsq_*", "evapi_*", "mqtt_*", "rabbitmq_*", "kafka_*", "redis_*"),
        19,
        "they belong to other message systems",
        "Use nats_publish(), or pua_json_publish() for presence",
    ),
    Absent(
        ("pres_*", "pua_*", "reginfo_*", "handle_*"),
        12,
        "the state of presence is in Kamailio",
        "Use pua_json_publish()",
    ),
    Absent(
        (
            "uac_*",
            "t_*",
            "sl_*",
            "send_*",
            "ds_*",
            "reg_*",
            "registered",
            "unregister",
            "save",
            "lookup",
            "dlg_*",
            "rtpengine_*",
            "rtpproxy_*",
            "cnxcc_*",
            "forward",
            "relay",
            "append_*",
            "insert_*",
            "remove_*",
            "replace*",
            "subst",
            "subst_uri",
            "subst_user",
            "subst_hf",
            "subst_body",
            "set_body",
            "set_reply_body",
            "record_route",
            "loose_route",
            "setflag",
            "resetflag",
            "isflagset",
            "is_myself",
            "is_myhost",
            "cfg_*",
        ),
        11,
        "they need SIP transactions, or change the SIP message, which is a constant in event routes",
        "Publish a message to Kamailio, and let it do that; see docs/kamailio/transactions.md",
    ),
    Absent(("mq_*",), 7, "queues hand work to timers, which natsroute does not run", "Use nats_publish()"),
    Absent(("http_*",), 3, "natsroute has no HTTP client of its own", f"{_IN_PYTHON}; treq helps"),
    Absent(("exec_*",), 3, "a script does not start programs", f"{_IN_PYTHON}; getProcessOutput() of Twisted helps"),
    Absent(("jsonrpc_*",), 2, "there are no RPC commands of Kamailio", _IN_PYTHON),
    Absent(
        ("avp_*",), 2, "assignments and operators do the same", "Assign to $avp(name), and compare it with ==, < and =~"
    ),
    Absent(("async_*",), 0, "events do not wait for each other", "Use sleep() or usleep(), which hold up nobody else"),
    Absent(("xavu_*", "xavi_*", "pv_xavu_print", "pv_xavi_print"), 0, "there is no $xavu and no $xavi", "Use $xavp"),
    Absent(("pv_evalx",), 0, "it evaluates what was received, so that senders can read all variables", _IN_PYTHON),
    Absent(("pcre_*",), 0, "regular expressions are those of POSIX", "Use =~, or {re.subst}"),
    Absent(
        ("dns_*", "srv_query", "naptr_query", "detailed_ip_type", "detailed_ipv4_type", "detailed_ipv6_type"),
        0,
        "a script does not ask the DNS, and the kinds of networks change",
        f"{_IN_PYTHON}; twisted.names and the module ipaddress of Python help",
    ),
    Absent(("abort", "pkg_*", "shm_*"), 0, "they are for Kamailio's memory", "Leave it out"),
)


def remedy_for(name: str) -> str | None:
    """What to do about a call of a function that is among them; None if it is not."""
    for group in ABSENT:
        for pattern in group.names:
            if name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern:
                return f"{group.instead} ({group.reason})"
    return None
