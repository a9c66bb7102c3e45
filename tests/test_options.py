"""natsroute.daemon.options"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from natsroute import NatsrouteService, __version__
from natsroute.daemon import options as options_module
from natsroute.daemon.code.check_code import CheckedCode
from natsroute.daemon.options import CommandLine, Options, makeService, service_from_environment
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.daemon.settings.settings import SETTING_FIELDS, Settings
from natsroute.daemon.settings.sources import Given
from tests.support.environment import without_settings


class _WithoutVariables(SynchronousTestCase):
    """Variables of the shell that runs the tests are ignored."""

    def setUp(self) -> None:
        self.patch(os, "environ", without_settings())


#: Values for settings that do not accept any word.
VALUES = {
    "service_metadata": "a=b",
    "service_version": "1.0.0",
    "http_listen": "8080",
    "kamailio_cfg": os.devnull,
    "jetstream_consumer": "calls:billing",
    "log_format": "json",
    "log_level": "warn",
    "admin_subject_methods": "reload",
    "nats_url": "nats://a",
    "pending_policy": "drop_newest",
    "publish_policy": "fail",
    "tracing_sample_ratio": "0.5",
}
#: Other settings that a setting requires.
NEEDED = {
    "admin_subject_methods": ("--admin_subject", "a"),
    "cpu_affinity": ("--processes", "2"),
    "embedded_server_port": ("--embedded_server",),
    "embedded_server_store_dir": ("--embedded_server",),
    "http_password": ("--http_listen", "0", "--http_user", "u"),
    "http_tls_cert_file": ("--http_listen", "0", "--http_tls_key_file", "x"),
    "http_tls_key_file": ("--http_listen", "0", "--http_tls_cert_file", "x"),
    "http_user": ("--http_listen", "0", "--http_password", "p"),
    "kemi_script": ("--event_callback", "on_event"),
    "password": ("--user", "u"),
    "service_name": ("--service_version", "1.0.0"),
    "service_description": ("--service_name", "s", "--service_version", "1.0.0"),
    "service_metadata": ("--service_name", "s", "--service_version", "1.0.0"),
    "service_version": ("--service_name", "s"),
    "tls_ca_file": ("--tls", "1"),
    "tls_cert_file": ("--tls", "1", "--tls_key_file", "x"),
    "tls_key_file": ("--tls", "1", "--tls_cert_file", "x"),
    "tls_expected_hostname": ("--tls", "1"),
    "tls_first": ("--tls", "1"),
}


class OptionsTests(_WithoutVariables):
    """The command line of twistd natsroute."""

    def parse(self, *arguments: str) -> Settings:
        options = Options()
        options.parseOptions(list(arguments))
        return options.settings

    def message(self, *arguments: str) -> str:
        """The message with which the program ends."""
        ending = self.assertRaises(SystemExit, self.parse, *arguments)
        self.assertIsInstance(ending.code, str)  # Python prints it and ends with exit code 1
        return str(ending.code)

    def test_names_of_the_modparams(self) -> None:
        settings = self.parse(
            *("--nats_url", "nats://a"),
            *("--nats_url=nats://b",),
            *("--subject_queue_group", "Kamailio-World:2021"),
            *("--subject_queue_group", "Kamailio-World:2021"),
            *("--num_publish_workers", "3"),
            *("--event_callback", "a:b"),
        )
        self.assertEqual([server.host for server in settings.servers], ["a", "b"])
        self.assertEqual(settings.subject_queue_group, (QueueEntry("Kamailio-World", "2021"),) * 2)
        self.assertEqual((settings.num_publish_workers, settings.event_callback), (3, "a:b"))

    def test_commas(self) -> None:
        """They separate the values of each repeatable setting, as in a variable."""
        settings = self.parse(
            *("--subject_queue_group", "a:q,b"),
            *("--event_routes", "c,d"),
            *("--nats_url", "nats://u:p,w@e,nats://f"),
            *("--log_level", "warn,a=info"),
            *("--service_name", "s", "--service_version", "1.0.0", "--service_metadata", "a=b,c=d,e"),
            *("--jetstream_stream", "a=>max_age=1,b", "--jetstream_consumer", "a:c,a:d"),
            *("--jetstream_replay", "a,b=>from=7"),
        )
        self.assertEqual([*map(str, settings.jetstream_stream)], ["a", "b"])
        self.assertEqual([*map(str, settings.jetstream_consumer)], ["a:c", "a:d"])
        self.assertEqual([*map(str, settings.jetstream_replay)], ["replay:a", "replay:b"])
        self.assertEqual(settings.service_metadata, ("a=b", "c=d,e"))
        self.assertEqual(settings.subject_queue_group, (QueueEntry("a", "q"), QueueEntry("b")))
        self.assertEqual(settings.event_routes, ("c", "d"))
        self.assertEqual([server.host for server in settings.servers], ["e", "f"])
        self.assertEqual(settings.log_level, ("warn", "a=info"))
        repeatable = [name for name, field in SETTING_FIELDS.items() if field.metadata["repeatable"]]
        self.assertEqual(
            sorted(repeatable),
            [
                *("admin_subject_methods", "event_routes", "jetstream_consumer", "jetstream_publish"),
                *(
                    "jetstream_replay",
                    "jetstream_stream",
                    "kamailio_htable",
                    "log_level",
                    "nats_url",
                    "service_metadata",
                ),
                "subject_queue_group",
            ],
        )

    def test_dashes(self) -> None:
        settings = self.parse("--nats-url", "nats://a", "--subject-queue-group=a:q", "--keep-url-order")
        self.assertEqual((settings.servers[0].host, settings.keep_url_order), ("a", True))

    def test_each_setting_is_an_option(self) -> None:
        for name, field in SETTING_FIELDS.items():
            # These two must exist: see test_contexts and test_htable_entry.
            if not field.metadata["flag"] and name not in ("nats_context", "kamailio_htable"):
                value = {"int": "7", "float": "7", "bool": "1"}.get(str(field.type), VALUES.get(name, "x"))
                settings = self.parse(f"--{name}", value, *NEEDED.get(name, ()))
                self.assertNotEqual(getattr(settings, name), field.default, name)

    def test_from_the_environment(self) -> None:
        """A password need not be in the process list. The command line wins."""
        self.patch(os, "environ", {"NATSROUTE_NATS_URL": "nats://u:p@a", "NATSROUTE_NUM_PUBLISH_WORKERS": "4"})
        settings = self.parse("--num_publish_workers", "5")
        self.assertEqual((settings.servers[0].host, settings.num_publish_workers), ("a", 5))

    def test_mistakes(self) -> None:
        """One message that says what to do, and exit code 1."""
        for arguments, problem in [
            (["--num_publish_workers", "0"], "num_publish_workers = '0' (from --num_publish_workers): "),
            (["--num-publish-workers=0"], "num_publish_workers = '0' (from --num_publish_workers): "),
            (["--nats_url", "http://u:hunter2@a"], "'http://***@a' (from --nats_url): "),
            (["--nats_ulr", "nats://a"], "option --nats_ulr not recognized. Did you mean --nats_url?"),
            (["--nats-ulr=nats://a"], "option --nats-ulr not recognized. Did you mean --nats_url?"),
            (["--zzz"], "option --zzz not recognized. 'twistd natsroute --help' lists all options"),
            (["--nats_url"], "requires argument"),
            (["start"], "Wrong number of arguments"),
        ]:
            message = self.message(*arguments)
            self.assertTrue(message.startswith("natsroute: "))
            self.assertIn(problem, message)
            self.assertNotIn("hunter2", message)

    def test_help(self) -> None:
        """Every setting has its name and default, and no line is too long for a terminal."""
        text = Options().getUsage(width=80)
        for name, field in SETTING_FIELDS.items():
            self.assertIn(f"--{name}", text)
            if isinstance(field.default, float):
                self.assertIn(str(field.default), text)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_version(self) -> None:
        out = io.StringIO()
        self.patch(sys, "stdout", out)
        ending = self.assertRaises(SystemExit, self.parse, "--version")
        self.assertEqual((ending.code, out.getvalue()), (0, f"natsroute {__version__}\n"))


class CommandLineTests(_WithoutVariables):
    """The command line as a source."""

    def test_values(self) -> None:
        """Options as they were written, with the option as the origin."""
        options = Options()
        options.parseOptions(["--nats-url", "nats://a", "--nats_url=nats://b", "--tls", "1", "--keep_url_order"])
        self.assertEqual(
            CommandLine(options.given).values(),
            {
                "nats_url": Given(["nats://a", "nats://b"], "--nats_url"),
                "tls": Given("1", "--tls"),
                "keep_url_order": Given(True, "--keep_url_order"),
            },
        )

    def test_no_options(self) -> None:
        self.assertEqual(CommandLine(Options().given).values(), {})


class KamailioCfgTests(_WithoutVariables):
    """--kamailio_cfg."""

    def test_from_options(self) -> None:
        """It is a source below the command line."""
        path = Path(self.mktemp())
        path.write_text('modparam("nats", "subject_queue_group", "a:q")\nmodparam("nats", "num_publish_workers", 3)')
        options = Options()
        options.parseOptions(["--kamailio_cfg", str(path), "--num_publish_workers", "5"])
        settings = options.settings
        self.assertEqual((settings.subject_queue_group, settings.num_publish_workers), ((QueueEntry("a", "q"),), 5))

    def test_mistake(self) -> None:
        """One message, with file, line and column."""
        path = Path(self.mktemp())
        path.write_text("\nroute[A] {")
        ending = self.assertRaises(SystemExit, Options().parseOptions, ["--kamailio_cfg", str(path)])
        message = "the block route[A] is never closed. Write the brace that closes it"
        self.assertEqual(ending.code, f"natsroute: {path.absolute()}:2:10: {message}")


SERVERS = "NATS servers: nats://127.0.0.1:4222"


class CheckTests(_WithoutVariables):
    """--check, without a reactor; tests.integration.test_check has a process and servers."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(options_module, "check_code", lambda settings: CheckedCode())

    def check(self, *arguments: str) -> tuple[object, str]:
        """The exit code, and what was printed."""
        output = io.StringIO()
        self.patch(sys, "stdout", output)
        ending = self.assertRaises(SystemExit, Options().parseOptions, list(arguments))
        return ending.code, output.getvalue()

    def test_plan(self) -> None:
        """It is printed, with what the inspections say, and the exit code is 0."""
        self.patch(options_module, "INSPECTIONS", (lambda settings: [f"{len(settings.servers)} server"],))
        code, output = self.check("--check", "--subject_queue_group", "a:q")
        self.assertEqual(code, 0)
        self.assertIn("a        q            1            nothing: no event route\n", output)
        self.assertEqual(output.splitlines()[-1], "warning: 1 server")

    def test_mistake(self) -> None:
        """The exit code is 1, with one message."""
        code, output = self.check("--check", "--event_routes", "no_such_file.py")
        self.assertIn("natsroute: event_routes = ", str(code))
        self.assertEqual(output, "")

    def test_code(self) -> None:
        """It is loaded in another process first. What it prints is shown once, and an error ends the program."""
        path = Path(self.mktemp()).absolute().with_suffix(".py")
        path.write_text("print('a')\nfrom natsroute import EventRoutes\nevent_route = EventRoutes()\n")
        checked = CheckedCode(None, ("a",))
        self.patch(options_module, "check_code", lambda settings: checked)
        code, output = self.check("--check", "--event_routes", str(path))
        self.assertEqual((code, output.splitlines()[:2]), (0, ["printed while it was loaded: a", SERVERS]))
        checked = CheckedCode("it blocks", ("a",))
        expected = ("natsroute: it blocks", "printed while it was loaded: a\n")
        self.assertEqual(self.check("--check", "--event_routes", str(path)), expected)

    def test_inspections(self) -> None:
        """What Python says about the code while they look at it was shown, too: that a string has a wrong escape."""

        def inspect(settings: Settings) -> list[str]:
            print("SyntaxWarning", file=sys.stderr)
            return ["it is wrong"]

        self.patch(options_module, "INSPECTIONS", (inspect,))
        self.patch(sys, "stderr", io.StringIO())
        _, output = self.check("--check")
        self.assertIn("warning: it is wrong\n", output)
        self.assertEqual(sys.stderr.getvalue(), "")  # type: ignore[attr-defined]

    def test_connect(self) -> None:
        """With --check_connect, the reactor runs until the servers have been tried."""
        calls: list[object] = []
        self.patch(options_module, "react", lambda main, arguments: calls.append((main, arguments)))
        for written in ("--check_connect", "--check-connect"):
            code, output = self.check(written)
            self.assertEqual(code, 0)
            self.assertIn("NATS servers: ", output)
        self.assertEqual(len(calls), 2)

    def test_misspelled(self) -> None:
        """It is among the names that are suggested."""
        code, _ = self.check("--chek")
        self.assertIn("Did you mean --check?", str(code))


class MakeServiceTests(_WithoutVariables):
    """A service from the command line or the environment."""

    def test_from_options(self) -> None:
        options = Options()
        options.parseOptions(["--subject_queue_group", "a:q"])
        service = makeService(options)
        self.assertIsInstance(service, NatsrouteService)
        self.assertEqual(service.name, "natsroute")

    def test_from_the_environment(self) -> None:
        service = service_from_environment({"NATSROUTE_SUBJECT_QUEUE_GROUP": "a:q"})
        self.assertEqual(service.settings.subject_queue_group, (QueueEntry("a", "q"),))

    def test_mistakes(self) -> None:
        options = Options()
        options.parseOptions(["--event_routes", "no_such_file.py"])
        ending = self.assertRaises(SystemExit, makeService, options)
        path = os.path.abspath("no_such_file.py")
        self.assertIn(f"event_routes = {path!r} (from --event_routes): there is no such file", str(ending.code))
        ending = self.assertRaises(SystemExit, service_from_environment, {"NATSROUTE_NUM_PUBLISH_WORKERS": "0"})
        self.assertIn("num_publish_workers", str(ending.code))
