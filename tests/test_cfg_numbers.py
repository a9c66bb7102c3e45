"""natsroute.kamailio.cfg.numbers"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.cfg.numbers import number_of


class NumberTests(SynchronousTestCase):
    """What is a number, and which."""

    def test_numbers(self) -> None:
        for word, number in [
            ("0", 0), ("10", 10), ("0x1F", 31), ("010", 8), ("00", 0), ("101b", 5), ("1b", 1), ("yes", 1), ("true", 1),
            ("on", 1), ("enable", 1), ("no", 0), ("false", 0), ("off", 0), ("disable", 0), (str(2**63 - 1), 2**63 - 1),
        ]:  # fmt: skip
            self.assertEqual(number_of(word), number, word)

    def test_no_numbers(self) -> None:
        """Nor what has more than 64 bits, however long it is."""
        for word in ["", "x", "Yes", "08", "0x", "0X1F", "12abc", "b", "2b", "-1", str(2**63), "1" * 5000, "\u0663"]:
            self.assertIs(number_of(word), None, word[:20])
