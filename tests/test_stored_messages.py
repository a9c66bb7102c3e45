"""natsroute.jetstream.management.stored_messages"""

from __future__ import annotations

import base64

from natsroute.jetstream.errors import (
    InvalidApiAnswerError,
    JetStreamError,
    JetStreamUnavailableError,
    MessageNotFoundError,
)
from natsroute.jetstream.management.stored_messages import (
    delete_message,
    get_last_message,
    get_last_message_direct,
    get_message,
    get_message_direct,
)
from natsroute.wire.headers import encode_headers
from tests.support.memory_api import ApiTestCase, refusal

HEADERS = encode_headers({"A": "1"})
MESSAGE = {
    "subject": "calls.1",
    "seq": 2,
    "data": base64.b64encode(b"\0x").decode(),
    "hdrs": base64.b64encode(HEADERS).decode(),
    "time": "1970-01-01T00:00:01.000000002Z",
}
DIRECT = {
    "Nats-Stream": "calls",
    "Nats-Subject": "calls.1",
    "Nats-Sequence": "2",
    "Nats-Time-Stamp": "1970-01-01T00:00:01.000000002Z",
    "A": "1",
}


class FromTheLeaderTests(ApiTestCase):
    """Requests with a JSON answer."""

    def test_message(self) -> None:
        for asking in (get_message(self.api, "calls", 2), get_last_message(self.api, "calls", "calls.*")):
            message = self.answered(asking, {"message": MESSAGE})
            self.assertEqual((message.stream, message.subject, message.sequence), ("calls", "calls.1", 2))
            self.assertEqual((message.timestamp, message.data, message.headers["A"]), (1_000_000_002, b"\0x", "1"))

    def test_without_payload_and_headers(self) -> None:
        bare = {name: MESSAGE[name] for name in ("subject", "seq", "time")}
        message = self.answered(get_message(self.api, "calls", 2), {"message": bare})
        self.assertEqual((message.data, dict(message.headers)), (b"", {}))

    def test_requests(self) -> None:
        answer = {"message": MESSAGE}
        self.assertEqual(
            self.requested(get_message(self.api, "calls", 2), answer), ("STREAM.MSG.GET.calls", {"seq": 2})
        )
        self.assertEqual(
            self.requested(get_last_message(self.api, "calls", "a.*"), answer),
            ("STREAM.MSG.GET.calls", {"last_by_subj": "a.*"}),
        )
        self.assertEqual(
            self.requested(delete_message(self.api, "calls", 2), {"success": True}),
            ("STREAM.MSG.DELETE.calls", {"seq": 2, "no_erase": True}),
        )

    def test_not_found(self) -> None:
        asked = self.ask(get_message(self.api, "calls", 2))
        self.memory.answer(refusal(10037, "no message found", 404))
        self.failureResultOf(asked, MessageNotFoundError)

    def test_malformed(self) -> None:
        for wrong in ({"data": "%"}, {"hdrs": "eA=="}, {"time": "now"}, {"seq": "x"}, {"data": 7}):
            asked = self.ask(get_message(self.api, "calls", 2))
            self.memory.answer({"message": {**MESSAGE, **wrong}})
            self.failureResultOf(asked, InvalidApiAnswerError)


class DirectTests(ApiTestCase):
    """Requests whose answer is the message."""

    def test_message(self) -> None:
        for asking in (
            get_message_direct(self.api, "calls", 2),
            get_last_message_direct(self.api, "calls", "calls.1"),
        ):
            asked = self.ask(asking)
            self.memory.answer(b"\0x", encode_headers(DIRECT))
            message = self.successResultOf(asked)
            self.assertEqual((message.stream, message.subject, message.sequence), ("calls", "calls.1", 2))
            self.assertEqual((message.timestamp, message.data, message.headers["A"]), (1_000_000_002, b"\0x", "1"))

    def test_requests(self) -> None:
        self.ask(get_message_direct(self.api, "calls", 2))
        self.ask(get_last_message_direct(self.api, "calls", "calls.1"))
        self.assertEqual(
            [one[:2] for one in self.memory.asked],
            [("DIRECT.GET.calls", {"seq": 2}), ("DIRECT.GET.calls.calls.1", None)],
        )

    def test_status(self) -> None:
        for status, expected in (
            (b"404 Message Not Found", MessageNotFoundError),
            (b"408 Bad Request", JetStreamError),
        ):
            asked = self.ask(get_message_direct(self.api, "calls", 2))
            self.memory.answer(b"", b"NATS/1.0 " + status + b"\r\n\r\n")
            error = self.failureResultOf(asked, expected).value
            self.assertRegex(str(error), status.decode()[4:])

    def test_nobody(self) -> None:
        """Without allow_direct nothing answers."""
        asked = self.ask(get_message_direct(self.api, "calls", 2))
        self.memory.nobody()
        error = self.failureResultOf(asked, JetStreamUnavailableError).value
        self.assertRegex(str(error), r"^\$JS.API.DIRECT.GET.calls: nothing answers.*allow_direct")

    def test_no_message_of_a_stream(self) -> None:
        for block in (
            b"",
            b"NATS/1.0\r\nx\r\n\r\n",
            encode_headers({**DIRECT, "Nats-Sequence": "x"}),
            encode_headers({**DIRECT, "Nats-Time-Stamp": "x"}),
            encode_headers({"A": "1"}),
        ):
            asked = self.ask(get_message_direct(self.api, "calls", 2))
            self.memory.answer(b"x", block)
            self.failureResultOf(asked, InvalidApiAnswerError)
