"""What the publishing programs have in common: how they are stopped, and how they report the outcomes."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path


class OutcomeReporter:
    """
    Stops a publishing program at SIGUSR1 and reports its outcomes.

    :ivar stopping: whether the program is to stop.
    :ivar outcomes: what is known of each number.

    :param path: the file for the outcomes.
    """

    def __init__(self, path: str) -> None:
        self.stopping = False
        self.outcomes: dict[int, str] = {}
        self._path = Path(path)
        signal.signal(signal.SIGUSR1, self._stop)

    def ready(self) -> None:
        """Print the process id: the program begins to publish."""
        print(json.dumps({"pid": os.getpid()}), flush=True)

    def done(self, published: int) -> None:
        """Write the outcomes to the file, and print how many messages were published."""
        self._path.write_text("".join(f"{number} {outcome}\n" for number, outcome in self.outcomes.items()))
        print(json.dumps({"published": published}), flush=True)

    def _stop(self, *_: object) -> None:
        self.stopping = True
