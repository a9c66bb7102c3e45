"""natsroute.jetstream.errors"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.jetstream.errors import (
    ConfigDiffersError,
    ConsumerExistsError,
    ConsumerNotFoundError,
    InvalidConfigError,
    JetStreamBusyError,
    JetStreamError,
    JetStreamLimitError,
    JetStreamUnavailableError,
    MessageNotFoundError,
    StoreError,
    StreamExistsError,
    StreamNotFoundError,
    StreamSealedError,
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
            (10008, JetStreamBusyError),
            (10026, JetStreamLimitError),
            (10037, MessageNotFoundError),
            (10047, StoreError),
            (10052, InvalidConfigError),
            (10058, StreamExistsError),
            (10065, StreamExistsError),
            (10076, JetStreamUnavailableError),
            (10109, StreamSealedError),
            (10148, ConsumerExistsError),
            (10999, JetStreamError),
        ):
            self.assertIs(type(error_of(404, err_code, "no")), expected)

    def test_remedies(self) -> None:
        """What an operator meets says what to do."""
        for err_code in (10008, 10014, 10026, 10039, 10047, 10054, 10058, 10059, 10070, 10071, 10109, 10148):
            error = error_of(404, err_code, "no")
            self.assertTrue(str(error).endswith(f". {error.remedy}"))
            self.assertTrue(error.remedy)

    def test_differences(self) -> None:
        error = ConfigDiffersError("consumer calls:billing", ["ack_wait is 3", "max_deliver is 7"])
        self.assertEqual((error.what, error.differences[0]), ("consumer calls:billing", "ack_wait is 3"))
        self.assertIn("consumer calls:billing differs from the settings: ack_wait is 3; max_deliver is 7. ", str(error))

    def test_text(self) -> None:
        error = error_of(404, 10059, "stream not found")
        self.assertEqual(
            str(error),
            "stream not found (code 404, err_code 10059). "
            "Create the stream, or set jetstream_create and jetstream_stream",
        )
        self.assertEqual((error.code, error.err_code, error.description), (404, 10059, "stream not found"))
        self.assertEqual(
            str(JetStreamError("nothing answers", 503, remedy="Start it")), "nothing answers (code 503). Start it"
        )
