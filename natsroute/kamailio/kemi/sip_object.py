"""The first argument of callbacks in the convention of ``app_python3``: the SIP message, which is always the same."""

from __future__ import annotations

from natsroute.kamailio.sip import message as sip_message


class SipMessage:
    """
    The attributes and methods that the message has in Kamailio. Nothing about it can be changed.

    :ivar Type: ``SIP_REQUEST``.
    :ivar Method: the method.
    :ivar RURI: the request URI.
    :ivar Status: that of a reply; a request has none.
    :ivar src_address: where it seems to come from, with the port.
    :ivar dst_address: where it seems to have gone.
    """

    Type = "SIP_REQUEST"
    Method = sip_message.METHOD.decode()
    RURI = sip_message.URI.decode()
    Status = None
    src_address = (sip_message.SOURCE_IP.decode(), sip_message.PORT)
    dst_address = ("127.0.0.1", sip_message.PORT)

    def getType(self) -> str:
        """See :attr:`Type`."""
        return self.Type

    def getMethod(self) -> str:
        """See :attr:`Method`."""
        return self.Method

    def getRURI(self) -> str:
        """See :attr:`RURI`."""
        return self.RURI

    def getStatus(self) -> str | None:
        """See :attr:`Status`."""
        return self.Status

    def getHeader(self, name: str) -> str | None:
        """The first header of this name, or None."""
        found = sip_message.headers_named(name.encode("utf-8", "surrogateescape"))
        return found[0].decode() if found else None
