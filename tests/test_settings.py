"""natsroute.daemon.settings"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.client.auth import Credentials
from natsroute.client.servers import Server
from natsroute.daemon.settings import QueueEntry
from natsroute.errors import SettingError


class SettingsTests(SynchronousTestCase):
    """The modparams, validated."""

    def test_defaults_are_the_modules(self) -> None:
        settings = Settings()
        self.assertEqual(settings.servers, (Server("127.0.0.1", 4222),))
        self.assertEqual((settings.num_publish_workers, settings.subject_queue_group), (2, ()))
        self.assertEqual((settings.backoff.wait, settings.backoff.jitter), (2.0, 0.1))
        timing = settings.timing
        self.assertEqual((timing.connect_timeout, timing.ping_interval, timing.max_pings_outstanding), (2.0, 120.0, 2))

    def test_several_servers(self) -> None:
        """Repeated, with commas, or both; a comma in a password separates nothing."""
        settings = Settings(nats_url=["nats://a,nats://b:1", "nats://u:p,w@c"])
        self.assertEqual(
            settings.servers, (Server("a"), Server("b", 1), Server("c", credentials=Credentials("u", "p,w")))
        )
        self.assertEqual(Settings(nats_url="nats://a").servers, (Server("a"),))

    def test_subject_and_queue_group(self) -> None:
        """Split at the first colon; duplicates stay; without a group a plain subscription."""
        entries = Settings(subject_queue_group=["Kamailio-World:2021", "a.*:q:x", "b", "b"]).subject_queue_group
        self.assertEqual(
            entries,
            (QueueEntry("Kamailio-World", "2021"), QueueEntry("a.*", "q:x"), QueueEntry("b"), QueueEntry("b")),
        )
        self.assertEqual([str(entry) for entry in entries], ["Kamailio-World:2021", "a.*:q:x", "b", "b"])

    def test_numbers_may_be_text(self) -> None:
        settings = Settings(num_publish_workers="3", connect_timeout="0.5", embedded_server="yes")
        self.assertEqual(
            (settings.num_publish_workers, settings.connect_timeout, settings.embedded_server), (3, 0.5, True)
        )

    def test_what_cannot_be(self) -> None:
        """One error each, with setting, value and remedy."""
        bad: list[tuple[str, Any, str]] = [
            ("nats_url", "http://a", "'http' is not one of NATS"),
            ("nats_url", "nats://a,b", "cannot be a name"),
            ("nats_url", "", "no scheme"),
            ("subject_queue_group", ":q", "empty"),
            ("subject_queue_group", "a:", "empty"),
            ("subject_queue_group", "", "empty"),
            ("subject_queue_group", "a b:q", "white space"),
            ("subject_queue_group", "a:q q", "white space"),
            ("subject_queue_group", "a..b", "empty token"),
            ("subject_queue_group", "a.>.b:q", "only be last"),
            ("num_publish_workers", 0, "at least 1"),
            ("num_publish_workers", -1, "at least 1"),
            ("num_publish_workers", "two", "not a whole number"),
            ("num_publish_workers", "1.5", "not a whole number"),
            ("connect_timeout", 0, "at least"),
            ("connect_timeout", "nan", "number of seconds"),
            ("connect_timeout", "inf", "number of seconds"),
            ("ping_interval", None, "number of seconds"),
            ("publish_max_bytes", 0, "at least 1"),
            ("embedded_server", "perhaps", "neither yes nor no"),
        ]
        for name, value, problem in bad:
            given = [value] if name == "subject_queue_group" else value
            error = self.assertRaises(SettingError, Settings, **{name: given})
            self.assertEqual(error.setting, name)
            self.assertIn(problem, str(error))
            self.assertTrue(error.remedy)

    def test_what_contradicts_itself(self) -> None:
        both = self.assertRaises(SettingError, Settings, embedded_server=True, nats_url="nats://a")
        self.assertIn("Leave one of them out", str(both))
        both = self.assertRaises(SettingError, Settings, event_callback="a.b", event_routes="c.py")
        self.assertIn("Leave one of them out", str(both))

    def test_no_password_in_repr(self) -> None:
        settings = Settings(nats_url="nats://user:hunter2@host", subject_queue_group="a:q")
        self.assertEqual(repr(settings), "<Settings for nats://host:4222; a:q>")


class EnvironmentTests(SynchronousTestCase):
    """The same from variables."""

    def test_variables(self) -> None:
        settings = Settings.from_environment(
            {
                "NATSROUTE_NATS_URL": "nats://u:p@a,nats://b",
                "NATSROUTE_SUBJECT_QUEUE_GROUP": "a:q,b",
                "NATSROUTE_NUM_PUBLISH_WORKERS": "4",
                "NATSROUTE_EVENT_CALLBACK": "",
                "HOME": "/",
            }
        )
        self.assertEqual([server.host for server in settings.servers], ["a", "b"])
        self.assertEqual(settings.subject_queue_group, (QueueEntry("a", "q"), QueueEntry("b")))
        self.assertEqual((settings.num_publish_workers, settings.event_callback), (4, ""))

    def test_what_is_given_goes_before(self) -> None:
        settings = Settings.from_environment({"NATSROUTE_NUM_PUBLISH_WORKERS": "4"}, num_publish_workers=1)
        self.assertEqual(settings.num_publish_workers, 1)

    def test_a_variable_that_is_no_setting(self) -> None:
        """A slip of the pen is not passed over, and what it holds is not shown."""
        error = self.assertRaises(SettingError, Settings.from_environment, {"NATSROUTE_NATS_URLS": "nats://u:pw@a"})
        self.assertIn("NATSROUTE_NATS_URL,", str(error))
        self.assertNotIn("pw", str(error))
