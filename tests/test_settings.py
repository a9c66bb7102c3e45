"""natsroute.daemon.settings.settings"""

from __future__ import annotations

import json
import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.client.auth import Credentials
from natsroute.client.servers import Server
from natsroute.client.subscription import PENDING_POLICIES
from natsroute.client.transport.tls import Tls
from natsroute.daemon.options import CommandLine
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.daemon.settings.settings import SETTING_FIELDS
from natsroute.daemon.settings.sources import ENVIRONMENT_PREFIX, Environment
from natsroute.errors import SettingError
from natsroute.monitoring.log_observer import LOG_FORMATS
from natsroute.publishing.options import PUBLISH_POLICIES

#: The settings that are the path of a file.
FILES = (
    "admin_socket",
    "kemi_script",
    "nkey_file",
    "creds_file",
    "tls_ca_file",
    "tls_cert_file",
    "tls_key_file",
    "http_tls_cert_file",
    "http_tls_key_file",
)

quick = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])

#: All settings except the one that reads a file.
NAMES = st.sampled_from(sorted(SETTING_FIELDS.keys() - {"nats_context", "kamailio_cfg"}))
#: Any text, lone surrogates included, and texts that some settings accept.
TEXTS = st.text(st.characters(exclude_categories=()), max_size=8) | st.sampled_from(
    ["0", "1", "-1", "2.5", "1e999", "nan", "9" * 5000, "yes", "a:q,b", "a.>:q", "nats://a,tls://b:1", "ws://a", ","]
)
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=4) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
#: Settings that hold a secret; the URL is malformed in every way.
SECRETS = st.fixed_dictionaries(
    {},
    optional={
        "password": st.just("hunter2"),
        "token": st.just("hunter2"),
        "http_password": st.just("hunter2"),
        "nats_url": st.builds(
            "{}://{}hunter2{}@{}".format,
            st.sampled_from(["nats", "tls", "http", "hunter2"]),
            st.sampled_from(["", "u:", "u:x,", ":", "u:/", "u:#", "u@x:", "u:[", " "]),
            st.sampled_from(["", "x", ":p", "/", "?", "@", "]", ", ", "%"]),
            st.sampled_from(["host", "host:1", "host:x", "", "ho st", "[::1", "host/x", "host,b", "host,nats://b:x"]),
        ),
    },
)


class SettingsTests(SynchronousTestCase):
    """The modparams and natsroute's own settings, validated."""

    def test_defaults_are_the_modules(self) -> None:
        settings = Settings()
        self.assertEqual(settings.servers, (Server("127.0.0.1", 4222),))
        self.assertEqual((settings.num_publish_workers, settings.subject_queue_group), (2, ()))
        self.assertEqual((settings.backoff.wait, settings.backoff.jitter), (2.0, 0.1))
        timing = settings.timing
        self.assertEqual((timing.connect_timeout, timing.ping_interval, timing.max_pings_outstanding), (2.0, 120.0, 2))

    def test_several_servers(self) -> None:
        """Repeated, with commas, or both. A comma in a password separates nothing."""
        settings = Settings(nats_url=["nats://a,nats://b:1", "nats://u:p,w@c"])
        self.assertEqual(
            settings.servers, (Server("a"), Server("b", 1), Server("c", credentials=Credentials("u", "p,w")))
        )
        self.assertEqual(Settings(nats_url="nats://a").servers, (Server("a"),))

    def test_subject_and_queue_group(self) -> None:
        """The first colon separates. Duplicates stay. An entry without a group is a plain subscription."""
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

    def test_invalid_values(self) -> None:
        """One error each, with setting, value and remedy."""
        bad: list[tuple[str, Any, str]] = [
            ("nats_url", "http://a", "scheme 'http' is unknown"),
            ("nats_url", "nats://a,b", "its host is malformed"),
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
            ("ping_interval", 10**400, "number of seconds"),
            ("num_publish_workers", float("inf"), "not a whole number"),
            ("num_publish_workers", 1.5, "not a whole number"),
            ("user", None, "NoneType, and not text"),
            ("event_callback", print, "builtin_function_or_method, and not text"),
            ("nats_url", None, "NoneType, and not text"),
            ("nats_url", [b"nats://a"], "bytes, and not text"),
            ("event_routes", 1, "int, and not text"),
            ("subject_queue_group", None, "NoneType, and not text"),
            ("publish_max_bytes", 0, "at least 1"),
            ("embedded_server", "perhaps", "neither yes nor no"),
            ("pending_policy", "drop", "Give one of pause, drop_oldest, drop_newest"),
            ("publish_policy", "", "Give one of keep, fail, drop"),
            ("publish_max_age", -1, "at least 0"),
        ]
        for name, value, problem in bad:
            given = [value] if name == "subject_queue_group" else value
            error = self.assertRaises(SettingError, Settings, **{name: given})
            self.assertEqual(error.setting, name)
            self.assertIn(problem, str(error))
            self.assertTrue(error.remedy)

    def test_paths(self) -> None:
        """A setting that names a file accepts a Path."""
        taken = Settings(event_routes=Path("a,b.py"), tls="1", tls_ca_file=Path("ca.pem"))
        self.assertEqual(
            (taken.event_routes, taken.tls_ca_file), ((str(Path("a,b.py").absolute()),), str(Path("ca.pem").absolute()))
        )

    @quick
    @given(st.dictionaries(NAMES, VALUES, max_size=4))
    def test_any_values(self, values: dict[str, Any]) -> None:
        """SettingError is raised, or each value is kept and has the type of its field."""
        try:
            taken = Settings(**values)
        except SettingError as error:
            self.assertTrue(error.remedy)
            return
        for name, default in attrs.asdict(Settings(), recurse=False).items():
            if default is not None:  # http_address has no default
                self.assertIs(type(getattr(taken, name)), type(default), name)
        for name, value in values.items():
            if isinstance(value, (bool, int, float)):
                kept = getattr(taken, name)  # tracing_sample_ratio is a text, whatever it is given as
                self.assertEqual(float(kept) if isinstance(kept, str) else kept, value, name)

    def test_settings_that_exclude_each_other(self) -> None:
        both = self.assertRaises(SettingError, Settings, embedded_server=True, nats_url="nats://a")
        self.assertIn("Leave one of them out", str(both))
        for other in ({"user": "u"}, {"nkey_file": "f"}, {"creds_file": "f"}):
            both = self.assertRaises(SettingError, Settings, embedded_server=True, **other)
            self.assertIn("the embedded server takes nothing but a token", str(both))
        Settings(embedded_server=True, token="t")
        both = self.assertRaises(SettingError, Settings, event_callback="a.b", event_routes="c.py")
        self.assertIn("Leave one of them out", str(both))

    def test_kemi_script(self) -> None:
        """It needs a function that is called."""
        error = self.assertRaises(SettingError, Settings, kemi_script="events.py")
        self.assertIn("Set event_callback to the name of a function in the script", str(error))
        settings = Settings(kemi_script="events.py", event_callback="on_event", event_routes="routes.py")
        self.assertEqual(settings.kemi_script, os.path.abspath("events.py"))

    def test_embedded_server(self) -> None:
        """Its settings need it, and a port has a limit."""
        for name, value in [("embedded_server_port", 4222), ("embedded_server_store_dir", "streams")]:
            error = self.assertRaises(SettingError, Settings, **{name: value})
            self.assertIn("Set embedded_server too", str(error))
            Settings(embedded_server=True, **{name: value})
        error = self.assertRaises(SettingError, Settings, embedded_server=True, embedded_server_port=65_536)
        self.assertIn("A port is a number up to 65535", str(error))

    def test_no_password_in_repr(self) -> None:
        settings = Settings(nats_url="nats://user:hunter2@host", subject_queue_group="a:q")
        self.assertEqual(repr(settings), "<Settings for nats://host:4222; a:q>")


class AdminSubjectMethodsTests(SynchronousTestCase):
    """The admin methods that are offered over NATS although they change something."""

    def test_unknown(self) -> None:
        """It is an error of the settings, so that ``--check`` finds it before a start does."""
        for name in ("stpo", "ready"):
            error = self.assertRaises(SettingError, Settings, admin_subject="a", admin_subject_methods=["stop", name])
            self.assertEqual((error.setting, error.value), ("admin_subject_methods", name))
            self.assertEqual(error.remedy, "Give some of reload, log_level, stop")

    def test_known(self) -> None:
        taken = Settings(admin_subject="a", admin_subject_methods="reload,log_level,stop")
        self.assertEqual(taken.admin_subject_methods, ("reload", "log_level", "stop"))


class EnvironmentTests(SynchronousTestCase):
    """Settings from variables."""

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

    @quick
    @given(st.dictionaries(NAMES, TEXTS, max_size=6))
    def test_any_texts(self, texts: dict[str, str]) -> None:
        """Variables give the same settings as the program, or the same error with its origin."""
        variables = {ENVIRONMENT_PREFIX + name.upper(): text for name, text in texts.items()}
        chosen = {name: text for name, text in texts.items() if text}
        try:
            expected = Settings(**chosen)
        except SettingError as error:
            other = self.assertRaises(SettingError, Settings.from_environment, variables)
            self.assertIn(f" (from {ENVIRONMENT_PREFIX}", str(other))
            self.assertEqual(re.sub(r" \(from NATSROUTE_\w+( and NATSROUTE_\w+)*\)", "", str(other)), str(error))
        else:
            self.assertEqual(Settings.from_environment(variables), expected)

    @quick
    @given(st.data())
    def test_round_trip(self, data: st.DataObject) -> None:
        """Values become text in variables, and the same values again."""
        kinds = {
            bool: st.booleans(),
            int: st.integers(1, 2**31),
            float: st.floats(0.001, 1e9),
            str: st.text(min_size=1),
        }
        alone = {
            "pending_policy",
            "publish_policy",
            "log_format",
            "admin_subject",
            "inbox_prefix",
            "jetstream_domain",
            "jetstream_api_prefix",
            "service_name",
            "service_version",
            "pua_json_subject",
            "nats_context",
            "kamailio_cfg",
            "embedded_server",
            "embedded_server_port",
            "embedded_server_store_dir",
            "user",
            "password",
            "token",
            "nkey_file",
            "creds_file",
            "http_listen",
            "http_user",
            "tracing_sample_ratio",
            "processes",
            "cpu_affinity",
        }
        chosen = {
            name: data.draw(kinds[type(field.default)], name)
            for name, field in SETTING_FIELDS.items()
            if type(field.default) in kinds and name not in alone
        }
        for name in FILES:
            if name in chosen:
                chosen[name] = os.path.abspath(chosen[name])
        chosen["tls"] = True
        chosen["pua_json_subject"] = data.draw(st.from_regex(r"[\w$-]+(\.[\w$-]+)?", fullmatch=True))
        chosen["admin_subject"] = chosen["inbox_prefix"] = chosen["pua_json_subject"]
        chosen["jetstream_domain"] = data.draw(st.from_regex(r"[\w$-]+", fullmatch=True))
        chosen["service_name"] = data.draw(st.from_regex(r"[a-zA-Z0-9_-]+", fullmatch=True))
        chosen["service_version"] = data.draw(st.sampled_from(["0.0.1", "1.0.0-rc.1+5"]))
        chosen["pending_policy"] = data.draw(st.sampled_from(PENDING_POLICIES))
        chosen["publish_policy"] = data.draw(st.sampled_from(PUBLISH_POLICIES))
        chosen["http_listen"] = data.draw(st.from_regex(r"(127\.0\.0\.1|\[::1\]|):[0-9]{1,4}", fullmatch=True))
        chosen["http_user"] = data.draw(st.from_regex(r"[^:\x00]+", fullmatch=True))
        chosen["log_format"] = data.draw(st.sampled_from(LOG_FORMATS))
        chosen["tracing_sample_ratio"] = str(data.draw(st.floats(0, 1)))
        variables = {ENVIRONMENT_PREFIX + name.upper(): str(value) for name, value in chosen.items()}
        taken = Settings.from_environment(variables)
        self.assertEqual({name: getattr(taken, name) for name in chosen}, chosen)

    def test_the_program_wins_over_variables(self) -> None:
        settings = Settings.from_environment({"NATSROUTE_NUM_PUBLISH_WORKERS": "4"}, num_publish_workers=1)
        self.assertEqual(settings.num_publish_workers, 1)

    def test_an_unknown_variable(self) -> None:
        """A typing error is not ignored, and its value is not shown."""
        error = self.assertRaises(SettingError, Settings.from_environment, {"NATSROUTE_NATS_URLS": "nats://u:pw@a"})
        self.assertIn("NATSROUTE_NATS_URL?", str(error))
        self.assertNotIn("pw", str(error))


class OriginTests(SynchronousTestCase):
    """Several sources, and errors that say which of them gave a value."""

    def load(self, options: dict[str, Any], **variables: str) -> Settings:
        return Settings.load([CommandLine(options), Environment(variables, SETTING_FIELDS)], {})

    def test_order(self) -> None:
        """Command line, environment, defaults."""
        settings = self.load({"user": "first"}, NATSROUTE_USER="second", NATSROUTE_PASSWORD="second")
        self.assertEqual((settings.user, settings.password, settings.token), ("first", "second", ""))
        self.assertEqual(
            [settings.origins[name] for name in ("user", "password", "token")], ["--user", "NATSROUTE_PASSWORD", ""]
        )

    def test_in_errors(self) -> None:
        """The origin follows the value."""
        for options, variables, message in [
            ({"nats_url": ["a"]}, {}, "nats_url = 'a' (from --nats_url): it has no scheme."),
            ({}, {"NATSROUTE_NATS_URL": "a"}, "nats_url = 'a' (from NATSROUTE_NATS_URL): it has no scheme."),
            ({}, {"NATSROUTE_ROUTE_THREADS": "0"}, "route_threads = '0' (from NATSROUTE_ROUTE_THREADS): it is not"),
            ({"subject_queue_group": [":"]}, {}, "subject_queue_group = ':' (from --subject_queue_group): "),
            ({"publish_policy": "x"}, {}, "publish_policy = 'x' (from --publish_policy): it is not"),
        ]:
            error = self.assertRaises(SettingError, self.load, options, **variables)
            self.assertTrue(str(error).startswith(message), str(error))

    def test_in_errors_about_two_settings(self) -> None:
        """Both origins are named."""
        for options, variables, message in [
            ({"user": "u"}, {"NATSROUTE_TOKEN": "t"}, "user and token = '...' (from --user and NATSROUTE_TOKEN): they"),
            (
                {"embedded_server": True},
                {"NATSROUTE_NATS_URL": "nats://a"},
                "embedded_server = True (from --embedded_server): the embedded server has its own URL, and nats_url is "
                "set (from NATSROUTE_NATS_URL).",
            ),
            (
                {"tls": "0"},
                {"NATSROUTE_TLS_CA_FILE": "ca"},
                f"tls_ca_file = {os.path.abspath('ca')!r} (from NATSROUTE_TLS_CA_FILE): tls is 0 (from --tls).",
            ),
            (
                {"nats_url": ["ws://a"]},
                {"NATSROUTE_TLS": "1"},
                "nats_url = 'ws://a:80' (from --nats_url): it has no TLS, and TLS is required (from NATSROUTE_TLS).",
            ),
        ]:
            error = self.assertRaises(SettingError, self.load, options, **variables)
            self.assertTrue(str(error).startswith(message), str(error))

    def test_given_by_the_program(self) -> None:
        """The traceback shows where; the error names no origin."""
        for make in (Settings, partial(Settings.from_environment, {})):
            error = self.assertRaises(SettingError, make, nats_url="a")
            self.assertTrue(str(error).startswith("nats_url = 'a': it has no scheme."), str(error))

    def test_equality_ignores_origins(self) -> None:
        self.assertEqual(self.load({"user": "u"}), Settings(user="u"))
        self.assertEqual(hash(self.load({"user": "u"})), hash(Settings(user="u")))

    def test_evolve(self) -> None:
        """A changed copy is validated, too."""
        settings = attrs.evolve(self.load({"nats_url": ["nats://a"]}), user="u")
        self.assertEqual((settings.user, settings.servers), ("u", (Server("a"),)))
        self.assertRaises(SettingError, attrs.evolve, settings, token="t")


class LoginAndTlsTests(SynchronousTestCase):
    """Login and TLS. tests.integration.test_tls has the files that are refused."""

    def test_one_url_requires_tls_for_all(self) -> None:
        """Otherwise the login would reach one node of a cluster in plain text."""
        self.assertFalse(Settings(nats_url="nats://a").require_tls)
        self.assertTrue(Settings(nats_url="nats://a", tls=1).require_tls)
        self.assertTrue(Settings(nats_url="nats://a,tls://b").require_tls)

    def test_jitter_is_longer_with_tls(self) -> None:
        """A TLS handshake costs the server more."""
        self.assertEqual(Settings(tls=1).backoff.jitter, 1.0)
        self.assertEqual(Settings(tls=1, reconnect_jitter_tls=0.2).backoff.jitter, 0.2)

    def test_files(self) -> None:
        settings = Settings(
            tls="1", tls_ca_file="ca", tls_cert_file="/c", tls_key_file="/k", tls_expected_hostname="h", tls_first="1"
        )
        self.assertEqual(settings.client_tls, Tls(os.path.abspath("ca"), "/c", "/k", "h", first=True))

    def test_paths_are_absolute(self) -> None:
        """From each source: twistd may change the directory before a file is read, or read again."""
        for name in FILES:
            given = {name: "a/b", **({"tls": "1"} if name.startswith("tls") else {})}
            if name == "kemi_script":
                given["event_callback"] = "f"
            if name in ("tls_cert_file", "tls_key_file"):
                given = {"tls": "1", "tls_cert_file": "a/b", "tls_key_file": "a/b"}
            if name.startswith("http_"):
                given = {"http_listen": "0", "http_tls_cert_file": "a/b", "http_tls_key_file": "a/b"}
            variables = {ENVIRONMENT_PREFIX + setting.upper(): value for setting, value in given.items()}
            for taken in (
                Settings(**given),  # type: ignore[arg-type]
                Settings.load([CommandLine(given)], {}),
                Settings.from_environment(variables),
            ):
                self.assertEqual(getattr(taken, name), os.path.abspath("a/b"))

    def test_secrets_are_not_shown(self) -> None:
        settings = Settings(user="u", password="hunter2", nats_url="nats://t0ken@a")
        for shown in (repr(settings), str(settings)):
            self.assertNotIn("hunter2", shown)
            self.assertNotIn("t0ken", shown)
        error = self.assertRaises(SettingError, Settings, password="hunter2")
        self.assertNotIn("hunter2", str(error))

    @quick
    @given(SECRETS, st.dictionaries(NAMES, TEXTS, max_size=3))
    def test_secrets_are_never_shown(self, secrets: dict[str, str], others: dict[str, str]) -> None:
        """Whatever else is wrong with the settings."""
        try:
            taken = Settings.from_environment({}, **{**others, **secrets})
        except SettingError as error:
            self.assertNotIn("hunter2", f"{error} {error!r} {error.value}")
        else:
            self.assertNotIn("hunter2", f"{taken} {taken!r} {taken.servers!r}")


class ContextTests(SynchronousTestCase):
    """nats_context"""

    def settings(self, context: dict[str, Any], **settings: Any) -> Settings:
        folder = Path(self.mktemp())
        (folder / "nats" / "context").mkdir(parents=True, exist_ok=True)
        (folder / "nats" / "context" / "prod.json").write_text(json.dumps(context))
        return Settings.from_environment({"XDG_CONFIG_HOME": str(folder)}, nats_context="prod", **settings)

    def test_plain_settings_read_no_files(self) -> None:
        """A context that would be ignored is an error."""
        error = self.assertRaises(SettingError, Settings, nats_context="prod")
        self.assertIn("Use Settings.from_environment(os.environ, nats_context='prod')", str(error))

    def test_origins(self) -> None:
        error = self.assertRaises(SettingError, self.settings, {"url": "nats://u:hunter2@a:x"})
        message = "nats_url = 'nats://***@a:x' (from nats context prod, its \"url\"): its host or port is malformed."
        self.assertTrue(str(error).startswith(message), str(error))
        self.assertEqual(self.settings({"url": "nats://a"}).origins["nats_context"], "")

    def test_not_text(self) -> None:
        error = self.assertRaises(SettingError, Settings.from_environment, {}, nats_context=3)
        self.assertIn("not text", str(error))

    def test_taken(self) -> None:
        settings = self.settings({"url": "nats://a,nats://b", "user": "u", "password": "p", "ca": "/ca.pem"})
        self.assertEqual([server.host for server in settings.servers], ["a", "b"])
        self.assertEqual((settings.user, settings.password, settings.require_tls), ("u", "p", True))
        self.assertEqual(settings.client_tls, Tls("/ca.pem"))

    def test_settings_win_over_the_context(self) -> None:
        settings = self.settings({"url": "nats://a", "user": "u", "password": "p"}, nats_url="nats://c")
        self.assertEqual(([server.host for server in settings.servers], settings.user), (["c"], "u"))

    def test_logins_are_not_mixed(self) -> None:
        settings = self.settings({"url": "nats://a", "user": "u", "password": "p"}, token="t")
        self.assertEqual((settings.user, settings.password, settings.token), ("", "", "t"))

    def test_a_login_in_the_contexts_url(self) -> None:
        """It would win over the login in the settings."""
        error = self.assertRaises(SettingError, self.settings, {"url": "nats://u:hunter2@a"}, user="me", password="p")
        self.assertIn("nats_context = 'prod'", str(error))
        self.assertNotIn("hunter2", str(error))

    def test_a_login_that_was_meant_for_tls(self) -> None:
        """It is not sent in plain text to a server from the settings."""
        settings = self.settings({"url": "tls://prod", "user": "u", "password": "p"}, nats_url="nats://dev")
        self.assertTrue(settings.require_tls)
