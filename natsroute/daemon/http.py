"""The HTTP server of a service, as the settings ask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from natsroute.daemon.settings import Settings
from natsroute.monitoring.overview import Overview, Reason

if TYPE_CHECKING:
    from natsroute.monitoring.http.server import HttpServer


def http_server(
    reactor: Any,
    settings: Settings,
    overview: Callable[[], Overview | Deferred[Overview]],
    fatal: Callable[[], Sequence[Reason]] = lambda: (),
    metrics: Callable[[], bytes | Deferred[bytes]] | None = None,
) -> HttpServer | None:
    """
    The HTTP server that the settings ask for.

    :param overview: returns the overview of the service, or of several processes.
    :param fatal: returns why only a restart can help.
    :param metrics: returns the text of /metrics; None if it cannot be had.
    :return: None if there is no ``http_listen``.
    """
    address = settings.http_address
    if address is None:
        return None
    # Only here, because twisted.web takes 35 ms to import.
    from natsroute.monitoring.http.security import Login
    from natsroute.monitoring.http.server import HttpServer
    from natsroute.monitoring.http.site import Site
    from natsroute.monitoring.status_page.page import StatusPage

    site = Site(
        reactor,
        overview,
        metrics=metrics,
        fatal=fatal,
        root_page=StatusPage(overview, reactor),
        login=Login(settings.http_user, settings.http_password) if settings.http_user else None,
        local=address.is_local,
    )
    return HttpServer(reactor, site, address.host, address.port)


def http_warnings(settings: Settings) -> Iterator[str]:
    """What is probably wrong with the settings of HTTP, each a sentence."""
    address = settings.http_address
    if address is not None and not address.is_local and not settings.http_user:
        yield (
            f"http_listen = {address}: everybody who can reach this address sees what natsroute does, subjects "
            "included. Set http_user and http_password, or listen on 127.0.0.1"
        )
