"""natsroute.monitoring.log_levels"""

from __future__ import annotations

from typing import Any

from twisted.logger import LogEvent, LogLevel
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import SettingError
from natsroute.monitoring.log_levels import LEVELS, LogLevels, parse_rule


def event(namespace: Any, level: str) -> LogEvent:
    return {"log_namespace": namespace, "log_level": LogLevel.lookupByName(level)}


class LogLevelsTests(SynchronousTestCase):
    """Which events are allowed."""

    def least(self, levels: LogLevels, namespace: Any) -> str:
        """The lowest level that is allowed; those above it are too."""
        allowed = [level for level in LEVELS if levels.allows(event(namespace, level))]
        self.assertEqual(allowed, list(LEVELS[LEVELS.index(allowed[0]) :]))
        return allowed[0]

    def test_default(self) -> None:
        self.assertEqual(self.least(LogLevels(), "natsroute.client"), "info")
        self.assertEqual(LogLevels().rules, ("info",))

    def test_all_levels(self) -> None:
        for level in LEVELS:
            self.assertEqual(self.least(LogLevels([level]), "x"), level)

    def test_namespaces(self) -> None:
        """A rule is for a namespace and those within it; the longest counts, in any order."""
        for rules in (
            ["error", "natsroute.client=warn", "natsroute.client.connection=debug"],
            ["natsroute.client.connection=debug", "natsroute.client=warn", "error"],
        ):
            levels = LogLevels(rules)
            for namespace, expected in [
                ("natsroute.client.connection.Connection", "debug"),
                ("natsroute.client.connection", "debug"),
                ("natsroute.client.connections", "warn"),
                ("natsroute.client", "warn"),
                ("natsroute.clients", "error"),
                ("natsroute", "error"),
                ("", "error"),
            ]:
                self.assertEqual(self.least(levels, namespace), expected, namespace)

    def test_changes(self) -> None:
        """Other rules stay; what was asked for before has the new level."""
        levels = LogLevels(["warn", "a=debug"])
        self.assertEqual(self.least(levels, "a.b"), "debug")
        levels.change(["a.b=error", "c=critical"])
        self.assertEqual(
            [self.least(levels, one) for one in ("a.b", "a", "c", "d")], ["error", "debug", "critical", "warn"]
        )
        self.assertEqual(levels.rules, ("warn", "a=debug", "a.b=error", "c=critical"))
        levels.change(["a.b=default", "nothing=default", "default"])
        self.assertEqual((self.least(levels, "a.b"), self.least(levels, "d")), ("debug", "info"))
        self.assertEqual(levels.rules, ("info", "a=debug", "c=critical"))

    def test_the_last_rule_counts(self) -> None:
        self.assertEqual(LogLevels(["a=debug", "a=warn", "error", "debug"]).rules, ("debug", "a=warn"))

    def test_malformed(self) -> None:
        """Nothing has changed then; the text of the rule is escaped."""
        levels = LogLevels(["a=warn"])
        for rule in ("", "warning", "=warn", " = warn", "a=", "a=loud", "a", "warn=a"):
            self.assertRaises(SettingError, levels.change, ["debug", rule])
        self.assertEqual(levels.rules, ("info", "a=warn"))
        error = self.assertRaises(SettingError, levels.change, ["\x1b[2J" * 1000])
        self.assertTrue(str(error).isprintable())
        self.assertLess(len(str(error)), 500)

    def test_spaces_and_capitals(self) -> None:
        self.assertEqual([parse_rule(rule) for rule in (" WARN ", "a.B = Debug")], [("", "warn"), ("a.B", "debug")])

    def test_events_of_others(self) -> None:
        """Without a level or a namespace, or with strange ones, an event counts as info of no namespace."""
        for strange in ({}, {"log_namespace": 5, "log_level": "x"}, {"log_level": None, "log_namespace": None}):
            self.assertTrue(LogLevels().allows(strange))
            self.assertFalse(LogLevels(["warn"]).allows(strange))

    def test_many_namespaces(self) -> None:
        """What is remembered is bounded."""
        levels = LogLevels(["x5000=error"])
        for number in range(10_000):
            levels.allows(event(f"x{number}", "info"))
        self.assertLessEqual(len(levels._ranks), 1000)
        self.assertEqual(self.least(levels, "x5000"), "error")
