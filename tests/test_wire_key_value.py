"""natsroute.wire.key_value"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import SubjectError
from natsroute.wire.headers import Headers
from natsroute.wire.key_value import (
    bucket_of,
    check_bucket,
    check_key,
    check_key_pattern,
    disjoint,
    key_of,
    operation_of,
    stream_of,
    subject_of,
)


class NameTests(SynchronousTestCase):
    """What ADR-8 allows."""

    def test_buckets(self) -> None:
        for name in ("calls", "A_b-9"):
            self.assertEqual(check_bucket(name), name)
        for name in ("", "a.b", "a b", "a/b", "é", "a\n", None):
            with self.assertRaisesRegex(SubjectError, "not the name of a bucket"):
                check_bucket(name)  # type: ignore[arg-type]

    def test_keys(self) -> None:
        for key in ("a", "sip/alice=2Dx", "a.b.c", "-", "_kv", "A=1"):
            self.assertEqual(check_key(key), key)
        for key in ("", ".a", "a.", "a..b", "a b", "a*", "*", ">", "a.>", "a@b", "a:b", "a\r\nPUB x", "a\n", b"a"):
            with self.assertRaisesRegex(SubjectError, "not a key"):
                check_key(key)  # type: ignore[arg-type]

    def test_patterns(self) -> None:
        for pattern in ("a", "a.b", "*", ">", "a.*.c", "*.>", "a.>"):
            self.assertEqual(check_key_pattern(pattern), pattern)
        for pattern in ("", ">.a", "a*", "a.*b", ".>", "a..>", "a b"):
            with self.assertRaisesRegex(SubjectError, "not a pattern"):
                check_key_pattern(pattern)

    def test_disjoint(self) -> None:
        self.assertEqual(disjoint(["a", "b.*", "a"]), ("a", "b.*"))
        self.assertEqual(disjoint(["a.*", "*.b"]), (">",))
        self.assertEqual(disjoint([">"]), (">",))

    def test_subjects(self) -> None:
        self.assertEqual((stream_of("b"), subject_of("b", "a.c")), ("KV_b", "$KV.b.a.c"))
        self.assertEqual([key_of(one) for one in ("$KV.b.a.c", "$KV.b", "x.y.z")], ["a.c", "", ""])
        self.assertEqual([bucket_of(one) for one in ("$KV.b.a.c", "$KV.b", "x.y.z")], ["b", "b", ""])

    def test_operations(self) -> None:
        """A mark of the server has another header than that of a client."""
        for headers, expected in (
            ({}, "put"),
            ({"KV-Operation": "DEL"}, "delete"),
            ({"KV-Operation": "PURGE"}, "purge"),
            ({"Nats-Marker-Reason": "MaxAge"}, "purge"),
            ({"Nats-Marker-Reason": "Remove"}, "delete"),
            ({"Nats-Marker-Reason": "Something"}, "purge"),
        ):
            self.assertEqual(operation_of(Headers({name: [value] for name, value in headers.items()})), expected)
