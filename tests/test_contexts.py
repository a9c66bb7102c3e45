"""natsroute.daemon.contexts"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.contexts import context_settings
from natsroute.daemon.settings import SETTING_FIELDS
from natsroute.errors import SettingError

quick = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])

#: What the tool writes when nothing was said.
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

#: A field's value, of the right type or not; ``hunter2`` stands for what may not be shown.
ANY_FIELD = st.sampled_from(
    ["", "hunter2", "op://hunter2", "$HOME/hunter2", "~", "a,nats://u:hunter2@b"]
) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("hunter2"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("hunter2"), inner, max_size=1),
    max_leaves=3,
)


class ContextTestCase(SynchronousTestCase):
    """A home with contexts in it."""

    def setUp(self) -> None:
        self.home = Path(self.mktemp()).absolute()
        self.folder = self.home / ".config" / "nats" / "context"
        self.folder.mkdir(parents=True)
        self.environment = {"HOME": str(self.home)}

    def write(self, text: str | bytes, name: str = "prod") -> None:
        data = text.encode() if isinstance(text, str) else text
        (self.folder / f"{name}.json").write_bytes(data)

    def settings(self, **fields: Any) -> dict[str, Any]:
        """What a context with these fields becomes."""
        self.write(json.dumps({**EMPTY, **fields}))
        return context_settings("prod", self.environment)

    def problem(self, name: str = "prod") -> SettingError:
        error: SettingError = self.assertRaises(SettingError, context_settings, name, self.environment)
        self.assertEqual((error.setting, error.value), ("nats_context", name))
        self.assertTrue(error.remedy)
        return error


class FieldTests(ContextTestCase):
    """What becomes of each field."""

    def test_empty(self) -> None:
        self.assertEqual(self.settings(), {})
        self.write("{}")
        self.assertEqual(context_settings("prod", self.environment), {})

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

    def test_tls(self) -> None:
        """Any of its files asks for it, and so does tls_first."""
        for field in ("ca", "cert", "key"):
            self.assertEqual(self.settings(**{field: "/x"}), {f"tls_{field}_file": "/x", "tls": 1})
        self.assertEqual(self.settings(tls_first=True), {"tls": 1, "tls_first": 1})
        self.assertEqual(self.settings(tls_first=False), {})

    def test_urls_as_the_tool_understands_them(self) -> None:
        """Spaces and empty ones are nothing, and nats:// need not be said."""
        self.assertEqual(
            self.settings(url="localhost:4222, nats://b ,,wss://c")["nats_url"],
            "nats://localhost:4222,nats://b,wss://c",
        )

    def test_paths(self) -> None:
        """``~`` and variables, as in the tool: from the environment given, and empty if they are not set."""
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

    def test_what_concerns_the_tool_alone(self) -> None:
        ignored = ("description", "color_scheme", "inbox_prefix", "name", "what_comes_next_year")
        jetstream = ("jetstream_domain", "jetstream_api_prefix", "jetstream_event_prefix")
        windows = ("windows_cert_store", "windows_cert_match_by", "windows_cert_match")
        fields = dict.fromkeys([*ignored, *jetstream, *windows], "x")
        self.assertEqual(self.settings(**fields, windows_ca_certs_match=["x"]), {})

    def test_null_and_capitals(self) -> None:
        """As Go reads JSON."""
        self.write('{"URL": "nats://a", "user": null, "tls_first": null}')
        self.assertEqual(context_settings("prod", self.environment), {"nats_url": "nats://a"})


class ProblemTests(ContextTestCase):
    """What cannot be, with a remedy and without secrets."""

    def test_what_natsroute_cannot_do(self) -> None:
        for field in ("nsc", "socks_proxy", "user_jwt", "user_seed"):
            self.write(json.dumps({**EMPTY, field: "hunter2"}))
            error = self.problem()
            self.assertIn(repr(field), str(error))
            self.assertNotIn("hunter2", str(error))

    def test_references(self) -> None:
        """They are not taken for paths or passwords."""
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
    @given(st.text(st.characters(exclude_categories=())) | st.sampled_from(["a" * 300, "~", "*", "prod.json"]))
    def test_any_name(self, name: str) -> None:
        """Nothing but SettingError is raised."""
        self.problem(name)

    def test_not_there(self) -> None:
        """The error lists those that are."""
        self.write("{}", "ngs.js")
        self.write("{}", "demo")
        self.assertIn("demo, ngs.js", str(self.problem("other")))

    def test_none_there(self) -> None:
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
        """They become settings, or a SettingError without any of their values."""
        self.write(json.dumps(fields))
        try:
            found = context_settings("prod", self.environment)
        except SettingError as error:
            self.assertNotIn("hunter2", f"{error} {error!r} {error.__context__}")
        else:
            self.assertLessEqual(found.keys(), SETTING_FIELDS.keys())

    @quick
    @given(st.binary(max_size=60).map(b"hunter2".__add__))
    def test_any_bytes(self, data: bytes) -> None:
        """Likewise."""
        self.write(data)
        self.assertNotIn("hunter2", str(self.problem()))


class PlaceTests(ContextTestCase):
    """Where contexts are."""

    def test_xdg(self) -> None:
        """XDG_CONFIG_HOME goes before HOME; empty it counts as none."""
        self.write('{"url": "nats://home"}')
        self.environment["XDG_CONFIG_HOME"] = ""
        self.assertEqual(context_settings("prod", self.environment), {"nats_url": "nats://home"})
        other = self.home / "other"
        (other / "nats" / "context").mkdir(parents=True)
        (other / "nats" / "context" / "prod.json").write_text('{"url": "nats://xdg"}')
        self.environment["XDG_CONFIG_HOME"] = str(other)
        self.assertEqual(context_settings("prod", self.environment), {"nats_url": "nats://xdg"})

    def test_homeless(self) -> None:
        del self.environment["HOME"]
        self.assertIn("neither XDG_CONFIG_HOME nor HOME", str(self.problem()))
