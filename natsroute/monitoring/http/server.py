"""Listens for HTTP, as a service."""

from __future__ import annotations

from collections.abc import Callable
from socket import socket
from typing import Any
from typing import Protocol as Interface

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocolFactory
from twisted.python.failure import Failure

from natsroute.errors import SettingError
from natsroute.log import Logger
from natsroute.monitoring.http.site import Site
from natsroute.monitoring.http.stand_in import StandIn


class Tls(Interface):
    """Adds TLS to a site."""

    def factory(self, site: IProtocolFactory) -> IProtocolFactory:
        """A factory whose protocols are those of the site, over TLS."""


class HttpServer(Service):
    """
    Serves a site while it runs.

    :param site: the site.
    :param host: the address to listen on.
    :param port: the port; 0: a free one.
    :param tls: adds TLS; None: there is none.
    :param stand_in: makes what answers while the reactor is blocked, from the listening socket.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        site: Site,
        host: str,
        port: int,
        *,
        tls: Tls | None = None,
        stand_in: Callable[[socket], StandIn] | None = None,
    ) -> None:
        self._reactor = reactor
        self._site = site
        self._host = host
        self._asked_port = port
        self._factory = site if tls is None else tls.factory(site)
        self._scheme = "http" if tls is None else "https"
        self._make_stand_in = stand_in
        self._stand_in: StandIn | None = None
        self._listening: Any = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        number: int = self._listening.getHost().port
        return number

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"{self._scheme}://{bracketed(self._host)}:{self.port}"

    def startService(self) -> None:
        """
        Listen.

        :raises SettingError: that is not possible, for example because the port is in use.
        """
        try:
            self._listening = self._reactor.listenTCP(self._asked_port, self._factory, interface=self._host)
        except CannotListenError as error:
            cause = getattr(error.socketError, "strerror", None) or str(error.socketError)
            raise SettingError(
                "http_listen",
                f"{bracketed(self._host)}:{self._asked_port}",
                f"natsroute cannot listen there: {cause}",
                "Give an address of this machine and a port that is free, or stop the program that has it",
            ) from None
        listening = getattr(self._listening, "socket", None)
        if self._make_stand_in is not None and listening is not None:
            self._stand_in = self._make_stand_in(listening)
            self._stand_in.start()
        super().startService()
        self.log.info("Operators can see natsroute at {url}/", url=self.url)

    def stopService(self) -> Deferred[None]:
        """
        Listen no more, and end all connections.

        :return: fires in the reactor's thread.
        """
        super().stopService()
        stand_in, self._stand_in = self._stand_in, None
        if stand_in is not None:
            stand_in.stop()
        listening, self._listening = self._listening, None
        if listening is None:
            return maybeDeferred(lambda: None)
        stopped: Deferred[None] = maybeDeferred(listening.stopListening)

        def end_connections(result: Failure | None) -> Failure | None:
            for channel in tuple(self._site.channels):
                channel.cut_off()
            return result

        return stopped.addBoth(end_connections)


def bracketed(host: str) -> str:
    """An address as in a URL."""
    return f"[{host}]" if ":" in host else host
