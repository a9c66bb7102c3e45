"""
The variables of the SIP message that event routes see, which is always the same; see
:mod:`natsroute.kamailio.sip.message`.

What a reply or a network connection would have is null here, as it is in Kamailio.
"""

from __future__ import annotations

from natsroute.kamailio.evaluation import Evaluation, Getter
from natsroute.kamailio.reader import Reader
from natsroute.kamailio.sip import message as sip_message
from natsroute.kamailio.sip.message import DOMAIN, HEADER_LINES, METHOD, METHOD_NUMBER, PORT, SOURCE_IP, URI, USER
from natsroute.kamailio.values import CodedText, Value, text_of
from natsroute.kamailio.variables.definitions import (
    Access,
    Compiler,
    Definition,
    Index,
    constant,
    dynamic_name,
    keyed,
)

_UDP_NUMBER = 1
_PORT_TEXT = CodedText(b"%d" % PORT, PORT)
_NO_FLAGS = CodedText(b"00000000", 0)

_URI_PARTS: dict[str, Value] = {
    "u": URI,
    "U": USER,
    "d": DOMAIN,
    "p": _PORT_TEXT,
    "P": CodedText(b"UDP", _UDP_NUMBER),
}

_CONSTANTS: dict[str, Value] = {
    "true": 1,
    # the request line
    "rm": CodedText(METHOD, METHOD_NUMBER),
    "rmid": METHOD_NUMBER,
    "rv": b"SIP/2.0",
    "rz": b"sip",
    "mt": 1,
    "mts": b"rq",
    # the URI of the request, as it is and as it came
    **dict.fromkeys(("ru", "ruri", "ou", "ouri"), URI),
    **dict.fromkeys(("rU", "ruri.user", "oU"), USER),
    **dict.fromkeys(("rd", "ruri.domain", "od"), DOMAIN),
    **dict.fromkeys(("rUl", "oUl"), len(USER)),
    **dict.fromkeys(("rp", "op"), _URI_PARTS["p"]),
    **dict.fromkeys(("rP", "oP"), _URI_PARTS["P"]),
    # From and To
    **dict.fromkeys(("fu", "from", "tu", "to"), URI),
    **dict.fromkeys(("fU", "from.user", "tU", "to.user", "AU"), USER),
    **dict.fromkeys(("fd", "from.domain", "td", "to.domain"), DOMAIN),
    **dict.fromkeys(("fUl", "tUl"), len(USER)),
    "ft": sip_message.FROM_TAG,
    "Au": USER + b"@" + DOMAIN,
    # the other headers
    "ci": sip_message.CALL_ID,
    "cs": b"1",
    "csb": b"1 " + METHOD,
    "cl": 0,
    # the whole message
    "mb": sip_message.MESSAGE,
    "mbu": sip_message.MESSAGE,
    "ml": len(sip_message.MESSAGE),
    "rb": b"",
    "bs": 0,
    # where it seems to come from
    **dict.fromkeys(("si", "src_ip", "siz"), SOURCE_IP),
    "sp": PORT,
    "su": b"sip:%s:%d" % (SOURCE_IP, PORT),
    "sut": b"sip:%s:%d;transport=udp" % (SOURCE_IP, PORT),
    "sas": b"udp:%s:%d" % (SOURCE_IP, PORT),
    **dict.fromkeys(("pr", "proto"), CodedText(b"udp", _UDP_NUMBER)),
    "prid": _UDP_NUMBER,
    "sid": 0,
    # flags
    **dict.fromkeys(("mf", "sf", "bf"), 0),
    **dict.fromkeys(("mF", "sF", "bF"), _NO_FLAGS),
    "fsp": 0,
    "rsi": 0,
    # what the message has not
    **dict.fromkeys(
        (
            "ai", "adu", "ar", "au", "ad", "aU", "aa", "adn", "adc", "adr", "ado", "br", "bR", "conid", "ct", "cT",
            "dd", "di", "dir", "dip", "dic", "dp", "dP", "ds", "du", "duri", "fn", "fs", "fsn", "pd", "pn", "pu", "pU",
            "re", "rr", "rs", "rt", "tn", "tt", "ua", "ruid", "location_ua", "Ras", "Ri", "Rp", "Ru", "Rut", "Rn",
            "RAi", "RAp", "RAu", "RAut", "err.class", "err.level", "err.info", "err.rcode", "err.rreason",
        )
    ),
}  # fmt: skip

_MESSAGE_PARTS: dict[str, Value] = {
    "len": len(sip_message.MESSAGE),
    "buf": sip_message.MESSAGE,
    "fline": sip_message.FIRST_LINE,
    "hdrs": HEADER_LINES,
    "lpart": HEADER_LINES + b"\r\n\r\n",
    "body": b"",
}

_NUMBERS: dict[str, Value] = {"IPv4": 2, "IPv6": 10, "UDP": 1, "TCP": 2, "TLS": 3, "SCTP": 4, "WS": 5, "WSS": 6}


def _fixed(value: Value) -> Getter:
    return lambda evaluation: value


def _header(compiler: Compiler, reader: Reader, index: Index | None) -> Access:
    name = dynamic_name(compiler, reader, lambda text: text)

    def get(evaluation: Evaluation) -> Value:
        wanted = name(evaluation)
        found = sip_message.headers_named(b"" if wanted is None else text_of(wanted))
        try:
            return found[0 if index is None else index.number(evaluation)]
        except IndexError:
            return None

    return Access(get)


def _header_count(compiler: Compiler, reader: Reader, index: Index | None) -> Access:
    name = dynamic_name(compiler, reader, lambda text: text)

    def get(evaluation: Evaluation) -> Value:
        wanted = name(evaluation)
        return len(sip_message.headers_named(b"" if wanted is None else text_of(wanted)))

    return Access(get)


VARIABLES: dict[str, Definition] = {
    **{name: constant(value) for name, value in _CONSTANTS.items()},
    "nh": keyed({name: _fixed(value) for name, value in _URI_PARTS.items()}),
    "msg": keyed({name: _fixed(value) for name, value in _MESSAGE_PARTS.items()}),
    "K": keyed({name: _fixed(value) for name, value in _NUMBERS.items()}),
    "hdr": Definition(_header, has_name=True, has_index=True),
    "hdrc": Definition(_header_count, has_name=True),
}
