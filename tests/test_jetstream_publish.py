"""natsroute.daemon.sending.jetstream_publish: what a service publishes to streams with."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute import NatsrouteService, Settings
from natsroute.errors import MisuseError, PublisherStoppedError, SettingError
from tests.support.memory_reactor import Reactor


class JetStreamPublishTests(SynchronousTestCase):
    """A service that has not reached a server."""

    def service(self, **settings: object) -> NatsrouteService:
        """A service that was started."""
        self.reactor = Reactor()
        service = NatsrouteService(Settings(num_publish_workers=1, **settings), reactor=self.reactor)  # type: ignore[arg-type]
        service.startService()
        self.addCleanup(service.stopService)
        return service

    def purposes(self, service: NatsrouteService) -> list[str]:
        """What the connections that it needs are for."""
        return [row.purpose for row in service.overview().connections]

    def test_not_needed(self) -> None:
        """Without a message to a stream there is nothing of it."""
        service = self.service()
        self.assertEqual(self.purposes(service), ["publish worker 1"])
        self.assertEqual([row.name for row in service.overview().workers], ["publish worker 1"])

    def test_needed(self) -> None:
        """The settings name subjects of streams, so the service is not ready without it."""
        service = self.service(jetstream_publish=["calls.>"])
        self.assertEqual(self.purposes(service), ["publish worker 1", "stream publisher"])
        self.assertIn("stream publisher", [reason.about for reason in service.overview().reasons])

    def test_ledger_and_overview(self) -> None:
        """Messages to streams count."""
        service = self.service(jetstream_publish=["calls.>"])
        wait, other = service.publish("calls.a", b"x" * 100), service.publish("b", b"", stream=True)
        self.assertEqual(service.ledger().publisher.in_progress, 2)
        self.assertEqual(service.ledger().differences(), [])
        row = service.overview().workers[-1]
        self.assertEqual((row.name, row.published, row.in_progress), ("stream publisher", 2, 2))
        self.assertGreater(row.bytes_held, 100)
        service.publisher.stop(5.0)
        self.assertNoResult(wait)
        self.reactor.advance(5.0)
        for failed in (wait, other):
            self.failureResultOf(failed, PublisherStoppedError)
        self.assertEqual(service.ledger().publisher.failed, 2)

    def test_misuse(self) -> None:
        self.failureResultOf(self.service().publish("a", b"", ttl=5), MisuseError)

    def test_settings(self) -> None:
        """Patterns, one or several."""
        self.assertEqual(Settings(jetstream_publish="a.>, b.*").jetstream_publish, ("a.>", "b.*"))
        self.assertEqual(Settings(jetstream_publish=["a", "b"]).jetstream_publish, ("a", "b"))
        error = self.assertRaises(SettingError, Settings, jetstream_publish="a..b")
        self.assertEqual(error.setting, "jetstream_publish")
        self.assertRaises(SettingError, Settings, jetstream_publish_window=0)
        self.assertRaises(SettingError, Settings, jetstream_publish=5)
