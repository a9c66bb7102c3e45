"""natsroute.daemon.subject_warnings"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.daemon.subject_warnings import subject_warnings


class SubjectWarningsTests(SynchronousTestCase):
    """Consumers and routes that are probably mistakes."""

    def warnings(self, entries: list[str], *names: str) -> list[str]:
        """The warnings for these subject_queue_groups and routes."""
        return list(subject_warnings([QueueEntry.parse(entry) for entry in entries], names))

    def test_routes_that_nothing_reaches(self) -> None:
        """Their subject is not subscribed to. Connection events need no subscription."""
        self.assertEqual(
            self.warnings(["a.*:q"], "nats:a.b", "nats:a.>", "nats:b.*", "nats:c", "nats:connected"),
            ["No subject_queue_group reaches these event routes: nats:b.*, nats:c"],
        )
        many = [f"nats:c.{number}" for number in range(1000)]
        [line] = self.warnings(["a.*:q"], "nats:a.b", *many)
        self.assertTrue(line.endswith("nats:c.9, and 990 more"), line)

    def test_entries_that_overlap(self) -> None:
        """
        Two groups both get each message, and so do two plain subscriptions. Members of one group share them, which is
        what two equal entries are for; others lose the order. tests.integration.test_promises asks the server.
        """
        routes = ("nats:a.>",)
        twice = "overlap: a message that matches both is handled twice"
        for entries, problem in [
            (["a.*:q", "a.b:r"], twice),
            (["a.*:q", "a.b"], twice),
            (["a.*", "a.b"], twice),
            (["a.b", "a.b"], twice),
            (["a.*:q", "a.b:q"], "overlap in one queue group: a message that matches both goes to one of them"),
        ]:
            [line] = self.warnings(entries, *routes)
            self.assertTrue(line.startswith(f"{entries[0]} and {entries[1]} {problem}"), line)
        for entries in (["a.b:q", "a.b:q"], ["a.b:q", "a.c:r"], ["a.*:q", "a.*.c:r"]):
            self.assertEqual(self.warnings(entries, *routes), [])
        self.assertEqual(len(self.warnings([f"a.*:q{number}" for number in range(100)], *routes)), 11)

    def test_a_wildcard_that_is_none(self) -> None:
        """A character of a token is taken literally."""
        self.assertEqual(
            self.warnings(["cal*:q", "a.>"], "nats:cal*", "nats:a.*.x>", "nats:a.*"),
            [
                "cal*:q: '*' and '>' are wildcards only as a whole token. 'cal*' matches only itself",
                "nats:cal*: '*' and '>' are wildcards only as a whole token. 'cal*' matches only itself",
                "nats:a.*.x>: '*' and '>' are wildcards only as a whole token. 'x>' matches only itself",
            ],
        )

    def test_routes_for_changes_of_buckets(self) -> None:
        """They are reached without a ``subject_queue_group``."""
        self.assertEqual(self.warnings(["a"], "nats:a", "kv:b:*"), [])

    def test_without_a_consumer(self) -> None:
        """Nothing is reached, which has a warning of its own."""
        self.assertEqual(self.warnings([], "nats:a"), [])
