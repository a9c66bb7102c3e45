"""natsroute with metrics, which another process scrapes once a second; else as in ``natsroute_peer``."""

from __future__ import annotations

import socket
import subprocess
import sys
from importlib.util import find_spec

from benchmarks.peers import Peer, natsroute_peer


def _missing() -> str:
    return "" if find_spec("prometheus_client") else "prometheus-client (pip install 'natsroute[monitoring]')"


PEER = Peer(
    "natsroute with metrics, scraped once a second",
    roles=("consume", "relay", "publish"),
    missing=_missing,
    by_default=False,
)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number: int = listening.getsockname()[1]
        return number


def main() -> None:
    """Take the role of the job, while the metrics are scraped."""
    port = _free_port()
    natsroute_peer.SETTINGS["http_listen"] = f"127.0.0.1:{port}"
    # It ends with this process, since its standard input does.
    scraper = [sys.executable, "-m", "benchmarks.load.scraper", str(port)]
    with subprocess.Popen(scraper, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            natsroute_peer.main()
        finally:
            assert process.stdin is not None
            process.stdin.close()


if __name__ == "__main__":
    main()
