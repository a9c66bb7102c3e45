"""A SIP phone that answers calls, and writes down what was called."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.protocol import DatagramProtocol

#: The headers of a request that its reply has too.
_COPIED = ("via", "record-route", "from", "call-id", "cseq")


class Callee(DatagramProtocol):
    """
    Answers each INVITE and each BYE. It refuses calls to the user ``engaged`` with 486.

    It keeps no state of a call: it answers a request that is repeated again, so that no reply has to be.

    :ivar called: Call-ID and request URI of the INVITEs, and how often each came.
    :ivar ended: Call-IDs of the BYEs, and how often each came.
    """

    transport: Any

    def __init__(self) -> None:
        self.called: Counter[tuple[str, str]] = Counter()
        self.ended: Counter[str] = Counter()

    @property
    def port(self) -> int:
        """The UDP port that it listens on."""
        port: int = self.transport.getHost().port
        return port

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        first, *lines = datagram.decode("utf-8").split("\r\n\r\n")[0].split("\r\n")
        method, uri, _ = first.split(" ", 2)
        headers = [(line.partition(":")[0].strip().lower(), line) for line in lines]
        call_id = next(line for name, line in headers if name == "call-id").partition(":")[2].strip()
        if method == "INVITE":
            self.called[call_id, uri] += 1
        elif method == "BYE":
            self.ended[call_id] += 1
        else:
            return
        refused = method == "INVITE" and uri.startswith("sip:engaged@")
        reply = [
            "SIP/2.0 486 Engaged" if refused else "SIP/2.0 200 OK",
            *(line for name, line in headers if name in _COPIED),
        ]
        to = next(line for name, line in headers if name == "to")
        reply += [to if "tag=" in to else f"{to};tag=callee", f"Contact: <sip:127.0.0.1:{self.port}>"]
        self.transport.write("\r\n".join([*reply, "Content-Length: 0", "", ""]).encode(), addr)
