"""The frames of the protocol, as values."""

from __future__ import annotations

import enum
import json
from typing import Any

import attrs

from natsroute.errors import ProtocolError
from natsroute.wire.headers import Headers, parse_headers

#: Bytes of payload that a server accepts if its INFO does not say how many.
DEFAULT_MAX_PAYLOAD = 1024 * 1024
#: The highest value of max_payload, whatever a server announces. nats-server refuses a higher one in its configuration.
MAX_PAYLOAD_LIMIT = 64 * 1024 * 1024


class Signal(enum.Enum):
    """The frames without content."""

    PING = b"PING"
    PONG = b"PONG"
    OK = b"+OK"


@attrs.frozen
class Err:
    """
    ``-ERR``: the server refuses something, or reports an error.

    :ivar text: its message, without the quotes.
    """

    text: str


@attrs.define(eq=False, weakref_slot=False)
class Address:
    """
    The subject that a message was published to, and the subscription that it was delivered to.

    Addresses repeat, so the parser remembers them, and messages share them.

    :ivar sid: the ID that this client gave the subscription.
    """

    subject: str
    sid: int


@attrs.define(eq=False, weakref_slot=False, getstate_setstate=False)
class Msg:
    """
    A message.

    :ivar address: its subject and its subscription.
    :ivar data: its payload.
    :ivar header_block: its headers, not parsed; empty for a message without headers.
    :ivar reply_to: the subject for answers, not decoded; or None.
    """

    address: Address
    data: bytes
    header_block: bytes = b""
    reply_to: bytes | None = None
    # A header block and its headers, once they were parsed. It is not set before, because most messages never need it.
    _parsed: tuple[bytes, Headers] = attrs.field(init=False, repr=False)

    @property
    def size(self) -> int:
        """Bytes of header block and payload together."""
        return len(self.header_block) + len(self.data)

    @property
    def subject(self) -> str:
        """The subject that the message was published to."""
        return self.address.subject

    @property
    def reply(self) -> str | None:
        """The subject for answers, or None. Bytes that are not UTF-8 become surrogate escapes."""
        reply_to = self.reply_to
        return None if reply_to is None else reply_to.decode("utf-8", "surrogateescape")

    @property
    def headers(self) -> Headers:
        """
        The headers; empty for a message without headers. They are parsed when they are first needed, and kept.

        :raises DecodeError: the header block is malformed.
        """
        block = self.header_block
        parsed: tuple[bytes, Headers] | None = getattr(self, "_parsed", None)
        if parsed is not None and parsed[0] is block:  # a program may have set another block
            return parsed[1]
        headers = parse_headers(block) if block else Headers()
        self._parsed = block, headers
        return headers


def _list_of_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_INFO_TYPES = {
    "server_id": str,
    "server_name": str,
    "version": str,
    "host": str,
    "port": int,
    "max_payload": int,
    "headers": bool,
    "auth_required": bool,
    "tls_required": bool,
    "tls_available": bool,
    "ldm": bool,
    "nonce": str,
    "client_id": int,
}


@attrs.frozen
class Info:
    """
    ``INFO``: the server describes itself, first of all and whenever something changes.

    :ivar fields: all fields of the JSON object, also those that natsroute does not know.
    """

    server_id: str = ""
    server_name: str = ""
    version: str = ""
    host: str = ""
    port: int = 0
    max_payload: int = DEFAULT_MAX_PAYLOAD
    headers: bool = False
    auth_required: bool = False
    tls_required: bool = False
    tls_available: bool = False
    ldm: bool = False
    nonce: str = attrs.field(default="", repr=False)
    client_id: int = 0
    connect_urls: tuple[str, ...] = ()
    fields: dict[str, Any] = attrs.field(factory=dict, eq=False, repr=False)

    @classmethod
    def from_json(cls, text: bytes) -> Info:
        """
        Parse the JSON object after ``INFO``.

        :raises ProtocolError: it is no JSON object, or a field has a wrong type.
        """
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            raise ProtocolError("INFO is not JSON", text) from None
        if not isinstance(fields, dict):
            raise ProtocolError("INFO is not a JSON object", text)
        known: dict[str, Any] = {}
        for name, kind in _INFO_TYPES.items():
            value = fields.get(name)
            if value is not None:
                if type(value) is not kind:
                    raise ProtocolError(f"INFO's {name} is not of type {kind.__name__}", repr(value).encode())
                known[name] = value
        if not 0 < known.get("max_payload", 1) <= MAX_PAYLOAD_LIMIT:
            known["max_payload"] = MAX_PAYLOAD_LIMIT  # -1 means "no limit" in the settings of an account
        urls = fields.get("connect_urls")
        if urls is None:
            urls = []
        if not _list_of_strings(urls):
            raise ProtocolError("INFO's connect_urls is not a list of strings", text)
        return cls(**known, connect_urls=tuple(urls), fields=fields)


@attrs.frozen
class ConnectOptions:
    """
    ``CONNECT``: the client describes itself. Credentials are not in ``repr``.

    :ivar name: the name of the connection in the server's monitoring.
    :ivar version: the version of natsroute.
    :ivar login: the fields with the credentials, such as ``user`` and ``pass``.
    :ivar headers: whether the server supports headers; without them it refuses ``no_responders``, too.
    :ivar tls_required: whether the connection uses TLS because we require it.
    """

    name: str
    version: str
    login: dict[str, str] = attrs.field(factory=dict, repr=False)
    headers: bool = True
    tls_required: bool = False

    def to_json(self) -> bytes:
        """The JSON object after ``CONNECT``, as ASCII."""
        fields: dict[str, Any] = {
            "verbose": False,
            "pedantic": False,
            "protocol": 1,
            "lang": "python-twisted",
            "version": self.version,
            "name": self.name,
            "headers": self.headers,
            "no_responders": self.headers,
        }
        return json.dumps({**fields, **({"tls_required": True} if self.tls_required else {}), **self.login}).encode()


#: Everything that a server can send.
Frame = Info | Msg | Err | Signal
