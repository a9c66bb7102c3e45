"""natsroute.jetstream.errors"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.jetstream.errors import (
    ConsumerNotFoundError,
    JetStreamError,
    JetStreamUnavailableError,
    StreamNotFoundError,
    WrongLastSequenceError,
    error_of,
)


class ErrorTests(SynchronousTestCase):
    """The class, the numbers and the text."""

    def test_classes(self) -> None:
        for err_code, expected in (
            (10014, ConsumerNotFoundError),
            (10039, JetStreamUnavailableError),
            (10059, StreamNotFoundError),
            (10071, WrongLastSequenceError),
            (10999, JetStreamError),
        ):
            self.assertIs(type(error_of(404, err_code, "no")), expected)

    def test_text(self) -> None:
        error = error_of(404, 10059, "stream not found")
        self.assertEqual(str(error), "stream not found (code 404, err_code 10059)")
        self.assertEqual((error.code, error.err_code, error.description), (404, 10059, "stream not found"))
        self.assertEqual(
            str(JetStreamError("nothing answers", 503, remedy="Start it")), "nothing answers (code 503). Start it"
        )
