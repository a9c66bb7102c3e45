"""The publishers of a comparison, and which of them are installed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import attrs

from natsroute import __version__
from tests.chaos.publishers import KamailioPublisher, NatsPyPublisher, NatsroutePublisher, Publisher
from tests.support.kamailio import find


@attrs.frozen
class Peer:
    """
    A publisher, as the table shows it.

    :ivar make: makes a publisher of that number of messages a second.
    :ivar find_version: returns its name and version, or None if it is not installed.
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
    if program is None:
        return None
    printed = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stdout
    return printed.splitlines()[0].removeprefix("version: ").strip()


NATSROUTE = Peer("natsroute", NatsroutePublisher, lambda: f"natsroute {__version__}")

NATS_PY = Peer("nats-py, `flush` after each batch", lambda rate: NatsPyPublisher(rate, 0.0), _nats_py)
NATS_PY_RARE_FLUSH = Peer("nats-py, `flush` once a second", lambda rate: NatsPyPublisher(rate, 1.0), _nats_py)
KAMAILIO = Peer("Kamailio's `nats_publish`", KamailioPublisher, _kamailio)

#: In the order of the table.
PEERS = (NATSROUTE, NATS_PY, NATS_PY_RARE_FLUSH, KAMAILIO)
