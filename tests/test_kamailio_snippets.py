"""README and docs/: natsroute reads and compiles each ``kamailio`` snippet."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from natsroute import EventRoutes, Settings
from natsroute.errors import ScriptError, SettingError
from natsroute.testing import RouteTester
from tests.support import ROOT
from tests.support.documents import Snippet, snippet, snippets

_TLS = 'modparam("nats", "tls", 1)\n'
_CERTIFICATE = 'modparam("nats", "tls_cert_file", "client.crt")\n'
_KEY = 'modparam("nats", "tls_key_file", "client.key")\n'
_LUA = 'modparam("app_lua", "load", "events.lua")\n'
_EMBEDDED = 'modparam("natsroute", "embedded_server", 1)\n'
_HTTP = 'modparam("natsroute", "http_listen", "8080")\n'
_HTABLE = 'modparam("htable", "htable", "calls=>size=8;")\n'
_SERVICE_NAME = 'modparam("natsroute", "service_name", "billing")\n'
_SERVICE_VERSION = 'modparam("natsroute", "service_version", "1.0.0")\n'
_MANUAL, _REFERENCE = "docs/kamailio/manual-examples.md", "docs/kamailio/reference.md"

#: Snippets that are a part of a kamailio.cfg only, by document and heading: what stands before and behind them.
AROUND: dict[tuple[str, str], tuple[str, str]] = {
    **{
        (document, f"{parameter} (str)"): (before, "")
        for document in (_MANUAL, _REFERENCE)
        for parameter, before in {
            "tls_ca_file": _TLS,
            "tls_cert_file": _TLS + _KEY,
            "tls_key_file": _TLS + _CERTIFICATE,
            "tls_expected_hostname": _TLS,
            "event_callback": _LUA,
        }.items()
    },
    (_REFERENCE, "tls_first (int)"): (_TLS, ""),
    (_REFERENCE, "kamailio_htable (str)"): (_HTABLE, ""),
    (_REFERENCE, "service_name (str)"): ("", _SERVICE_VERSION),
    (_REFERENCE, "service_version (str)"): (_SERVICE_NAME, ""),
    (_REFERENCE, "service_description (str)"): (_SERVICE_NAME + _SERVICE_VERSION, ""),
    (_REFERENCE, "service_metadata (str)"): (_SERVICE_NAME + _SERVICE_VERSION, ""),
    (_REFERENCE, "kemi_script (str)"): ('modparam("nats", "event_callback", "ksr_nats_event")\n', ""),
    (_REFERENCE, "password (str)"): ('modparam("natsroute", "user", "natsroute")\n', ""),
    (_REFERENCE, "http_user (str)"): (_HTTP + 'modparam("natsroute", "http_password", "secret")\n', ""),
    (_REFERENCE, "http_password (str)"): (_HTTP + 'modparam("natsroute", "http_user", "operator")\n', ""),
    (_REFERENCE, "http_tls_cert_file (str)"): (
        _HTTP + 'modparam("natsroute", "http_tls_key_file", "http.key")\n',
        "",
    ),
    (_REFERENCE, "http_tls_key_file (str)"): (
        _HTTP + 'modparam("natsroute", "http_tls_cert_file", "http.crt")\n',
        "",
    ),
    (_REFERENCE, "admin_subject_methods (str)"): ('modparam("natsroute", "admin_subject", "admin")\n', ""),
    (_REFERENCE, "cpu_affinity (int)"): ('modparam("natsroute", "processes", 2)\n', ""),
    (_REFERENCE, "embedded_server_port (int)"): (_EMBEDDED, ""),
    (_REFERENCE, "embedded_server_store_dir (str)"): (_EMBEDDED, ""),
    (_MANUAL, "nats_publish(subject, payload, reply)"): ("event_route[nats:a] {\n", "}\n"),
    (_MANUAL, "$natsData"): ("event_route[nats:a] {\n", ""),
}

#: Snippets for Kamailio's side, by document and heading, and the example that has each of their statements.
FOR_KAMAILIO = {
    ("docs/kamailio/presence.md", "Presence: back to Kamailio"): "presence_server.cfg",
    ("docs/kamailio/transactions.md", "Kamailio's side"): "transaction_bridge/kamailio.cfg",
}

#: Snippets that call functions in Python, by document and heading, with these functions beside them.
WITH_PYTHON = {("docs/kamailio/functions.md", "Functions in Python")}


class SnippetTests(SynchronousTestCase):
    """Snippets in Kamailio's language."""

    def setUp(self) -> None:
        """The files that snippets name."""
        self.contexts = Path(self.mktemp()).absolute()
        (self.contexts / "nats" / "context").mkdir(parents=True)
        (self.contexts / "nats" / "context" / "production.json").write_text('{"url": "nats://nats-1"}', "utf-8")
        routes = Path("routes.py")
        routes.write_text(snippet("README.md", "natsroute").source, "utf-8")
        self.addCleanup(routes.unlink)

    def compile(self, text: str, **settings: object) -> RouteTester:
        """Read a kamailio.cfg, and compile its event routes."""
        path = Path(self.mktemp())
        path.write_text(text, "utf-8")
        environment = {"XDG_CONFIG_HOME": str(self.contexts)}
        return RouteTester(EventRoutes(), Settings.from_environment(environment, kamailio_cfg=str(path), **settings))

    def test_each(self) -> None:
        """There is no error."""
        compiled = 0
        for one in snippets("kamailio"):
            where = one.document, one.heading
            if where not in FOR_KAMAILIO:
                before, behind = AROUND.get(where, ("", ""))
                try:
                    self.compile(f"{before}{one.text}{behind}", **self.functions_beside(one))
                except (ScriptError, SettingError) as error:
                    self.fail(f"{one}: {error}")
                compiled += 1
        self.assertGreater(compiled, 70)

    def functions_beside(self, one: Snippet) -> dict[str, object]:
        """The setting that names the Python beside a snippet, if it needs that."""
        if (one.document, one.heading) not in WITH_PYTHON:
            return {}
        path = Path(self.mktemp()).absolute().with_suffix(".py")
        path.write_text(snippet(one.document, one.heading).source, "utf-8")
        return {"event_routes": [str(path)]}

    def test_mistakes_are_found(self) -> None:
        """A snippet that could not run is not passed over."""
        good = snippet("README.md", "natsroute", "kamailio").text
        self.compile(good)
        for old, new in (
            ("nats_publish", "nats_publsh"),
            ("$natsData);", "$natsDat);"),
            ('"subject_queue_group"', '"subject_queue_grp"'),
            ("json.parse", "json.pars"),
            ("{\n", "\n"),
        ):
            self.assertIn(old, good)
            self.assertRaises((ScriptError, SettingError), self.compile, good.replace(old, new, 1))

    def test_for_kamailio(self) -> None:
        """Each statement is in an example that Kamailio runs in the tests."""
        for (document, heading), example in FOR_KAMAILIO.items():
            shown = _statements(snippet(document, heading, "kamailio").text)
            self.assertGreater(len(shown), 5)
            there = _statements((ROOT / "examples" / example).read_text("utf-8"))
            self.assertEqual([one for one in shown if one not in there], [], document)

    def test_exceptions_are_needed(self) -> None:
        """Each names a snippet that is there."""
        there = {(one.document, one.heading) for one in snippets("kamailio")}
        self.assertEqual({*AROUND, *FOR_KAMAILIO, *WITH_PYTHON} - there, set())


def _statements(cfg: str) -> list[str]:
    """What stands between braces, semicolons and line ends, without comments and blanks."""
    code = re.sub(r" #.*", "", cfg)
    return [one for one in ("".join(part.split()) for part in re.split(r"[;{}\n]", code)) if one]
