"""natsroute.services.identity"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from twisted.trial.unittest import SynchronousTestCase

from natsroute.services.identity import ServiceIdentity, is_version, new_id
from natsroute.wire.subjects import check_subject


class VersionTests(SynchronousTestCase):
    """Semantic versions; most of these are the examples of semver.org."""

    def test_versions(self) -> None:
        for version in (
            *("0.0.0", "1.2.3", "10.20.30", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-0A.is.legal", "1.0.0-rc.1+build.1"),
            *("1.1.2+meta", "1.2.3----RC-SNAPSHOT.12.9.1--.12", "1.0.0+0.build.1-rc.10000aaa-kk-0.1", "1.0.0--"),
            "99999999999999999999999.999999999999999999.99999999999999999",
        ):
            self.assertTrue(is_version(version), version)

    def test_others(self) -> None:
        for version in (
            *("", "1", "1.2", "v1.2.3", "1.2.3.4", "01.1.1", "1.01.1", "1.1.01", "1.2.3-01", "1.2.3-a..b", "1.2.3-"),
            *("1.2.3+", "1.2.3+a+b", "1.2.3 ", "1.2.3\n", " 1.2.3", "1.2.3-ä", "\u0661.2.3", "1.2.-3", "a.b.c"),
        ):
            self.assertFalse(is_version(version), version)

    def test_hostile(self) -> None:
        """A long text that is no version is refused in no time."""
        self.assertFalse(is_version("1.0.0-" + "0." * 50_000))
        self.assertFalse(is_version("1.0.0-" + "0a" * 50_000 + "_"))


class IdentityTests(SynchronousTestCase):
    """An instance."""

    def test_ids(self) -> None:
        """They differ, and are tokens of a subject."""
        ids = {new_id() for _ in range(1000)}
        self.assertEqual(len(ids), 1000)
        for one in ids:
            check_subject(f"a.{one}")
            self.assertEqual((len(one), one.isalnum()), (22, True))

    def test_json(self) -> None:
        identity = ServiceIdentity("calc", "1.0.0", "adds", {"site": "fra"}, "a1")
        self.assertEqual(
            identity.as_json(), {"name": "calc", "id": "a1", "version": "1.0.0", "metadata": {"site": "fra"}}
        )

    def test_started(self) -> None:
        """In UTC, and with a fraction even where that is 0."""
        moment = datetime(2026, 11, 26, 21, 0, tzinfo=timezone(timedelta(hours=1)))
        self.assertEqual(ServiceIdentity("a", "1.0.0", started=moment).started_text, "2026-11-26T20:00:00.000000Z")
        before = datetime.now(timezone.utc)
        age = ServiceIdentity("a", "1.0.0").started - before
        self.assertTrue(timedelta(0) <= age < timedelta(minutes=1))
