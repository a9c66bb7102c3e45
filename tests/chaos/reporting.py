"""What the programs that publish have in common: how they are told to stop, and how they tell of the outcomes."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path


class Reporter:
    """
    Of a program that publishes.

    :ivar stopping: whether it has been told to stop.
    :ivar outcomes: what is known of each number.

    :param path: the file for the outcomes.
    """

    def __init__(self, path: str) -> None:
        self.stopping = False
        self.outcomes: dict[int, str] = {}
        self._path = Path(path)
        signal.signal(signal.SIGUSR1, self._stop)

    def ready(self) -> None:
        """Tell that it begins."""
        print(json.dumps({"pid": os.getpid()}), flush=True)

    def done(self, published: int) -> None:
        """
        Tell all.

        :param published: the numbers below this were published.
        """
        self._path.write_text("".join(f"{number} {outcome}\n" for number, outcome in self.outcomes.items()))
        print(json.dumps({"published": published}), flush=True)

    def _stop(self, *_: object) -> None:
        self.stopping = True
