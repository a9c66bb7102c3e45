"""natsroute is killed while it works through a stream; ``python -m tests.chaos stream-kills`` does it longer."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.chaos import stream_kills
from tests.chaos.stream_kills import Record

SEED = int(os.environ.get("NATSROUTE_CHAOS_SEED", "1"))


class StreamKillTests(TestCase):
    """A short run."""

    async def test_run(self) -> None:
        """Nothing is lost, nothing comes again after its confirmed acknowledgement, each effect is there once."""
        from twisted.internet import reactor

        folder = Path(self.mktemp()).absolute()
        self.patch(stream_kills, "ON_ITS_WAY", 300.0)  # the machine may be busy
        outcome = await stream_kills.run(reactor, folder, SEED, 3_000, 3, 1, ack_wait=2.0, batch=50)
        self.assertEqual(outcome.violations, [], f"seed {SEED}: {outcome.figures}")
        self.assertEqual(outcome.figures["handled at least once"], "3,000")


class RecordTests(SynchronousTestCase):
    """What the processes write down."""

    def test_record(self) -> None:
        path = Path(self.mktemp())
        record = Record(path)
        path.write_bytes(b"h 1 0\nh 2 1\nc 1 7 100.0\nh 2 1\nh 1 0\nr 1 8 100.5\nr 2 7 100.5\nh 3")
        self.assertEqual(record.update(), 2)
        self.assertEqual((record.handled, record.confirmed), ({0: 2, 1: 2}, {1: (7, 100.0)}))
        self.assertEqual((record.late, record.again), ([1], []))
        with path.open("ab") as file:
            file.write(b" 2\nr 1 8 102.0\nr 1 7 100.1\n")
        self.assertEqual((record.update(), record.again), (3, [1, 1]))
