"""``{uri.…}``, ``{nameaddr.…}``, ``{tobody.…}`` and ``{urialias.…}``: what SIP writes about who and where."""

from __future__ import annotations

from collections.abc import Callable

from natsroute.errors import EvaluationError
from natsroute.kamailio.remembering import remember_short
from natsroute.kamailio.sip.parts import NameAddr, ToBody, parse_name_addr, parse_params, parse_to_body
from natsroute.kamailio.sip.uri import PROTOCOLS, SipUri, parse_uri
from natsroute.kamailio.transformations.definitions import Builder, Transformation, as_filled_text, text
from natsroute.kamailio.values import NumberText, Value

_DEFAULT_PORT, _DEFAULT_TLS_PORT = 5060, 5061
_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
_UDP = PROTOCOLS[b"udp"]


@remember_short
def _uri(value: bytes) -> SipUri:
    return parse_uri(value[:-1] if len(value) > 4 and value.endswith(b";") else value)


@remember_short
def _to_body(value: bytes) -> tuple[ToBody, SipUri]:
    body = parse_to_body(value)
    return body, parse_uri(body.uri)


def _part_of_uri(get: Callable[[SipUri], Value]) -> Transformation:
    return Transformation(lambda value: get(_uri(value)), takes=as_filled_text)


def _known_param(name: bytes) -> Transformation:
    return _part_of_uri(lambda uri: uri.known.get(name, b""))


def _port(uri: SipUri) -> Value:
    return uri.port_number if uri.port == b"%d" % uri.port_number else NumberText(uri.port_number, uri.port)


def uri_param(value: bytes, name: bytes) -> Value:
    """The value of a parameter of a URI, or an empty string."""
    params = _uri(value).params
    if not params:
        return b""
    wanted = name.lower()
    return next((found for known, found in reversed(parse_params(params)) if known.lower() == wanted), b"")


def _scheme(value: bytes) -> Value:
    _uri(value)
    return value.partition(b":")[0]


def _to_socket(uri: SipUri) -> Value:
    """``udp:host:port``, or an empty string for a URI without a transport."""
    name = _PROTOCOL_NAMES.get(uri.protocol)
    return b"" if name is None else b"%s:%s:%d" % (name, uri.host, uri.port_number or _DEFAULT_PORT)


def _short(*, user: bool, where: bool) -> Transformation:
    """
    A URI that has the main parts of another.

    :param user: with its user.
    :param where: with its port and its transport.
    """

    def get(uri: SipUri) -> Value:
        parts = [uri.scheme, b":"]
        if user and uri.user:
            parts += [uri.user, b"@"]
        parts.append(uri.host)
        if where and uri.port:
            parts += [b":", uri.port]
        if where and b"transport" in uri.known:
            parts += [b";transport=", uri.known[b"transport"]]
        return b"".join(parts)

    return _part_of_uri(get)


def _part_of_name_addr(get: Callable[[NameAddr], Value]) -> Transformation:
    return Transformation(lambda value: get(parse_name_addr(value)), takes=as_filled_text)


def _part_of_to_body(get: Callable[[ToBody, SipUri], Value]) -> Transformation:
    return Transformation(lambda value: get(*_to_body(value)), takes=as_filled_text)


def encode_alias(value: bytes) -> Value:
    """``host~port~protocol`` for a URI, or an empty string."""
    try:
        uri = parse_uri(value)
    except EvaluationError:
        return b""
    port = uri.port or b"%d" % (_DEFAULT_TLS_PORT if uri.protocol == PROTOCOLS[b"tls"] else _DEFAULT_PORT)
    return b"%s~%s~%d" % (uri.host, port, uri.protocol or _UDP)


def decode_alias(value: bytes) -> Value:
    """The URI for ``host~port~protocol``, or an empty string."""
    parts = value.split(b"~")
    if len(parts) < 3 or not parts[2]:
        return b""
    host, port = parts[0], parts[1]
    number = parts[2][0] - ord("0") or _UDP
    if number == _UDP:
        return b"sip:%s:%s" % (host, port)
    name = _PROTOCOL_NAMES.get(number)
    return b"" if name is None else b"sip:%s:%s;transport=%s" % (host, port, name)


URI: dict[str, Builder] = {
    "user": _part_of_uri(lambda uri: uri.user),
    "host": _part_of_uri(lambda uri: uri.host),
    "domain": _part_of_uri(lambda uri: uri.host),
    "passwd": _part_of_uri(lambda uri: uri.password),
    "port": _part_of_uri(_port),
    "params": _part_of_uri(lambda uri: uri.params),
    "param": Transformation(uri_param, (text,), as_filled_text),
    "headers": _part_of_uri(lambda uri: uri.headers),
    "transport": _known_param(b"transport"),
    "ttl": _known_param(b"ttl"),
    "uparam": _known_param(b"user"),
    "maddr": _known_param(b"maddr"),
    "method": _known_param(b"method"),
    "lr": _known_param(b"lr"),
    "r2": _known_param(b"r2"),
    "scheme": Transformation(_scheme, takes=as_filled_text),
    "tosocket": _part_of_uri(_to_socket),
    "saor": _short(user=True, where=False),
    "suri": _short(user=True, where=True),
    "duri": _short(user=False, where=True),
}

NAMEADDR: dict[str, Builder] = {
    "name": _part_of_name_addr(lambda address: address.name),
    "uri": _part_of_name_addr(lambda address: address.uri),
    "len": _part_of_name_addr(lambda address: address.length),
}

TOBODY: dict[str, Builder] = {
    "uri": _part_of_to_body(lambda body, uri: body.uri),
    "tag": _part_of_to_body(lambda body, uri: body.tag),
    "display": _part_of_to_body(lambda body, uri: body.display),
    "params": _part_of_to_body(lambda body, uri: body.params),
    "user": _part_of_to_body(lambda body, uri: uri.user),
    "host": _part_of_to_body(lambda body, uri: uri.host),
}

URIALIAS: dict[str, Builder] = {
    "encode": Transformation(encode_alias, takes=as_filled_text),
    "decode": Transformation(decode_alias, takes=as_filled_text),
}
