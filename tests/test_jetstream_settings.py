"""natsroute.daemon.settings.jetstream_settings"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import NatsrouteService, Settings
from natsroute.daemon.settings.jetstream_entries import ConsumerEntry, StreamEntry
from natsroute.errors import SettingError
from natsroute.jetstream.management.configs import StreamConfig
from tests.support.memory_reactor import Reactor


class EntryTests(SynchronousTestCase):
    """Streams and consumers."""

    def test_several(self) -> None:
        """Commas separate them, as in a variable."""
        settings = Settings.from_environment(
            {
                "NATSROUTE_JETSTREAM_CONSUMER": "calls:billing, calls:cdr=>ack_wait=5",
                "NATSROUTE_JETSTREAM_STREAM": "calls=>subjects=calls.> cdr.*;max_age=7d,other",
                "NATSROUTE_JETSTREAM_CREATE": "1",
            }
        )
        self.assertEqual([*map(str, settings.jetstream_consumer)], ["calls:billing", "calls:cdr"])
        self.assertEqual([*map(str, settings.jetstream_stream)], ["calls", "other"])
        self.assertEqual((settings.jetstream_create, settings.jetstream_update), (True, False))

    def test_values(self) -> None:
        """A program may give values instead of texts."""
        stream, consumer = StreamEntry(StreamConfig(name="calls")), ConsumerEntry("calls", "billing")
        settings = Settings(jetstream_stream=stream, jetstream_consumer=[consumer, "calls:cdr"])
        self.assertEqual(settings.jetstream_stream, (stream,))
        self.assertEqual(settings.jetstream_consumer, (consumer, ConsumerEntry.parse("calls:cdr")))
        self.assertEqual(consumer, ConsumerEntry.parse("calls:billing"))

    def test_twice(self) -> None:
        for settings in (
            {"jetstream_stream": "a,a=>max_age=1"},
            {"jetstream_consumer": ["a:b", "a:b=>ack_wait=1"]},
            {"jetstream_replay": "a,a"},
        ):
            error = self.assertRaises(SettingError, Settings, **settings)
            self.assertIn("given twice", str(error))

    def test_not_text(self) -> None:
        for settings in ({"jetstream_stream": [7]}, {"jetstream_consumer": 7}, {"jetstream_replay": 7}):
            self.assertRaises(SettingError, Settings, **settings)


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
