"""natsroute.publishing.options"""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.errors import SettingError
from natsroute.publishing.options import PUBLISH_POLICIES, PublishLimits, check_policy


class OptionsTests(SynchronousTestCase):
    """Values that a program may leave out, and cannot change afterwards."""

    def test_limits(self) -> None:
        """The defaults, which are those of the settings."""
        self.assertEqual(PublishLimits(), PublishLimits(65_536, 8 * 1024 * 1024, 3600.0, "keep", 0.25))
        self.assertEqual(PublishLimits(), Settings().publish_limits)

    def test_policies(self) -> None:
        """The default comes first."""
        self.assertEqual(PUBLISH_POLICIES, ("keep", "fail", "drop"))

    def test_check_policy(self) -> None:
        for policy in ("keep", "fail", "drop"):
            check_policy(policy)
        self.assertRaises(SettingError, check_policy, "hope")

    def test_frozen(self) -> None:
        limits = PublishLimits()
        with self.assertRaises(attrs.exceptions.FrozenInstanceError):
            limits.messages = 1  # type: ignore[misc]
