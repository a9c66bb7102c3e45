"""natsroute.console.setting_arguments"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from twisted.trial.unittest import SynchronousTestCase

from natsroute.console.commands import ExitCode
from natsroute.console.session import ConsoleError
from natsroute.console.setting_arguments import CONNECTION, ROUTING, add_setting_arguments, settings_of
from natsroute.daemon.settings.settings import SETTING_FIELDS


class SettingArgumentsTests(SynchronousTestCase):
    """Settings on the command line of another command than run."""

    def parse(self, *words: str) -> Namespace:
        parser = ArgumentParser(allow_abbrev=False)
        add_setting_arguments(parser, [*CONNECTION, *ROUTING], "title")
        self.help = parser.format_help()
        return parser.parse_args(words)

    def test_settings(self) -> None:
        """As those of a service: command line, then environment, then defaults."""
        arguments = self.parse("--nats-url", "nats://a", "--connect_timeout", "7", "--keep_url_order")
        settings = settings_of(arguments, {"NATSROUTE_CONNECT_TIMEOUT": "8", "NATSROUTE_TOKEN": "t"})
        self.assertEqual([server.host for server in settings.servers], ["a"])
        self.assertEqual((settings.connect_timeout, settings.token), (7.0, "t"))
        self.assertTrue(settings.keep_url_order)
        self.assertEqual(settings_of(self.parse(), {}).connect_timeout, 2.0)

    def test_help(self) -> None:
        """It has each of them, and % is not a format."""
        self.parse()
        for name in (*CONNECTION, *ROUTING):
            self.assertIn(f"--{name}", self.help)
        self.assertIn("title", self.help)

    def test_names(self) -> None:
        self.assertLessEqual({"nats_url", "tls", "client_name", "creds_file"}, set(CONNECTION))
        self.assertLessEqual({"event_routes", "kamailio_cfg", "kemi_script", "subject_queue_group"}, set(ROUTING))
        self.assertEqual([name for name in CONNECTION if "embedded" in name], [])
        self.assertEqual(set(CONNECTION) & set(ROUTING), set())
        self.assertLessEqual({*CONNECTION, *ROUTING}, set(SETTING_FIELDS))

    def test_mistakes(self) -> None:
        """They name where they come from, and never a password."""
        error = self.assertRaises(ConsoleError, settings_of, self.parse("--nats_url", "http://u:hunter2@a"), {})
        self.assertEqual(error.code, ExitCode.FAILED)
        self.assertIn("(from --nats_url)", str(error))
        self.assertNotIn("hunter2", str(error))
        error = self.assertRaises(ConsoleError, settings_of, self.parse(), {"NATSROUTE_NATS_URLS": "x"})
        self.assertIn("there is no such setting", str(error))
