"""Who publishes in a comparison, and who cannot since it is not installed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import attrs

from natsroute import __version__
from natsroute.daemon.embedded import find_nats_server
from tests.chaos.publishers import KamailioPublisher, NatsPyPublisher, NatsroutePublisher, Publisher
from tests.support.kamailio import find


@attrs.frozen
class Peer:
    """
    A publisher, as the table shows it.

    :ivar make: makes one that publishes so many messages a second.
    :ivar find_version: its version; None: it is not installed.
    """

    name: str
    make: Callable[[float], Publisher]
    find_version: Callable[[], str | None]


def _nats_py() -> str | None:
    try:
        return f"nats-py {version('nats-py')}"
    except PackageNotFoundError:
        return None


def _kamailio() -> str | None:
    program = find("kamailio")
    return None if program is None else _said_by(program, "-v").splitlines()[0].removeprefix("version: ").strip()


def _said_by(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def server_version() -> str:
    """As ``nats-server: v2.15.1``."""
    return _said_by(find_nats_server(), "--version")


NATSROUTE = Peer("natsroute", NatsroutePublisher, lambda: f"natsroute {__version__}")

NATS_PY = Peer("nats-py, `flush` after each batch", lambda rate: NatsPyPublisher(rate, 0.0), _nats_py)
NATS_PY_SELDOM = Peer("nats-py, `flush` once a second", lambda rate: NatsPyPublisher(rate, 1.0), _nats_py)
KAMAILIO = Peer("Kamailio's `nats_publish`", KamailioPublisher, _kamailio)

#: In the order of the table.
PEERS = (NATSROUTE, NATS_PY, NATS_PY_SELDOM, KAMAILIO)
