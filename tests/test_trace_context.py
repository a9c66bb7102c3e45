"""natsroute.monitoring.trace_context"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.monitoring.trace_context import MAX_TRACESTATE, RemoteParent, read_parent, replaces, with_parent
from natsroute.wire.headers import HeaderValues, encode_headers

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


class ReadTests(SynchronousTestCase):
    """Reading a header block."""

    def read(self, **headers: str | list[str]) -> RemoteParent | None:
        return read_parent(encode_headers(headers))

    def read_value(self, value: str) -> RemoteParent | None:
        return self.read(traceparent=value)

    def test_a_parent(self) -> None:
        self.assertEqual(self.read_value(PARENT), RemoteParent(TRACE, SPAN, 1, PARENT))
        parent = self.read(Other="x", traceparent=f"  {PARENT[:-2]}00 \t", After="y")
        assert parent is not None
        self.assertEqual((parent.sampled, parent.headers), (False, {"traceparent": f"{PARENT[:-2]}00"}))

    def test_flags(self) -> None:
        """Only the lowest bit says that it is sampled."""
        for flags, sampled in [("00", False), ("01", True), ("02", False), ("ff", True)]:
            parent = self.read_value(f"{PARENT[:-2]}{flags}")
            assert parent is not None
            self.assertEqual(parent.sampled, sampled, flags)

    def test_case(self) -> None:
        """Go writes Traceparent. The digits should be in lower case; others are understood."""
        parent = read_parent(encode_headers({"Traceparent": PARENT.upper(), "TraceState": "Vendor=A"}))
        self.assertEqual(parent, RemoteParent(TRACE, SPAN, 1, PARENT, "Vendor=A"))

    def test_none(self) -> None:
        self.assertIsNone(read_parent(b""))
        self.assertIsNone(self.read(other="x", nottraceparent=PARENT))
        self.assertIsNone(self.read(other=f"traceparent: {PARENT}"))

    def test_malformed(self) -> None:
        """It counts as absent."""
        for value in [
            "",
            "x",
            PARENT[:-1],
            f"{PARENT}-more",
            f"{PARENT}0",
            f"ff{PARENT[2:]}",
            f"00-{'0' * 32}-{SPAN}-01",
            f"00-{TRACE}-{'0' * 16}-01",
            PARENT.replace("b", "g"),
            f"{PARENT} {PARENT}",
            f"01{PARENT[2:]}-{'x' * 401}",
        ]:
            self.assertIsNone(self.read_value(value), value)

    def test_later_versions(self) -> None:
        """They may have more, which is passed on."""
        for value in (f"01{PARENT[2:]}", f"01{PARENT[2:]}-more"):
            parent = self.read_value(value)
            assert parent is not None
            self.assertEqual((parent.trace_id, parent.traceparent), (TRACE, value))

    def test_tracestate(self) -> None:
        parent = self.read(traceparent=PARENT, tracestate=["a=1, B=2", "", "c=3"])
        assert parent is not None
        self.assertEqual(parent.tracestate, "a=1, B=2,c=3")
        self.assertEqual(parent.headers, {"traceparent": PARENT, "tracestate": "a=1, B=2,c=3"})

    def test_tracestate_that_is_too_long_or_not_ascii(self) -> None:
        """It is dropped; the parent counts."""
        for state in (["x" * (MAX_TRACESTATE + 1)], ["x" * MAX_TRACESTATE, "y"], "a=\xe4", "a=\x1b[2J"):
            parent = self.read(traceparent=PARENT, tracestate=state)
            assert parent is not None
            self.assertEqual(parent.tracestate, "")
        parent = self.read(traceparent=PARENT, tracestate="x" * MAX_TRACESTATE)
        assert parent is not None
        self.assertEqual(len(parent.tracestate), MAX_TRACESTATE)

    def test_malformed_block(self) -> None:
        """It is not parsed, and never an error."""
        for block in (b"\xff\xfe", b"NATS/1.0\r\ntraceparent:", b"NATS/1.0\r\ntraceparent: " + PARENT.encode()):
            self.assertIsNone(read_parent(block))


class PublishTests(SynchronousTestCase):
    """Headers to publish."""

    RECEIVED = RemoteParent(TRACE, SPAN, 1, PARENT)

    def test_replaces(self) -> None:
        """None, or the one that was received, is replaced; the program's own is kept."""
        other = PARENT.replace("b7", "c8")
        cases: list[tuple[HeaderValues, bool]] = [
            ({}, True),
            ({"a": "b"}, True),
            ({"traceparent": PARENT}, True),
            ({"Traceparent": [f" {PARENT.upper()}"]}, True),
            ({"traceparent": other}, False),
            ({"TRACEPARENT": [PARENT, other]}, False),
        ]
        for headers, expected in cases:
            self.assertEqual(replaces(headers, self.RECEIVED), expected, headers)
        self.assertFalse(replaces({"traceparent": PARENT}, None))
        self.assertTrue(replaces({"tracestate": "a=1"}, None))

    def test_with_parent(self) -> None:
        """No second one is left under a name in another case, nor a tracestate that belongs to another parent."""
        headers = {"a": ["b", "c"], "Traceparent": "x", "TRACESTATE": "y"}
        self.assertEqual(with_parent(headers, {"traceparent": PARENT}), {"a": ["b", "c"], "traceparent": PARENT})
        self.assertEqual(headers["Traceparent"], "x")
