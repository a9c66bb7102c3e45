"""The value of ``http_listen``: where to listen."""

from __future__ import annotations

import ipaddress

import attrs

from natsroute.errors import SettingError

_REMEDY = "Write HOST:PORT with an IP address, such as 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080, or a port alone"


@attrs.frozen
class ListenAddress:
    """
    An address and a port of this machine.

    :ivar host: an IP address.
    :ivar port: the port; 0: a free one.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, setting: str, text: str) -> ListenAddress:
        """
        Read ``HOST:PORT``. A port alone, with or without a colon, is one of 127.0.0.1.

        :param setting: the setting that has the text, for an error.
        :raises SettingError: the host is neither an IP address nor localhost, or the port is none.
        """
        host, _, port = text.rpartition(":")
        if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65_535):
            raise SettingError(setting, text, "it has no port from 0 to 65535", _REMEDY)
        version = 4
        if host.startswith("[") and host.endswith("]"):
            address, version = host[1:-1], 6
        elif ":" in host:
            raise SettingError(setting, text, "an IPv6 address needs brackets", _REMEDY)
        else:
            address = "127.0.0.1" if host in ("", "localhost") else host
        try:
            if ipaddress.ip_address(address).version != version:
                raise ValueError
        except ValueError:
            raise SettingError(setting, text, "its host is not an IP address of this machine", _REMEDY) from None
        return cls(address, int(port))

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
