"""natsroute.monitoring.http.site"""

from __future__ import annotations

import base64
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from natsroute.monitoring.http.resources import ANSWER_TIMEOUT
from natsroute.monitoring.http.security import HEADERS, Access, Login
from natsroute.monitoring.http.site import PATHS, Site
from natsroute.monitoring.overview import Overview, Reason
from tests.support.http_requests import Client, get
from tests.support.log_recorder import LogRecorder
from tests.support.overviews import an_overview

REASON = Reason("not_connected", "consumer a:q", "the server is down")


def basic(login: str) -> str:
    """The header ``Authorization`` of a login."""
    return "Basic " + base64.b64encode(login.encode()).decode()


class SiteTestCase(SynchronousTestCase):
    """A site in memory."""

    def site(self, overview: Any = None, **options: Any) -> Site:
        """A site that shows one overview, unless a function is given."""
        self.clock = Clock()
        return Site(self.clock, overview or an_overview, **options)


class PathTests(SiteTestCase):
    """What each path shows."""

    def test_livez(self) -> None:
        """The reactor answers, so the process lives, unless something is fatal."""
        response = get(self.site(), "/livez")
        self.assertEqual((response.status, response.json), (200, {"alive": True, "reasons": []}))
        response = get(self.site(fatal=lambda: [Reason("failed", "", "no")]), "/livez")
        self.assertEqual((response.status, response.json["alive"]), (503, False))

    def test_livez_needs_no_overview(self) -> None:
        """A parent that waits for its processes is alive."""
        self.assertEqual(get(self.site(Deferred), "/livez").status, 200)

    def test_readyz(self) -> None:
        response = get(self.site(), "/readyz")
        self.assertEqual((response.status, response.json), (200, {"ready": True, "reasons": []}))
        response = get(self.site(lambda: an_overview(reasons=(REASON,))), "/readyz")
        row = {"code": "not_connected", "about": "consumer a:q", "text": "the server is down", "process": 0}
        self.assertEqual((response.status, response.json), (503, {"ready": False, "reasons": [row]}))

    def test_probes_close_their_connection(self) -> None:
        """The next probe connects again, and gets an answer even if the reactor is blocked by then."""
        for path in ("/livez", "/readyz"):
            client = Client(self.site())
            client.send(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path.encode())
            (response,) = client.received()
            self.assertEqual(response.headers["connection"], "close")
            self.assertTrue(client.transport.disconnecting)

    def test_parts(self) -> None:
        """The others show parts of the overview as JSON."""
        whole = an_overview().as_json()
        for path, names in {
            "/ledger": ["consumers", "routes", "publisher", "requests", "workers"],
            "/connections": ["connections"],
            "/routes": ["routes"],
            "/calls": ["calls", "calls_in_flight"],
        }.items():
            response = get(self.site(), path)
            self.assertEqual(response.headers["content-type"], "application/json; charset=utf-8")
            expected = {name: whole[name] for name in ("name", "time", *names)}
            self.assertEqual(
                response.json, {**expected, **{n: list(v) for n, v in expected.items() if type(v) is tuple}}
            )

    def test_metrics(self) -> None:
        """Their text, or the extra that they need."""
        response = get(self.site(), "/metrics")
        self.assertEqual(response.status, 404)
        self.assertIn("pip install 'natsroute[monitoring]'", response.text)
        for metrics in (lambda: b"a 1\n", lambda: succeed(b"a 1\n")):
            response = get(self.site(metrics=metrics), "/metrics")
            self.assertEqual((response.status, response.body), (200, b"a 1\n"))
            self.assertEqual(response.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")

    def test_index(self) -> None:
        """Without a page, the root lists the paths."""
        response = get(self.site())
        self.assertEqual((response.status, response.headers["content-type"]), (200, "text/html; charset=utf-8"))
        for path in PATHS:
            self.assertIn(f'href="{path.decode()}"', response.text)

    def test_page(self) -> None:
        """The page has the root and all other paths."""

        class Page(Resource):
            def getChild(self, path: bytes, request: object) -> Resource:
                return self if path == b"" else super().getChild(path, request)

            def render_GET(self, request: object) -> bytes:
                return b"page"

        page = Page()
        page.putChild(b"events", Page())
        page.putChild(b"livez", Page())
        site = self.site(root_page=page)
        self.assertEqual([get(site, path).body for path in ("/", "/events")], [b"page"] * 2)
        self.assertEqual(get(site, "/x").status, 404)
        self.assertEqual(get(site, "/livez").json["alive"], True)

    def test_unknown_paths(self) -> None:
        """They are no files, whatever they look like."""
        for path in (
            "/x",
            "/livez/",
            "/livez/x",
            "//livez",
            "/../../etc/passwd",
            "/%2e%2e/etc/passwd",
            "/livez%00",
            "/%",
        ):
            response = get(self.site(), path)
            self.assertEqual(
                (response.status, response.headers["content-type"]), (404, "text/plain; charset=utf-8"), path
            )
            self.assertNotIn("passwd", response.text)

    def test_query(self) -> None:
        """It changes nothing."""
        self.assertEqual(get(self.site(), "/livez?verbose=1&a=%00").status, 200)


class RequestTests(SiteTestCase):
    """Requests that are refused, and what each response has."""

    def test_headers(self) -> None:
        """Each response is protected, an error too. None says which software answers."""
        for response in (
            get(self.site()),
            get(self.site(), "/x"),
            get(self.site(), "/", "POST"),
            get(self.site(), "/", Host="a b"),
            get(self.site(lambda: fail(ValueError())), "/routes"),
        ):
            for name, value in HEADERS:
                self.assertEqual(response.headers[name.decode().lower()], value.decode())
            self.assertNotIn("server", response.headers)
        self.flushLoggedErrors(ValueError)

    def test_methods(self) -> None:
        """GET and HEAD only."""
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "X"):
            response = get(self.site(), "/livez", method)
            self.assertEqual((response.status, response.headers["allow"]), (405, "GET, HEAD"), method)

    def test_head(self) -> None:
        """The headers are those of GET."""
        for path in ("/", "/livez", "/readyz", "/ledger", "/x"):
            one, other = get(self.site(), path), get(self.site(), path, "HEAD")
            self.assertEqual((other.status, other.headers["content-length"]), (one.status, str(len(one.body))), path)

    def test_host(self) -> None:
        """A name of another site may resolve to a loopback address: its pages would read what is served there."""
        for host in ("127.0.0.1", "127.0.0.1:8080", "[::1]:80", "localhost", "LocalHost:1", "a.localhost", "10.0.0.1"):
            self.assertEqual(get(self.site(), Host=host).status, 200, host)
        for host in ("evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example"):
            self.assertEqual(get(self.site(), Host=host).status, 421, host)
            self.assertEqual(get(self.site(access=Access(None, local=False)), Host=host).status, 200, host)
        for host in ("", "a b", "a/b", "[::1", "a@b", "a:b", "a:123456"):
            self.assertEqual(get(self.site(access=Access(None, local=False)), Host=host).status, 400, host)

    def test_no_host(self) -> None:
        """HTTP/1.1 requires one. HTTP/1.0 does not know it."""
        for version, status in ((b"1.1", 400), (b"1.0", 200)):
            client = Client(self.site())
            client.send(b"GET /livez HTTP/%s\r\n\r\n" % version)
            self.assertEqual([response.status for response in client.received()], [status])

    def test_two_hosts(self) -> None:
        client = Client(self.site())
        client.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n")
        self.assertEqual([response.status for response in client.received()], [400])

    def test_other_targets(self) -> None:
        """A proxy's form of a request, and the one for the server as a whole."""
        for target in ("http://127.0.0.1/livez", "*", "livez"):
            self.assertEqual(get(self.site(), target).status, 400, target)


class LoginTests(SiteTestCase):
    """A site with a login."""

    def site(self, overview: Any = None, **options: Any) -> Site:
        """A site whose service is not ready."""
        access = Access(Login("öp", "s:cret"), local=True)
        not_ready = an_overview(reasons=(REASON, REASON))
        return super().site(overview or (lambda: not_ready), access=access, **options)

    def test_login(self) -> None:
        """With it, everything is shown."""
        for path in ("/", "/ledger", "/connections", "/routes", "/calls"):
            self.assertEqual(get(self.site(), path, Authorization=basic("öp:s:cret")).status, 200)
        response = get(self.site(), "/readyz", Authorization=basic("öp:s:cret"))
        self.assertEqual(response.json["reasons"][0]["text"], "the server is down")

    def test_no_login(self) -> None:
        """Without it nothing is shown, not even which paths there are."""
        for path in ("/", "/ledger", "/connections", "/routes", "/calls", "/metrics", "/x"):
            for headers in ({}, {"Authorization": basic("öp:wrong")}, {"Authorization": "Bearer x"}):
                response = get(self.site(), path, **headers)
                self.assertEqual(response.status, 401)
                self.assertEqual(response.headers["www-authenticate"], 'Basic realm="natsroute", charset="UTF-8"')
                self.assertEqual(response.text, "A login is required")

    def test_probes(self) -> None:
        """They are answered with codes only: what is wrong, not with what."""
        response = get(self.site(), "/readyz")
        self.assertEqual(
            (response.status, response.json), (503, {"ready": False, "reasons": [{"code": "not_connected"}]})
        )
        self.assertEqual(get(self.site(), "/livez").status, 200)

    def test_host(self) -> None:
        """A page of another site does not have the login, so a name as ``Host`` is no danger."""
        response = get(self.site(), "/", Host="natsroute.example", Authorization=basic("öp:s:cret"))
        self.assertEqual(response.status, 200)


class LaterTests(SiteTestCase):
    """Answers that take time, such as those of several processes."""

    def later(self, path: str) -> Client:
        """A client that waits for an answer."""
        self.cancelled: list[object] = []
        self.making: Deferred[Overview] = Deferred(self.cancelled.append)
        client = Client(self.site(lambda: self.making))
        client.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        self.assertEqual(client.received(), [])
        return client

    def test_later(self) -> None:
        client = self.later("/readyz")
        self.making.callback(an_overview())
        self.assertEqual([response.status for response in client.received()], [200])
        self.assertEqual(self.clock.getDelayedCalls(), [client.channel._write_timer])

    def test_too_late(self) -> None:
        client = self.later("/readyz")
        self.clock.advance(ANSWER_TIMEOUT)
        self.assertEqual([response.status for response in client.received()], [503])

    def test_the_client_goes(self) -> None:
        """Nobody waits any longer, and no timer is left."""
        client = self.later("/routes")
        client.channel.connectionLost()
        self.assertEqual(self.cancelled, [self.making])
        self.assertEqual((client.received(), self.clock.getDelayedCalls()), ([], []))

    def test_failure(self) -> None:
        """The client does not see it. The log does."""
        log = LogRecorder(self)
        client = self.later("/routes?a")
        self.making.errback(ValueError("secret"))
        (response,) = client.received()
        self.assertEqual((response.status, "secret" in response.text), (500, False))
        self.assertEqual(log.lines("critical"), ["The HTTP path '/routes' could not be answered"])
        self.flushLoggedErrors(ValueError)
