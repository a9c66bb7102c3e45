"""natsroute.kamailio.script.functions.absent"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.script.functions import FUNCTIONS
from natsroute.kamailio.script.functions.absent import ABSENT, remedy_for
from tests.support.scripts import ScriptTestCase


class AbsentTests(SynchronousTestCase):
    """What is not there."""

    def test_complete(self) -> None:
        """All texts are there, and the most used groups come first."""
        for group in ABSENT:
            self.assertTrue(group.names and group.reason and group.instead)
            self.assertFalse(group.instead.endswith("."))
        self.assertEqual([group.uses for group in ABSENT], sorted((group.uses for group in ABSENT), reverse=True))

    def test_names(self) -> None:
        """By name and by beginning."""
        for name, remedy in (
            ("sql_query", "@script_function"),
            ("kazoo_publish", "nats_publish()"),
            ("registered", "Publish a message to Kamailio"),
            ("t_continue", "SIP transactions"),
        ):
            self.assertIn(remedy, remedy_for(name) or "", name)
        for name in ("sqlquery", "my_sql_query", "registered2", "xlogg"):
            self.assertIsNone(remedy_for(name), name)


class ScriptTests(ScriptTestCase):
    """What a script's author reads."""

    def test_remedy(self) -> None:
        """An error at the start says what to do instead."""
        self.assert_error('sql_query("a", "b");', 1, 1, "unknown function sql_query()", "no databases of its own")
        self.assert_error("xlogg();", 1, 1, "unknown function xlogg()", "xlog")

    def test_exists(self) -> None:
        """A function that is there comes before a group that its name fits."""
        self.assertIsNotNone(remedy_for("avp_printf"))
        self.assertIn("avp_printf", FUNCTIONS)
        self.run_script('avp_printf("$avp(a)", "x");')
