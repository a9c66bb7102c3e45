"""A SIP phone that registers."""

from __future__ import annotations

from itertools import count
from typing import Any

from twisted.internet.protocol import DatagramProtocol

REGISTER = """\
REGISTER sip:example.com SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:{own_port};branch=z9hG4bK{number}
From: <sip:{user}@example.com>;tag=t{number}
To: <sip:{user}@example.com>
Call-ID: {user}@phones.test
CSeq: {number} REGISTER
Contact: <{contact}>
Expires: {expires}
User-Agent: a phone
Max-Forwards: 70
Content-Length: 0

"""


class Phone(DatagramProtocol):
    """
    Sends a REGISTER for each :meth:`register`, and counts the answers.

    :param registrar: the port of the registrar on the loopback interface.

    :ivar registered: the numbers of the requests that were answered with 200.
    """

    transport: Any

    def __init__(self, registrar: int) -> None:
        self.registered: set[int] = set()
        self._registrar = registrar
        self._numbers = count(1)

    def register(self, user: str, contact: str, expires: int) -> int:
        """
        Register a user, or with 0 seconds unregister.

        :return: the number of the request.
        """
        number = next(self._numbers)
        text = REGISTER.format(
            own_port=self.transport.getHost().port, number=number, user=user, contact=contact, expires=expires
        )
        self.transport.write(text.replace("\n", "\r\n").encode(), ("127.0.0.1", self._registrar))
        return number

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        first, *lines = datagram.decode("utf-8").split("\r\n")
        if first.startswith("SIP/2.0 200"):
            cseq = next(line for line in lines if line.lower().startswith("cseq:"))
            self.registered.add(int(cseq.split()[1]))
