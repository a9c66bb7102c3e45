"""natsroute.kamailio.remembering"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.remembering import MAX_REMEMBERED_LENGTH, remember_short


class RememberTests(SynchronousTestCase):
    """What is remembered."""

    def test_short_values(self) -> None:
        """They are parsed once, with each parameter; long ones each time."""
        parsed: list[tuple[int, int]] = []

        @remember_short
        def parse(value: bytes, factor: int = 1) -> int:
            parsed.append((len(value), factor))
            return len(value) * factor

        short, long = b"x" * MAX_REMEMBERED_LENGTH, b"x" * (MAX_REMEMBERED_LENGTH + 1)
        for _ in range(2):
            self.assertEqual([parse(short), parse(short, 2), parse(long)], [len(short), 2 * len(short), len(long)])
        self.assertEqual(parsed, [(len(short), 1), (len(short), 2), (len(long), 1), (len(long), 1)])

    def test_name(self) -> None:
        """The function keeps its name and its docstring."""

        @remember_short
        def parse(value: bytes) -> bytes:
            """Words."""
            return value

        self.assertEqual((parse.__name__, parse.__doc__), ("parse", "Words."))
