"""
The functions of ``KSR`` itself: those that log, and those that ask what the SIP message is like.

The message is always the same; see :mod:`natsroute.kamailio.sip.message`.
"""

from __future__ import annotations

from collections.abc import Callable

from natsroute.kamailio.expressions import NULL_TEXT
from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.kamailio.kemi.ksr.definitions import KemiFunction, Result, function, table
from natsroute.kamailio.script.functions.xlog import L_CRIT, L_DBG, L_ERR, L_INFO, L_NOTICE, L_WARN, write_line
from natsroute.kamailio.sip import message as sip_message

_LEVELS = {
    b"dbg": L_DBG,
    b"info": L_INFO,
    b"notice": L_NOTICE,
    b"warn": L_WARN,
    b"err": L_ERR,
    b"crit": L_CRIT,
}

#: The letters that ``is_method_in()`` has for methods.
_LETTERS = {
    "INVITE": b"I", "ACK": b"A", "BYE": b"B", "CANCEL": b"C", "REGISTER": b"R", "MESSAGE": b"M", "OPTIONS": b"O",
    "SUBSCRIBE": b"S", "PUBLISH": b"P", "NOTIFY": b"N", "UPDATE": b"U", "REFER": b"E", "INFO": b"F", "PRACK": b"K",
    "KDMQ": b"D", "GET": b"G", "POST": b"T", "PUT": b"V", "DELETE": b"L",
}  # fmt: skip
_PROTOCOLS = ("UDP", "TCP", "TLS", "SCTP", "WS", "WSS", "WSX")
_MAX_FLAG = 31


def _log(level: int) -> Callable[[ScriptContext, bytes], Result]:
    def log(context: ScriptContext, text: bytes) -> Result:
        write_line(context.evaluation, level, text)
        return 0

    return log


def _log_at(context: ScriptContext, level: bytes, text: bytes) -> Result:
    """Log at a level by its name; anything that is none is an error, as in Kamailio."""
    write_line(context.evaluation, _LEVELS.get(level.lower(), L_ERR), text)
    return 0


def _is(answer: bool) -> Callable[[ScriptContext], Result]:
    return lambda context: answer


def _is_method(context: ScriptContext, name: bytes) -> Result:
    return name.upper() == sip_message.METHOD


def _is_method_in(context: ScriptContext, letters: bytes) -> Result:
    return _LETTERS[sip_message.METHOD.decode()] in letters


def _is_proto(context: ScriptContext, letters: bytes) -> Result:
    return b"U" in letters.upper()


def _is_port(context: ScriptContext, port: int) -> Result:
    return port == sip_message.PORT


def _setflag(context: ScriptContext, number: int) -> Result:
    if not 0 <= number <= _MAX_FLAG:
        return False
    context.flags |= 1 << number
    return True


def _resetflag(context: ScriptContext, number: int) -> Result:
    if not 0 <= number <= _MAX_FLAG:
        return False
    context.flags &= ~(1 << number)
    return True


def _isflagset(context: ScriptContext, number: int) -> Result:
    return 0 <= number <= _MAX_FLAG and bool(context.flags >> number & 1)


def _header(default: bytes | None) -> Callable[[ScriptContext, bytes], Result]:
    def get(context: ScriptContext, name: bytes) -> Result:
        found = sip_message.headers_named(name)
        return found[0] if found else default

    return get


def _header_at(default: bytes | None) -> Callable[[ScriptContext, bytes, int], Result]:
    def get(context: ScriptContext, name: bytes, index: int) -> Result:
        found = sip_message.headers_named(name)
        return found[index] if -len(found) <= index < len(found) else default

    return get


def _is_present(context: ScriptContext, name: bytes) -> Result:
    return 1 if sip_message.headers_named(name) else -1


_METHODS: list[KemiFunction] = [
    function(f"is_{name}", "", _is(name.encode() == sip_message.METHOD)) for name in _LETTERS
]

FUNCTIONS = table(
    *(function(level.decode(), "s", _log(number), has_result=False) for level, number in _LEVELS.items()),
    function("log", "ss", _log_at, has_result=False),
    *_METHODS,
    *(function(f"is_{name}", "", _is(name == "UDP")) for name in _PROTOCOLS),
    function("is_IPv4", "", _is(False)),  # nor IPv6: the message came from nowhere
    function("is_IPv6", "", _is(False)),
    function("is_method", "s", _is_method),
    function("is_method_in", "s", _is_method_in),
    function("is_proto", "s", _is_proto),
    function("is_src_port", "i", _is_port),
    function("is_dst_port", "i", lambda context, port: False),  # it went nowhere
    function("is_TCPX", "", _is(False)),
    function("setflag", "i", _setflag),
    function("resetflag", "i", _resetflag),
    function("isflagset", "i", _isflagset),
    function("isdsturiset", "", _is(False)),
    function("set_drop", "", lambda context: 0, has_result=False),
    function("hdr.get", "s", _header(None)),
    function("hdr.gete", "s", _header(b"")),
    function("hdr.getw", "s", _header(NULL_TEXT)),
    function("hdr.get_idx", "si", _header_at(None)),
    function("hdr.gete_idx", "si", _header_at(b"")),
    function("hdr.getw_idx", "si", _header_at(NULL_TEXT)),
    function("hdr.is_present", "s", _is_present),
)
