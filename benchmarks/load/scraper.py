"""Scrapes the metrics of a service once a second, as Prometheus would. Arguments: a port of this machine."""

from __future__ import annotations

import select
import sys
from urllib.request import urlopen

INTERVAL = 1.0


def main() -> None:
    """Scrape until standard input ends. The service may not listen yet, or not any more."""
    url = f"http://127.0.0.1:{int(sys.argv[1])}/metrics"
    while not select.select([sys.stdin], [], [], INTERVAL)[0]:
        try:
            with urlopen(url, timeout=5.0) as response:
                response.read()
        except OSError:
            pass


if __name__ == "__main__":
    main()
