"""
SIP URIs (RFC 3261, section 19.1), ``tel:`` URIs (RFC 3966) and ``urn:`` URIs, parsed as Kamailio parses them.

Kamailio is lenient. A host without a user may contain nearly any character, and ``;`` or ``?`` before the ``@`` belong
to the user.

Errors do not quote the URI, since it may contain a password.
"""

from __future__ import annotations

import re

import attrs

from natsroute.errors import EvaluationError

_SCHEMES = (b"sip:", b"sips:", b"tel:", b"urn:")
_MIN_LENGTH = 5
_MAX_PORT, _MAX_PORT_DIGITS = 65535, 5

_NOT_A_URI = "not a URI"

_MARK = re.compile(rb"[:;?]")
_BRACKET = re.compile(rb"[\[\]]")
_TAIL = re.compile(rb"[;?]")
_HOST = re.compile(rb"(\[[^\[\]&@;?]*\]|[0-9A-Za-z][0-9A-Za-z.-]*)(?::([0-9]*))?(?=[;?]|\Z)")
_IPV6_ONLY = re.compile(rb"(\[[^\[\]&@;?]*\])(?::([0-9]*))?(?=[;?]|\Z)")

#: The parameters that a URI is asked for by name.
_KNOWN = (b"transport", b"ttl", b"user", b"method", b"maddr", b"lr", b"r2", b"gr")

#: Kamailio's numbers of the transport protocols.
PROTOCOLS = {b"udp": 1, b"tcp": 2, b"tls": 3, b"sctp": 4, b"ws": 5}


@attrs.frozen
class SipUri:
    """
    The parts of a SIP URI. A part that is missing is empty.

    :ivar scheme: as it is written, without the colon.
    :ivar port: its digits.
    :ivar params: what is between the host and the headers, without the first ``;``. Empty for ``tel:`` and ``urn:``.
    :ivar headers: what comes after the ``?``.
    :ivar known: the values of the parameters that have a meaning, such as ``transport``, by their lower-case names.
    :ivar protocol: Kamailio's number of the transport, or 0.
    """

    scheme: bytes
    user: bytes = b""
    password: bytes = b""
    host: bytes = b""
    port: bytes = b""
    params: bytes = b""
    headers: bytes = b""
    known: dict[bytes, bytes] = attrs.field(factory=dict)
    protocol: int = 0

    @property
    def port_number(self) -> int:
        """The port, or 0."""
        return int(self.port or b"0")


def parse_uri(uri: bytes) -> SipUri:
    """
    Parse a URI.

    :raises EvaluationError: its scheme is another one, or it is malformed.
    """
    scheme = next((known for known in _SCHEMES if uri[: len(known)].lower() == known), None)
    if scheme is None or len(uri) < _MIN_LENGTH:
        raise EvaluationError(_NOT_A_URI)
    rest = uri[len(scheme) :]
    user, password, rest, has_user = _split_user(rest)
    if has_user:
        match = _HOST.match(rest)
    elif rest[:1] == b"[":
        match = _IPV6_ONLY.match(rest)
    else:
        return _finished(uri, scheme, *_without_user(scheme, rest))
    if match is None:
        raise EvaluationError(_NOT_A_URI)
    params, headers = _split_tail(rest[match.end() :], has_user=has_user)
    return _finished(uri, scheme, user, password, match[1], match[2] or b"", params, headers)


def _split_user(rest: bytes) -> tuple[bytes, bytes, bytes, bool]:
    """
    User, password, what comes after the ``@``, and whether there is one.

    Before a ``;`` or ``?``, the user ends at the first ``:``. After them, a ``:`` begins the password only if neither
    ``:``, ``;`` nor ``?`` comes between it and the ``@``.
    """
    if rest[:1] in (b"", b"]", b":"):
        raise EvaluationError(_NOT_A_URI)
    address = _IPV6_ONLY.match(rest)
    if address is None and rest[:1] == b"[":
        raise EvaluationError(_NOT_A_URI)
    if address is None:
        mark = _TAIL.search(rest, 1)  # the first character is never a mark
        end_of_head = len(rest) if mark is None else mark.start()
        at = rest.find(b"@", 1, end_of_head)
        user, colon, password = _head(rest[: end_of_head if at < 0 else at])
        if at >= 0:
            return user, password, rest[at + 1 :], True
    else:
        end_of_head, colon = address.end(), b""
    at = rest.find(b"@", end_of_head)
    if at < 0:
        return b"", b"", rest, False
    tail, second_colon, password = rest[end_of_head:at].partition(b":")
    if colon or (second_colon and _MARK.search(password)):
        raise EvaluationError(_NOT_A_URI)
    return rest[:end_of_head] + tail, password, rest[at + 1 :], True


def _head(head: bytes) -> tuple[bytes, bytes, bytes]:
    """User, colon and password, or host, colon and port."""
    if _BRACKET.search(head, 1) or head.count(b":") > 1:
        raise EvaluationError(_NOT_A_URI)
    return head.partition(b":")


def _without_user(scheme: bytes, rest: bytes) -> tuple[bytes, bytes, bytes, bytes, bytes, bytes]:
    end = _TAIL.search(rest, 1)
    host = rest if end is None else rest[: end.start()]
    params, headers = _split_tail(rest[len(host) :], has_user=False)
    user = port = b""
    host, colon, behind = host.partition(b":")
    if colon and behind and not behind.isdigit():
        if scheme != b"urn:" or end is not None or _too_large(behind):
            raise EvaluationError(_NOT_A_URI)
        user, host = host, behind
    else:
        port = behind
    if host[:1] == b"@" and scheme != b"tel:":
        raise EvaluationError(_NOT_A_URI)
    return user, b"", host, port, params, headers


def _split_tail(tail: bytes, *, has_user: bool) -> tuple[bytes, bytes]:
    """Parameters and headers."""
    if tail[:1] == b"?":
        params, headers = b"", tail[1:]
    else:
        params, _, headers = tail[1:].partition(b"?")
    if b";" in headers or (has_user and b"@" in tail):
        raise EvaluationError(_NOT_A_URI)
    return params, headers


def _finished(
    uri: bytes, scheme: bytes, user: bytes, password: bytes, host: bytes, port: bytes, params: bytes, headers: bytes
) -> SipUri:
    if len(port) > _MAX_PORT_DIGITS or int(port or b"0") > _MAX_PORT or _too_large(password):
        raise EvaluationError(_NOT_A_URI)
    known: dict[bytes, bytes] = {}
    protocol = 0
    for param in params.split(b";"):
        name, _, value = param.partition(b"=")
        name = name.lower()
        if name in _KNOWN and value and value[:1] != b":":
            known[name] = value
            if name == b"transport":
                protocol = PROTOCOLS.get(value.lower(), protocol)
    if scheme == b"tel:":
        user, host, params = host, b"", b""
    elif scheme != b"urn:" and known.get(b"user") == b"phone":
        user = user.partition(b";")[0]  # the user is a telephone number, with parameters of its own
    if scheme == b"urn:":
        params = b""
    return SipUri(uri[: len(scheme) - 1], user, password, host, port, params, headers, known, protocol)


def _too_large(password: bytes) -> bool:
    """True if a password begins with a number that is too large for a port. Kamailio parses it as a port first."""
    digits = re.match(rb"[0-9]*", password)
    return digits is not None and int(digits[0][:20] or b"0") > _MAX_PORT
