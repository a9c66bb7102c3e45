"""natsroute.jetstream.consuming.pull_status"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.jetstream.consuming.pull_status import PullStatus, StatusKind, pull_status
from natsroute.wire.frames import Address, Msg


def status(text: str, *headers: str) -> PullStatus:
    """Read a status."""
    block = "".join(f"{line}\r\n" for line in (f"NATS/1.0 {text}", *headers, "")).encode()
    return pull_status(Msg(Address("_INBOX.a.1", 1), b"", block))


class PullStatusTests(SynchronousTestCase):
    """The texts are those of nats-server 2.15."""

    def test_kinds(self) -> None:
        for text, kind in {
            "100 Idle Heartbeat": StatusKind.HEARTBEAT,
            "400 Bad Request - Priority Group missing": StatusKind.BAD_REQUEST,
            "404 No Messages": StatusKind.NO_MESSAGES,
            "408 Request Timeout": StatusKind.EXPIRED,
            "408 Interest Expired": StatusKind.EXPIRED,
            "409 Batch Completed": StatusKind.FILLED,
            "409 Message Size Exceeds MaxBytes": StatusKind.BYTES,
            "409 Consumer Deleted": StatusKind.DELETED,
            "409 Leadership Change": StatusKind.MOVED,
            "409 Server Shutdown": StatusKind.MOVED,
            "409 Consumer is push based": StatusKind.PUSH_CONSUMER,
            "409 Exceeded MaxAckPending": StatusKind.MAX_ACK_PENDING,
            "409 Exceeded MaxWaiting": StatusKind.MAX_WAITING,
            "409 Exceeded MaxRequestBatch of 5": StatusKind.MAX_BATCH,
            "409 Exceeded MaxRequestExpires of 1m0s": StatusKind.MAX_EXPIRES,
            "409 Exceeded MaxRequestMaxBytes of 9": StatusKind.MAX_BYTES,
            "409 Something New": StatusKind.OTHER,
            "412 Required Api Level": StatusKind.BAD_REQUEST,
            "423 Nats-Wrong-Pin-Id": StatusKind.WRONG_PIN,
            "423 Nats-Pin-Id mismatch": StatusKind.WRONG_PIN,
            "503": StatusKind.NO_RESPONDERS,
            "299 Fine": StatusKind.OTHER,
        }.items():
            found = status(text)
            self.assertEqual((found.kind, found.text), (kind, text))

    def test_missing(self) -> None:
        """What the pull did not bring."""
        found = status("408 Request Timeout", "Nats-Pending-Messages: 3", "Nats-Pending-Bytes: 70")
        self.assertEqual((found.messages, found.bytes), (3, 70))
        found = status("409 Leadership Change")
        self.assertEqual((found.messages, found.bytes), (None, None))

    def test_malformed_numbers(self) -> None:
        for value in ("", "-1", "x", "1.5", "9" * 5000):
            found = status("408 Request Timeout", f"Nats-Pending-Messages: {value}")
            self.assertIsNone(found.messages, value[:10])
            self.assertIsNone(status(f"409 Exceeded MaxRequestBatch of {value}").limit, value[:10])

    def test_limits(self) -> None:
        self.assertEqual(status("409 Exceeded MaxRequestBatch of 5").limit, 5)
        self.assertEqual(status("409 Exceeded MaxRequestMaxBytes of 1024").limit, 1024)
        for text, seconds in {"1m30s": 90.0, "1.5s": 1.5, "250ms": 0.25, "2h0m0s": 7200.0, "500µs": 0.0005}.items():
            self.assertEqual(status(f"409 Exceeded MaxRequestExpires of {text}").limit, seconds)
        self.assertIsNone(status("409 Exceeded MaxRequestExpires of soon").limit)
        self.assertIsNone(status("409 Exceeded MaxWaiting").limit)

    def test_malformed(self) -> None:
        """Anybody who knew the subject could send it, so it is no error of the connection."""
        for block in (b"", b"NATS/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"):
            self.assertIs(pull_status(Msg(Address("_INBOX.a.1", 1), b"", block)).kind, StatusKind.OTHER)
