"""natsroute.recording.format"""

from __future__ import annotations

import base64
import json
from io import BytesIO
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import RecordingError
from natsroute.recording import format as recording_format
from natsroute.recording.format import FIRST_LINE, Lost, Recorded, read_recording, time_text
from natsroute.wire.headers import encode_headers

quick = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])

MESSAGE = Recorded(1_790_000_000.123456, "a.b", b"xyz", "r.1", encode_headers({"A": ["b", "c"], "D": "\xe4"}))


def read(data: bytes) -> list[tuple[int, Recorded | Lost]]:
    """All lines of a recording."""
    return list(read_recording(BytesIO(data), "some.file"))


class WriteTests(SynchronousTestCase):
    """Lines, as they are written."""

    def test_message(self) -> None:
        self.assertEqual(
            json.loads(MESSAGE.line()),
            {
                "time": "2026-09-21T14:13:20.123456Z",
                "subject": "a.b",
                "reply": "r.1",
                "headers": [["A", "b"], ["A", "c"], ["D", "\xe4"]],
                "payload": base64.b64encode(b"xyz").decode(),
            },
        )

    def test_least(self) -> None:
        """Without reply subject and headers, there are no fields for them. A line is ASCII, whatever the message is."""
        line = Recorded(0.0, "\u202e\udcff", b"\x00\xff").line()
        self.assertEqual(line, b'{"time":"1970-01-01T00:00:00.000000Z","subject":"\\u202e\\udcff","payload":"AP8="}\n')

    def test_header_block_that_is_not_plain(self) -> None:
        """What pairs could not give back byte for byte is kept as it is."""
        for block in (
            b"NATS/1.0 503\r\n\r\n",
            b"NATS/1.0\r\nA:b\r\n\r\n",
            b"NATS/1.0\r\nA:  b\r\n\r\n",
            b"NATS/1.0\r\nA: b \r\n\r\n",
            b"NATS/1.0\r\nno header\r\n\r\n",
            b"nonsense",
        ):
            fields = json.loads(Recorded(0.0, "a", b"", None, block).line())
            expected = "headers" if block.startswith(b"NATS/1.0\r\nA: ") else "header_block"
            self.assertIn(expected, fields, block)
            [(_, read_again)] = read(FIRST_LINE + Recorded(0.0, "a", b"", None, block).line())
            self.assertEqual(read_again, Recorded(0.0, "a", b"", None, block))


class RoundTripTests(SynchronousTestCase):
    """What was written is read as it was."""

    def test_lines(self) -> None:
        data = FIRST_LINE + MESSAGE.line() + b"\n" + Lost(3).line() + MESSAGE.line()
        self.assertEqual(read(data), [(2, MESSAGE), (4, Lost(3)), (5, MESSAGE)])
        self.assertEqual(read(FIRST_LINE), [])

    @quick
    @given(
        st.integers(0, 4_000_000_000_000_000),
        st.binary(max_size=50),
        st.one_of(
            st.binary(max_size=50),
            st.dictionaries(
                st.from_regex(r"[!-9;-~]+", fullmatch=True), st.from_regex(r"[^\r\n\ud800-\udfff]*", fullmatch=True)
            ).map(encode_headers),
        ),
    )
    def test_any(self, microseconds: int, payload: bytes, block: bytes) -> None:
        """Byte for byte, and to the microsecond."""
        message = Recorded(microseconds / 1e6, "a", payload, None, block)
        [(_, again)] = read(FIRST_LINE + message.line())
        assert isinstance(again, Recorded)
        self.assertEqual((again.payload, again.header_block), (payload, block))
        self.assertEqual(again.line(), message.line())
        self.assertEqual(time_text(again.time), time_text(message.time))

    def test_times(self) -> None:
        """Other programs may write them otherwise, as RFC 3339 allows."""
        for text, expected in [
            ("2026-11-26T18:00:00Z", "2026-11-26T18:00:00.000000Z"),
            ("2026-11-26t18:00:00.5z", "2026-11-26T18:00:00.500000Z"),
            ("2026-11-26T18:00:00.123456789+02:00", "2026-11-26T16:00:00.123457Z"),
        ]:
            line = json.dumps({"time": text, "subject": "a", "payload": ""}).encode()
            [(_, message)] = read(FIRST_LINE + line)
            assert isinstance(message, Recorded)
            self.assertEqual(time_text(message.time), expected)


class MalformedTests(SynchronousTestCase):
    """Errors name the file and the line, and say what to do."""

    def error(self, *fields: bytes) -> str:
        data = FIRST_LINE + MESSAGE.line() + b"".join(fields)
        lines = read_recording(BytesIO(data), "some.file")
        self.assertEqual(next(lines), (2, MESSAGE))  # what is before is read
        error = self.assertRaises(RecordingError, next, lines)
        self.assertEqual((error.file, error.line), ("some.file", 3))
        return str(error)

    def test_lines(self) -> None:
        good: dict[str, Any] = json.loads(MESSAGE.line())
        for change, problem in [
            ({"time": 5}, "time is not a string"),
            ({"time": "yesterday"}, "time is not such as"),
            ({"time": "2026-11-32T18:00:00Z"}, "time is not such as"),
            ({"time": None}, "there is no time"),
            ({"subject": None}, "there is no subject"),
            ({"subject": "a b"}, "a b"),
            ({"reply": 7}, "reply is not a string"),
            ({"payload": "x"}, "payload is not base64"),
            ({"payload": "\xe4"}, "payload is not base64"),
            ({"payload": None}, "there is no payload"),
            ({"headers": "x"}, "headers is not a list"),
            ({"headers": [["A"]]}, "headers has something other than pairs"),
            ({"headers": [["A", 1]]}, "headers has something other than pairs"),
            ({"headers": [["A B", "c"]]}, "header name 'A B'"),
            ({"headers": [["A", "b\r\nC: d"]]}, "header A"),
            ({"header_block": "AA=="}, "it has both headers and header_block"),
            ({"more": 1}, "there is no field 'more'"),
        ]:
            fields = {name: value for name, value in {**good, **change}.items() if value is not None}
            error = self.error(json.dumps(fields).encode())
            self.assertIn(problem, error)
            self.assertIn("Correct it, or remove the line", error)
        self.assertIn("lost is not a whole number", self.error(b'{"lost":"x"}'))

    def test_cut_off(self) -> None:
        """As when a recorder was killed."""
        error = self.error(MESSAGE.line()[:-20])
        self.assertEqual(error, "some.file:3: it is not JSON. Remove it: the recording was probably cut off there")
        self.assertIn("it is not a JSON object", self.error(b"[]"))

    def test_hostile_lines(self) -> None:
        self.assertIn("it is not JSON", self.error(b"[" * 100_000))
        self.assertIn("it is not JSON", self.error(b"\xff\xfe"))
        self.assertNotIn("\x1b", self.error(b'{"\\u001b[2J":1,"subject":"a"}'))

    def test_long_line(self) -> None:
        """It is not read whole."""
        self.patch(recording_format, "MAX_LINE", 1000)
        self.assertIn("it has more than 1000 bytes", self.error(b"x" * 2000))

    def test_first_line(self) -> None:
        for data, problem in [
            (b"", "1: it is empty. Give a recording"),
            (b"\x00\xff", "1: it is not JSON. Give a recording"),
            (b"[]", "1: it is not a JSON object. Give a recording"),
            (MESSAGE.line(), "1: it is no recording of natsroute"),
            (b'{"natsroute_recording":2}', '1: it has version 2. The first line must be {"natsroute_recording":1}'),
        ]:
            error = self.assertRaises(RecordingError, read, data)
            self.assertIn(problem, str(error))
