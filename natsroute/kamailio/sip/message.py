"""
The SIP message that Kamailio shows to event routes: a constant, made up because its scripts expect one.

This is the message of 5.6; later versions have another Call-ID and other URIs.
"""

from __future__ import annotations

#: The request line and the headers.
FIRST_LINE = b"OPTIONS sip:you@kamailio.org SIP/2.0"
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"Via", b"SIP/2.0/UDP 127.0.0.1"),
    (b"From", b"<sip:you@kamailio.org>;tag=123"),
    (b"To", b"<sip:you@kamailio.org>"),
    (b"Call-ID", b"123"),
    (b"CSeq", b"1 OPTIONS"),
    (b"Content-Length", b"0"),
)

#: The names that headers may be shortened to (RFC 3261, section 7.3.3).
COMPACT_NAMES = {b"v": b"via", b"f": b"from", b"t": b"to", b"i": b"call-id", b"l": b"content-length"}

METHOD = b"OPTIONS"
#: Kamailio's number of the method.
METHOD_NUMBER = 512
URI = b"sip:you@kamailio.org"
USER = b"you"
DOMAIN = b"kamailio.org"
CALL_ID = b"123"
FROM_TAG = b"123"
PORT = 5060
#: 127.0.0.1 with its bytes in the wrong order, as Kamailio has it.
SOURCE_IP = b"1.0.0.127"

HEADER_LINES = b"\r\n".join(b"%s: %s" % header for header in HEADERS)
MESSAGE = FIRST_LINE + b"\r\n" + HEADER_LINES + b"\r\n\r\n"


def headers_named(name: bytes) -> list[bytes]:
    """The values of a header, in the order of the message; the case of the name does not matter."""
    name = name.lower()
    name = COMPACT_NAMES.get(name, name)
    return [value for known, value in HEADERS if known.lower() == name]
