"""The HTTP server of a service, as the settings ask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from socket import socket
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from natsroute.client.credential_files import warn_of_readers
from natsroute.daemon.operations.http_tls import HttpTls
from natsroute.daemon.settings.settings import Settings
from natsroute.monitoring.overview import Overview, Reason

if TYPE_CHECKING:
    from natsroute.monitoring.http.server import HttpServer


def http_server(
    reactor: Any,
    settings: Settings,
    overview: Callable[[], Overview | Deferred[Overview]],
    fatal: Callable[[], Sequence[Reason]] = lambda: (),
    metrics: Callable[[], bytes | Deferred[bytes]] | None = None,
    current_code: Callable[[], tuple[str, str]] = lambda: ("", ""),
) -> HttpServer | None:
    """
    The HTTP server that the settings ask for.

    :param overview: returns the overview of the service, or of several processes.
    :param fatal: returns why only a restart can help.
    :param metrics: returns the text of /metrics; None if it cannot be had.
    :param current_code: returns what runs in the reactor's thread: an event route, or an empty text; and file and line.
    :raises SettingError: the files for TLS cannot be used.
    :return: None if there is no ``http_listen``.
    """
    address = settings.http_address
    if address is None:
        return None
    # Only here, because twisted.web takes 35 ms to import.
    from natsroute.monitoring.http.security import Access, Login
    from natsroute.monitoring.http.server import HttpServer
    from natsroute.monitoring.http.site import Site
    from natsroute.monitoring.http.stand_in import StandIn
    from natsroute.monitoring.pulse import Pulse
    from natsroute.monitoring.status_page.page import StatusPage

    tls: HttpTls | None = None
    if settings.http_tls_cert_file:
        tls = HttpTls(settings.http_tls_cert_file, settings.http_tls_key_file, settings.origins.in_errors)
        warn_of_readers("http_tls_key_file", settings.http_tls_key_file)
    login = Login(settings.http_user, settings.http_password) if settings.http_user else None
    access = Access(login, local=address.is_local)

    def stand_in(listening: socket) -> StandIn:
        return StandIn(Pulse(reactor), listening, access, current_code, None if tls is None else tls.ssl_context)

    site = Site(reactor, overview, metrics=metrics, fatal=fatal, root_page=StatusPage(overview, reactor), access=access)
    return HttpServer(reactor, site, address.host, address.port, tls=tls, stand_in=stand_in)


def http_warnings(settings: Settings) -> Iterator[str]:
    """What is probably wrong with the settings of HTTP, each a sentence."""
    address = settings.http_address
    if address is not None and not address.is_local and not settings.http_user:
        yield (
            f"http_listen = {address}: everybody who can reach this address sees what natsroute does, subjects "
            "included. Set http_user and http_password, or listen on 127.0.0.1"
        )
