"""natsroute.kamailio.script.differences"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.differences import DIFFERENCES
from natsroute.kamailio.script.differences import SCRIPT_DIFFERENCES
from tests.support.scripts import ScriptTestCase


class DifferenceTests(SynchronousTestCase):
    """The list that the documentation shows."""

    def test_complete(self) -> None:
        """Each says everything, in one line, and no two have the same name."""
        for difference in SCRIPT_DIFFERENCES:
            texts = (difference.about, difference.kamailio, difference.natsroute, difference.reason)
            self.assertTrue(all(texts), difference.name)
            self.assertFalse(any("\n" in text or text.endswith(".") for text in texts), difference.name)
        names = [difference.name for difference in (*DIFFERENCES, *SCRIPT_DIFFERENCES)]
        self.assertEqual(len(names), len(set(names)))


class BehaviourTests(ScriptTestCase):
    """What natsroute does, where no other test has it."""

    def test_expanded_once(self) -> None:
        """A payload cannot read variables."""
        self.run_script('nats_publish("out", $natsData); nats_publish("out", "$natsData");', b"$env(HOME) $var(x)")
        self.assertEqual(self.published, [("out", b"$env(HOME) $var(x)")] * 2)

    def test_64_bits(self) -> None:
        self.assertEqual(self.value_of("2147483647 + 1"), 2**31)
        self.assertEqual(self.value_of("1 << 40"), 2**40)

    def test_selval(self) -> None:
        self.assertEqual(self.value_of('selval(1, "a", 2) + "b"'), b"ab")
        self.assertEqual(self.value_of("selval(0, 1, 2) == 2"), 1)

    def test_default(self) -> None:
        self.assertEqual(self.run_script('switch ($natsData) { default: show(1); case "a": show(2); }'), [1, 2])
        self.assertEqual(self.run_script("switch ($natsData) { default: show(1); }"), [1])

    def test_empty_blocks(self) -> None:
        self.assertEqual(self.run_script("if (1) { } else { } while (0) { } show(1);"), [1])
