"""natsroute.daemon.settings.contexts"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.settings.contexts import NatsContext, with_context
from natsroute.daemon.settings.settings import SETTING_FIELDS
from natsroute.daemon.settings.sources import Given
from natsroute.errors import SettingError

quick = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])

#: What the tool writes for a context without any values.
EMPTY: dict[str, Any] = {
    "name": "",
    "description": "",
    "url": "",
    "socks_proxy": "",
    "token": "",
    "user": "",
    "password": "",
    "creds": "",
    "nkey": "",
    "cert": "",
    "key": "",
    "ca": "",
    "nsc": "",
    "jetstream_domain": "",
    "jetstream_api_prefix": "",
    "jetstream_event_prefix": "",
    "inbox_prefix": "",
    "user_jwt": "",
    "user_seed": "",
    "color_scheme": "",
    "tls_first": False,
    "windows_cert_store": "",
    "windows_cert_match_by": "",
    "windows_cert_match": "",
    "windows_ca_certs_match": None,
}

#: A field's value, of the right type or not. ``hunter2`` is a secret, which no error may show.
ANY_FIELD = st.sampled_from(
    ["", "hunter2", "op://hunter2", "$HOME/hunter2", "~", "a,nats://u:hunter2@b"]
) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("hunter2"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("hunter2"), inner, max_size=1),
    max_leaves=3,
)


class ContextTestCase(SynchronousTestCase):
    """A home directory with contexts."""

    def setUp(self) -> None:
        self.home = Path(self.mktemp()).absolute()
        self.folder = self.home / ".config" / "nats" / "context"
        self.folder.mkdir(parents=True)
        self.environment = {"HOME": str(self.home)}

    def write(self, text: str | bytes, name: str = "prod") -> None:
        data = text.encode() if isinstance(text, str) else text
        (self.folder / f"{name}.json").write_bytes(data)

    def settings(self, **fields: Any) -> dict[str, Any]:
        """The values of a context with these fields."""
        self.write(json.dumps({**EMPTY, **fields}))
        return self.read()

    def read(self, name: str = "prod") -> dict[str, Any]:
        """The values of a context."""
        return {setting: given.value for setting, given in NatsContext(name, self.environment).values().items()}

    def problem(self, name: str = "prod") -> SettingError:
        error: SettingError = self.assertRaises(SettingError, self.read, name)
        without_login = re.sub("://.*@", "://***@", name, flags=re.DOTALL)  # what looks like a URL is shown like one
        self.assertEqual((error.setting, error.value), ("nats_context", without_login))
        self.assertTrue(error.remedy)
        return error


class FieldTests(ContextTestCase):
    """The setting that each field becomes."""

    def test_empty(self) -> None:
        self.assertEqual(self.settings(), {})
        self.write("{}")
        self.assertEqual(self.read(), {})

    def test_all(self) -> None:
        settings = self.settings(
            url="nats://a:4222,tls://b",
            user="u",
            password="p",
            token="t",
            creds="/c.creds",
            nkey="/n.nk",
            ca="/ca.pem",
            cert="/cert.pem",
            key="/key.pem",
            tls_first=True,
        )
        self.assertEqual(
            settings,
            {
                "nats_url": "nats://a:4222,tls://b",
                "user": "u",
                "password": "p",
                "token": "t",
                "creds_file": "/c.creds",
                "nkey_file": "/n.nk",
                "tls_ca_file": "/ca.pem",
                "tls_cert_file": "/cert.pem",
                "tls_key_file": "/key.pem",
                "tls": 1,
                "tls_first": 1,
            },
        )

    def test_subjects(self) -> None:
        """Where inboxes and JetStream are."""
        fields = {"inbox_prefix": "_INBOX_u", "jetstream_domain": "hub", "jetstream_api_prefix": "JS.hub"}
        self.assertEqual(self.settings(**fields, jetstream_event_prefix="x"), fields)

    def test_tls(self) -> None:
        """Each of its files asks for TLS, and so does tls_first."""
        for field in ("ca", "cert", "key"):
            self.assertEqual(self.settings(**{field: "/x"}), {f"tls_{field}_file": "/x", "tls": 1})
        self.assertEqual(self.settings(tls_first=True), {"tls": 1, "tls_first": 1})
        self.assertEqual(self.settings(tls_first=False), {})

    def test_urls_as_the_tool_understands_them(self) -> None:
        """Spaces and empty URLs are ignored, and nats:// may be left out."""
        self.assertEqual(
            self.settings(url="localhost:4222, nats://b ,,wss://c")["nats_url"],
            "nats://localhost:4222,nats://b,wss://c",
        )

    def test_paths(self) -> None:
        """``~`` and variables are expanded as in the tool. A variable that is not set is empty."""
        self.environment.update(CERTS="/certs", NAME="me")
        for path, expected in [
            ("~/x.creds", f"{self.home}/x.creds"),
            ("$CERTS/${NAME}.creds", "/certs/me.creds"),
            ("$NOT_SET/x", "/x"),
            ("$HOME/x", f"{self.home}/x"),
            ("/~/x", "/~/x"),
            ("relative/x", "relative/x"),
            ("file:///x.creds", "/x.creds"),
            ("file://~/x.creds", f"{self.home}/x.creds"),
        ]:
            self.assertEqual(self.settings(creds=path), {"creds_file": expected})
        self.assertEqual(self.settings(ca="~/ca")["tls_ca_file"], f"{self.home}/ca")

    def test_only_paths_are_expanded(self) -> None:
        self.environment["HUNTER"] = "x"
        settings = {"user": "~", "password": "$HUNTER"}
        self.assertEqual(self.settings(**settings), settings)

    def test_fields_that_concern_only_the_tool(self) -> None:
        ignored = ("description", "color_scheme", "jetstream_event_prefix", "name", "a_new_field")
        windows = ("windows_cert_store", "windows_cert_match_by", "windows_cert_match")
        fields = dict.fromkeys([*ignored, *windows], "x")
        self.assertEqual(self.settings(**fields, windows_ca_certs_match=["x"]), {})

    def test_null_and_capitals(self) -> None:
        """As Go reads JSON."""
        self.write('{"URL": "nats://a", "user": null, "tls_first": null}')
        self.assertEqual(self.read(), {"nats_url": "nats://a"})


class OriginTests(ContextTestCase):
    """Each value says which field it is from."""

    def origins(self, **fields: Any) -> dict[str, str]:
        self.write(json.dumps(fields))
        return {setting: given.origin for setting, given in NatsContext("prod", self.environment).values().items()}

    def test_fields(self) -> None:
        self.assertEqual(
            self.origins(url="a", user="u", creds="c"),
            {
                "nats_url": 'nats context prod, its "url"',
                "user": 'nats context prod, its "user"',
                "creds_file": 'nats context prod, its "creds"',
            },
        )

    def test_tls(self) -> None:
        """No field is named tls: what asks for it is named."""
        for fields, asking in [
            ({"url": "tls://a"}, "url"),
            ({"url": "nats://a,wss://b"}, "url"),
            ({"url": "TLS://a"}, "url"),
            ({"url": "tls://a", "key": "k"}, "key"),
            ({"tls_first": True}, "tls_first"),
        ]:
            self.assertEqual(self.origins(**fields)["tls"], f'nats context prod, its "{asking}"')

    def test_secrets(self) -> None:
        self.write(json.dumps({"url": "nats://u:hunter2@a", "password": "hunter2"}))
        self.assertNotIn("hunter2", repr(NatsContext("prod", self.environment).values()))


class WithContextTests(ContextTestCase):
    """with_context(): servers, login and TLS of the context, each only if there is nothing of the kind."""

    def result(self, fields: dict[str, Any], **values: Any) -> dict[str, Any]:
        self.write(json.dumps(fields))
        values.setdefault("nats_context", "prod")
        above = {name: Given(value, "above") for name, value in values.items()}
        settings = with_context(above, self.environment)
        return {name: one.value for name, one in settings.items() if name != "nats_context"}

    def test_none(self) -> None:
        """Without a nats_context nothing is read."""
        self.assertEqual(with_context({"user": Given("u")}, {}), {"user": Given("u")})
        self.assertEqual(self.result({"user": "u"}, nats_context=""), {})

    def test_groups(self) -> None:
        context = {"url": "nats://a", "user": "u", "password": "p", "ca": "/ca", "tls_first": True}
        tls = {"tls": 1, "tls_ca_file": "/ca", "tls_first": 1}
        url, login = {"nats_url": "nats://a"}, {"user": "u", "password": "p"}
        for settings_above, expected in [
            ({}, {**url, **login, **tls}),
            ({"user": "me"}, {**url, "user": "me", **tls}),
            ({"creds_file": "c"}, {**url, "creds_file": "c", **tls}),
            ({"nats_url": ["nats://b"]}, {"nats_url": ["nats://b"], **login, **tls}),
            ({"tls_ca_file": "/mine"}, {**url, **login, "tls_ca_file": "/mine"}),
            ({"tls": "1"}, {**url, **login, "tls": "1"}),
        ]:
            self.assertEqual(self.result(context, **settings_above), expected, settings_above)

    def test_groups_of_subjects(self) -> None:
        context = {"inbox_prefix": "_INBOX_u", "jetstream_domain": "hub"}
        self.assertEqual(self.result(context), context)
        self.assertEqual(self.result(context, inbox_prefix="mine"), {**context, "inbox_prefix": "mine"})
        without = {"inbox_prefix": "_INBOX_u", "jetstream_api_prefix": "JS"}
        self.assertEqual(self.result(context, jetstream_api_prefix="JS"), without)

    def test_origins(self) -> None:
        """What stands above keeps its own."""
        self.write(json.dumps({"url": "nats://a", "user": "u"}))
        above = {"nats_context": Given("prod", "--nats_context"), "nats_url": Given(["nats://b"], "--nats_url")}
        origins = {name: one.origin for name, one in with_context(above, self.environment).items()}
        self.assertEqual(
            origins,
            {"nats_context": "--nats_context", "nats_url": "--nats_url", "user": 'nats context prod, its "user"'},
        )

    def test_what_is_empty_or_off_counts_as_absent(self) -> None:
        context = {"user": "u", "ca": "/ca"}
        expected = {"user": "u", "tls": 1, "tls_ca_file": "/ca"}
        for off in ({"user": ""}, {"tls": "0"}, {"tls": False}, {"tls_first": "off"}):
            self.assertEqual(self.result(context, **off), {**off, **expected})

    def test_two_logins(self) -> None:
        """A login in the context's URL would win over one that is given; with other servers it is not used."""
        error = self.assertRaises(SettingError, self.result, {"url": "nats://u:hunter2@a"}, token="t")
        self.assertEqual((error.setting, error.value), ("nats_context", "prod"))
        self.assertNotIn("hunter2", str(error))
        elsewhere = {"token": "t", "nats_url": "nats://b"}
        self.assertEqual(self.result({"url": "nats://u:hunter2@a"}, **elsewhere), elsewhere)


class ProblemTests(ContextTestCase):
    """Errors, each with a remedy and without secrets."""

    def test_unsupported_fields(self) -> None:
        for field in ("nsc", "socks_proxy", "user_jwt", "user_seed"):
            self.write(json.dumps({**EMPTY, field: "hunter2"}))
            error = self.problem()
            self.assertIn(repr(field), str(error))
            self.assertNotIn("hunter2", str(error))

    def test_references(self) -> None:
        """A reference is not used as a path or a password."""
        for field in ("creds", "nkey", "ca", "cert", "key", "password", "token"):
            for value in ("op://hunter2", "nsc://hunter2", "env://hunter2", "data:;base64,hunter2", "OP://hunter2"):
                self.write(json.dumps({field: value}))
                error = self.problem()
                self.assertIn(repr(field), str(error))
                self.assertNotIn("hunter2", str(error))
        self.write(json.dumps({"password": "file:///hunter2"}))
        self.assertNotIn("hunter2", str(self.problem()))
        self.assertEqual(self.settings(user="env://x"), {"user": "env://x"})

    def test_names(self) -> None:
        for name in ("", "a/b", "../prod", "a\\b", "..", "/etc/passwd", "a\0", "a\n"):
            self.assertIn("cannot be the name", str(self.problem(name)))

    @quick
    @given(st.text(st.characters(exclude_categories=())) | st.sampled_from(["a" * 300, "://@", "~", "*", "prod.json"]))
    def test_any_name(self, name: str) -> None:
        """Any name that is not a context raises SettingError."""
        self.problem(name)

    def test_no_such_context(self) -> None:
        """The error lists those that exist."""
        self.write("{}", "ngs.js")
        self.write("{}", "demo")
        self.assertIn("demo, ngs.js", str(self.problem("other")))

    def test_no_contexts_at_all(self) -> None:
        self.assertIn("nats context save other", str(self.problem("other")))
        self.environment["HOME"] = str(self.home / "nowhere")
        self.assertIn("nats context save other", str(self.problem("other")))

    def test_unreadable(self) -> None:
        (self.folder / "prod.json").mkdir()
        self.assertIn("it cannot be read: ", str(self.problem()))

    def test_not_json(self) -> None:
        for text in ['{"password": "hunter2"', b'{"password": "hunter2\xff"}', "", "[" * 100_000, '["hunter2"]', "1"]:
            self.write(text)
            error = self.problem()
            self.assertIn("it is not", str(error))
            self.assertNotIn("hunter2", str(error))
            self.assertIsNone(error.__context__)

    def test_wrong_types(self) -> None:
        for field in ("url", "user", "password", "token", "creds", "nkey", "ca", "cert", "key", "nsc", "user_jwt"):
            self.write(json.dumps({field: ["hunter2"]}))
            error = self.problem()
            self.assertIn(f"{field!r} is not text", str(error))
            self.assertNotIn("hunter2", str(error))
        for value in ("true", 1, []):
            self.write(json.dumps({"tls_first": value}))
            self.assertIn("'tls_first' is not true or false", str(self.problem()))

    @quick
    @given(st.dictionaries(st.sampled_from(sorted(EMPTY)), ANY_FIELD))
    def test_any_fields(self, fields: dict[str, Any]) -> None:
        """They become settings, or raise a SettingError that shows none of their values."""
        self.write(json.dumps(fields))
        try:
            found = self.read()
        except SettingError as error:
            self.assertNotIn("hunter2", f"{error} {error!r} {error.__context__}")
        else:
            self.assertLessEqual(found.keys(), SETTING_FIELDS.keys())

    @quick
    @given(st.binary(max_size=60).map(b"hunter2".__add__))
    def test_any_bytes(self, data: bytes) -> None:
        """The error shows nothing of the file."""
        self.write(data)
        self.assertNotIn("hunter2", str(self.problem()))


class FolderTests(ContextTestCase):
    """Where contexts are stored."""

    def test_xdg(self) -> None:
        """XDG_CONFIG_HOME wins over HOME, unless it is empty."""
        self.write('{"url": "nats://home"}')
        self.environment["XDG_CONFIG_HOME"] = ""
        self.assertEqual(self.read(), {"nats_url": "nats://home"})
        other = self.home / "other"
        (other / "nats" / "context").mkdir(parents=True)
        (other / "nats" / "context" / "prod.json").write_text('{"url": "nats://xdg"}')
        self.environment["XDG_CONFIG_HOME"] = str(other)
        self.assertEqual(self.read(), {"nats_url": "nats://xdg"})

    def test_no_home(self) -> None:
        del self.environment["HOME"]
        self.assertIn("neither XDG_CONFIG_HOME nor HOME", str(self.problem()))
