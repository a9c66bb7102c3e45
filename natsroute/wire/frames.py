"""What the two sides say to each other, as values."""

from __future__ import annotations

import enum
import json
from typing import Any

import attrs

from natsroute.errors import ProtocolError
from natsroute.wire.headers import Headers, parse_headers

#: Bytes of payload that a server allows unless its INFO says otherwise.
DEFAULT_MAX_PAYLOAD = 1024 * 1024
#: Bytes of payload at the very most, whatever a server announces: nats-server itself refuses to be set higher.
MAX_PAYLOAD_LIMIT = 64 * 1024 * 1024


class Signal(enum.Enum):
    """The frames that carry nothing."""

    PING = b"PING"
    PONG = b"PONG"
    OK = b"+OK"


@attrs.frozen
class Err:
    """
    ``-ERR``: the server refuses something.

    :ivar text: its words, without the quotes.
    """

    text: str


@attrs.define(eq=False, weakref_slot=False)
class Address:
    """
    Where a message was delivered: the subject that it was published to, and the subscription that it came through.

    Addresses repeat, so the parser remembers them and messages share them.

    :ivar sid: the number that this client gave the subscription.
    """

    subject: str
    sid: int


@attrs.define(eq=False, weakref_slot=False)
class Msg:
    """
    A message.

    :ivar address: where it was delivered.
    :ivar data: its payload.
    :ivar header_block: its headers as they came; empty for a message without.
    :ivar reply_to: the subject that an answer should go to, as it came; or None.
    """

    address: Address
    data: bytes
    header_block: bytes = b""
    reply_to: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of header block and payload together."""
        return len(self.header_block) + len(self.data)

    @property
    def subject(self) -> str:
        """The subject that it was published to."""
        return self.address.subject

    @property
    def reply(self) -> str | None:
        """The subject that an answer should go to, or None."""
        reply_to = self.reply_to
        return None if reply_to is None else reply_to.decode("utf-8", "surrogateescape")

    @property
    def headers(self) -> Headers:
        """
        The headers, read anew at each call; empty for a message without.

        :raises DecodeError: the publisher sent a header block that is not one.
        """
        return parse_headers(self.header_block) if self.header_block else Headers()


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
    ``INFO``: what the server says of itself, first and whenever it changes.

    :ivar fields: all that it said, fields that natsroute does not know included.
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
        Read the JSON behind ``INFO``.

        :raises ProtocolError: no JSON object, or a field of another type than the protocol says.
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
            known["max_payload"] = MAX_PAYLOAD_LIMIT  # -1 is "no limit" in an account's settings
        urls = fields.get("connect_urls")
        if urls is None:
            urls = []
        if not _list_of_strings(urls):
            raise ProtocolError("INFO's connect_urls is not a list of strings", text)
        return cls(**known, connect_urls=tuple(urls), fields=fields)


@attrs.frozen
class ConnectOptions:
    """
    ``CONNECT``: what we say of ourselves. Credentials are not in ``repr``.

    :ivar name: the connection's name, seen in the server's monitoring.
    :ivar login: the fields that let us in, as ``user`` and ``pass``.
    """

    name: str
    version: str
    login: dict[str, str] = attrs.field(factory=dict, repr=False)
    headers: bool = True
    tls_required: bool = False

    def to_json(self) -> bytes:
        """The JSON behind ``CONNECT``: protocol 1, not verbose; headers and no-responders where the server has them."""
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


#: All that a server can send.
Frame = Info | Msg | Err | Signal
