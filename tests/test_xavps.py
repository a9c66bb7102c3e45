"""natsroute.kamailio.xavps"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.xavps import Fields, Xavps


class FieldsTests(SynchronousTestCase):
    """Named values, the newest first."""

    def make(self) -> Fields:
        fields = Fields()
        for name, value in ((b"a", 1), (b"b", b"x"), (b"a", 2), (b"a", 3)):
            fields.add(name, value)
        return fields

    def test_order(self) -> None:
        """Index 0 is the newest, -1 the oldest."""
        fields = self.make()
        found = [fields.get(b"a", index) for index in (0, 1, 2, 3, -1, -3, -4)]
        self.assertEqual(found, [3, 2, 1, None, 1, 3, None])
        self.assertEqual((fields.all(b"a"), fields.all(b"c"), len(fields)), ([3, 2, 1], [], 4))

    def test_replace(self) -> None:
        """Only what is there."""
        fields = self.make()
        self.assertEqual([fields.replace(b"a", 1, b"new"), fields.replace(b"a", 3, 0), fields.replace(b"a", -1, 0)],
                         [True, False, False])  # fmt: skip
        self.assertEqual(fields.all(b"a"), [3, b"new", 1])

    def test_remove(self) -> None:
        """One, or all of a name."""
        fields = self.make()
        fields.remove(b"a")
        fields.remove(b"a", 1)
        fields.remove(b"a", 5)
        self.assertEqual(fields.all(b"a"), [2])
        fields.remove_all(b"a")
        self.assertEqual((fields.all(b"a"), fields.all(b"b")), ([], [b"x"]))

    def test_in_each_other(self) -> None:
        """A value can be a list."""
        xavps, fields = Xavps(), self.make()
        xavps.add(b"list", fields)
        self.assertIs(xavps.get(b"list"), fields)
