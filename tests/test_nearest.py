"""natsroute.nearest"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.nearest import did_you_mean, or_nearest


class NearestTests(SynchronousTestCase):
    """did_you_mean()"""

    def test_near(self) -> None:
        """The nearest, and always the same."""
        for known in (["--nats_url", "--nats_urls", "--user"], {"--user", "--nats_urls", "--nats_url"}):
            self.assertEqual(did_you_mean("--nats_ulr", known, "no", prefix="--"), "Did you mean --nats_url?")

    def test_none_is_near(self) -> None:
        """A long prefix that all names have makes none of them similar."""
        self.assertEqual(did_you_mean("NATS_ZZZ", ["NATS_TLS"], "List them", prefix="NATS_"), "List them")
        self.assertEqual(did_you_mean("", [], "List them", prefix=""), "List them")


class OrNearestTests(SynchronousTestCase):
    """or_nearest()"""

    def test_near(self) -> None:
        self.assertEqual(or_nearest("natsDat", ["natsData", "null"], "$"), "$natsDat (did you mean $natsData?)")

    def test_none_is_near(self) -> None:
        """Short names that have a letter in common are not near, and long texts are no names."""
        for name in ("nope", "", "natsData" * 10):
            self.assertEqual(or_nearest(name, ["natsData", "op", "null", "natsData" * 9], "$"), f"${name}")
