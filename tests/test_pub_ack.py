"""natsroute.jetstream.publishing.pub_ack"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import NoRespondersError
from natsroute.jetstream.errors import (
    BatchError,
    DuplicateInBatchError,
    ExpectedStreamError,
    InvalidPubAckError,
    JetStreamError,
    MessageTooLargeError,
    MessageTtlError,
    ScheduleError,
    StoreError,
    StreamFullError,
    WrongLastMessageIdError,
    WrongLastSequenceError,
)
from natsroute.jetstream.publishing.pub_ack import PubAck, parse_pub_ack, usual_ack_reader
from natsroute.wire.frames import Address, Msg


def reply(data: bytes, block: bytes = b"") -> Msg:
    """A reply of the server."""
    return Msg(Address("_INBOX.a.b", 1), data, block)


class PubAckTests(SynchronousTestCase):
    """What nats-server 2.15.1 answers, and what it does not."""

    def test_usual(self) -> None:
        """As servers of today and of before write it."""
        for data in (b'{"stream":"CALLS","seq":123}', b'{"stream":"CALLS", "seq":123}'):
            self.assertEqual(parse_pub_ack(reply(data)), PubAck("CALLS", 123))

    def test_duplicate(self) -> None:
        for data in (
            b'{"stream":"CALLS","seq":2,"duplicate": true}',
            b'{"stream":"CALLS", "seq":2,"duplicate":true}',
            b'{"duplicate":true,"stream":"CALLS","seq":2}',
        ):
            self.assertEqual(parse_pub_ack(reply(data)), PubAck("CALLS", 2, duplicate=True))

    def test_reader_of_usual_ones(self) -> None:
        """Whatever it has read before, it reads what is usual as the other function does, and nothing else."""
        usual = [
            b'{"stream":"A","seq":1}', b'{"stream":"A","seq":12345678901234567}',
            b'{"stream":"A","seq":123456789012345678}', b'{"stream":"A","seq":9223372036854775807}',
            b'{"stream":"B", "seq":7}', b'{"stream":"AB","seq":7}', b'{"stream":"A","seq":3,"duplicate":true}',
            b'{"stream":"B", "seq":4,"duplicate": true}',
        ]  # fmt: skip
        unusual = [
            b"", b"{", b"{}", b"{1}", b"{12", b'{"stream":"A","seq":}', b'{"stream":"A","seq":0}',
            b'{"stream":"A","seq":01}', b'{"stream":"A","seq":-1}', b'{"stream":"A","seq":1',
            b'{"stream":"A","seq":12', b'{"stream":"A","seq":1]', b'{"stream":"A","seq":1} ',
            b'{"stream":"A","seq":1 }', b'{"stream":"A","seq":1}}', b'{"stream":"A","seq":1.5}',
            b'{"stream":"A","seq":"1"}', b'{"stream":"A","seq":1,"val":"2"}', b'{"stream":"A","seq":\xd9\xa1}',
            b'{"error":{"code":400},"stream":"A","seq":1}',
        ]  # fmt: skip
        for before in [None, *usual, *unusual]:
            for data in [*usual, *unusual]:
                read = usual_ack_reader()
                if before is not None:
                    read(before)
                for _ in range(2):
                    self.assertEqual(read(data), parse_pub_ack(reply(data)) if data in usual else None, (before, data))

    def test_all_fields(self) -> None:
        """A domain, a batch and a counter; unknown fields are ignored."""
        data = b'{"stream":"C","seq":9,"domain":"hub","batch":"u1","count":3,"val":"17","new":[1]}'
        self.assertEqual(parse_pub_ack(reply(data)), PubAck("C", 9, False, "hub", "u1", 3, "17"))

    def test_names(self) -> None:
        """A name of any kind is what JSON says."""
        for name in ("CALLS", "a-b_C9", "Straße", 'quo"te', "back\\slash", "x" * 300):
            for sequence in (1, 2**63 - 1, 2**64 - 1):
                data = json.dumps({"stream": name, "seq": sequence}, separators=(",", ":")).encode()
                self.assertEqual(parse_pub_ack(reply(data)), PubAck(name, sequence))

    def test_refusals(self) -> None:
        """The class, with the server's numbers and text. These are the server's own answers."""
        for numbers, text, expected in (
            ((400, 10060), "expected stream does not match", ExpectedStreamError),
            ((400, 10070), "wrong last msg ID: 1", WrongLastMessageIdError),
            ((400, 10071), "wrong last sequence: 2", WrongLastSequenceError),
            ((400, 10164), "wrong last sequence", WrongLastSequenceError),
            ((503, 10077), "maximum messages exceeded", StreamFullError),
            ((503, 10077), "maximum bytes exceeded", StreamFullError),
            ((503, 10077), "write /js/1.blk: no space left on device", StoreError),
            ((500, 10047), "insufficient storage resources available", StoreError),
            ((400, 10054), "message size exceeds maximum allowed", MessageTooLargeError),
            ((400, 10165), "invalid per-message TTL", MessageTtlError),
            ((400, 10166), "per-message TTL is disabled", MessageTtlError),
            ((400, 10188), "message schedules is disabled", ScheduleError),
            ((400, 10190), "message schedules target is invalid", ScheduleError),
            ((400, 10176), "atomic publish batch is incomplete", BatchError),
            ((400, 10201), "atomic publish batch contains duplicate message id", DuplicateInBatchError),
            ((400, 10999), "something new", JetStreamError),
        ):
            answer = {
                "error": {"code": numbers[0], "err_code": numbers[1], "description": text},
                "stream": "X",
                "seq": 0,
            }
            error = self.assertRaises(JetStreamError, parse_pub_ack, reply(json.dumps(answer).encode()))
            self.assertIs(type(error), expected, text)
            self.assertEqual((error.code, error.err_code, error.description), (*numbers, text))

    def test_no_responders(self) -> None:
        """No stream takes the subject. A reply with a payload is somebody's, whatever its status."""
        self.assertRaises(NoRespondersError, parse_pub_ack, reply(b"", b"NATS/1.0 503\r\n\r\n"))
        self.assertRaises(InvalidPubAckError, parse_pub_ack, reply(b"busy", b"NATS/1.0 503\r\n\r\n"))

    def test_no_acknowledgement(self) -> None:
        """Whatever else answers, such as a subscriber that takes the message for a request."""
        for data in (
            b"",
            b"ok",
            b"\xff\xfe",
            b"[1]",
            b"{}",
            b"null",
            b'{"stream":"CALLS"}',
            b'{"seq":1}',
            b'{"stream":"CALLS","seq":0}',
            b'{"stream":"CALLS","seq":-1}',
            b'{"stream":"CALLS","seq":"1"}',
            b'{"stream":"CALLS","seq":true}',
            b'{"stream":"CALLS","seq":1.5}',
            b'{"stream":7,"seq":1}',
            b'{"stream":"CALLS","seq":1,"duplicate":1}',
            b'{"stream":"CALLS","seq":1} ,',
            b'{"error":"no"}',
            b'{"error":{"code":"400"}}',
            b"[" * 100_000,
        ):
            for block in (b"", b"NATS/1.0\r\nA: 1\r\n\r\n", b"NATS/1.0 junk\r\n\r\n"):
                self.assertRaises(InvalidPubAckError, parse_pub_ack, reply(data, block))

    def test_text_is_bounded_and_escaped(self) -> None:
        """What an answer says reaches logs, so it is short and printable."""
        error = self.assertRaises(InvalidPubAckError, parse_pub_ack, reply(b"\r\n\x1b[31m" + b"x" * 10_000))
        self.assertTrue(str(error).isprintable())
        self.assertLess(len(str(error)), 400)
