"""natsroute.daemon.settings.jetstream_settings"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import NatsrouteService, Settings
from natsroute.errors import SettingError
from tests.support.memory_reactor import Reactor


class WhereTheApiIsTests(SynchronousTestCase):
    """Domain and prefix."""

    def prefix(self, **settings: Any) -> str:
        """What the subjects of the API begin with, in a service with these settings."""
        return NatsrouteService(Settings(**settings), reactor=Reactor())._sending.jetstream_api.prefix

    def test_prefixes(self) -> None:
        self.assertEqual(self.prefix(), "$JS.API")
        self.assertEqual(self.prefix(jetstream_domain="hub"), "$JS.hub.API")
        self.assertEqual(self.prefix(jetstream_api_prefix="from.hub"), "from.hub")

    def test_both(self) -> None:
        error = self.assertRaises(SettingError, Settings, jetstream_domain="hub", jetstream_api_prefix="from.hub")
        self.assertEqual((error.setting, error.value), ("jetstream_api_prefix", "from.hub"))

    def test_what_is_no_name(self) -> None:
        for value in ("a.b", "a b", "*", 7):
            error = self.assertRaises(SettingError, Settings, jetstream_domain=value)
            self.assertIn("Give ", error.remedy)
        for value in ("a..b", "a b", "$JS.*"):
            self.assertRaises(SettingError, Settings, jetstream_api_prefix=value)
