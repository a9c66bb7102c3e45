"""
The site: which path answers what, and for whom.

It is given functions, never a service: in a parent of several processes they show all of them.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource, Resource, getChildForRequest
from twisted.web.server import Request
from twisted.web.server import Site as TwistedSite

from natsroute.monitoring.http.channel import Channel
from natsroute.monitoring.http.health import live, ready
from natsroute.monitoring.http.resources import Answer, Answering, as_deferred
from natsroute.monitoring.http.security import FREE, HEADERS, Access
from natsroute.monitoring.overview import Overview, Reason

#: The paths that the site itself answers, and what each shows.
PATHS = {
    b"/livez": "200 while the process works, 503 if only a restart can help",
    b"/readyz": "200 if everything is connected and subscribed, else 503 and the reasons",
    b"/metrics": "metrics for Prometheus",
    b"/ledger": "what became of each message",
    b"/connections": "the connections to NATS servers",
    b"/routes": "the event routes",
    b"/calls": "the calls in flight, the oldest first",
}


class _Request(Request):
    def process(self) -> None:
        if self.path == b"*":  # twisted.web would answer this without the site
            self.path = b"%2A"
        super().process()


class Site(TwistedSite):
    """
    The HTTP site of a service.

    :param overview: returns the overview of the service.
    :param metrics: returns the text of /metrics; None: /metrics says which extra to install.
    :param fatal: returns why only a restart can help; empty while the service works.
    :param root_page: the resource of ``/``, and of all paths that are not in :data:`PATHS`; None: a list of links.
    :param access: which requests are answered.

    :ivar channels: the open connections, the oldest first.
    """

    noisy = False
    displayTracebacks = False
    protocol = Channel  # type: ignore[assignment]  # twisted.web's own wraps one that may also speak HTTP/2

    def __init__(
        self,
        reactor: IReactorTime,
        overview: Callable[[], Overview | Deferred[Overview]],
        *,
        metrics: Callable[[], bytes | Deferred[bytes]] | None = None,
        fatal: Callable[[], Sequence[Reason]] = lambda: (),
        root_page: IResource | None = None,
        access: Access = Access(None, local=True),
    ) -> None:
        super().__init__(Resource(), _Request, reactor=reactor)
        self.channels: dict[Channel, None] = {}
        self._overview = overview
        self._metrics = metrics
        self._fatal = fatal
        self._root_page = root_page
        self._access = access
        answers: dict[bytes, Callable[[Request], Answer | Deferred[Answer]]] = {
            b"/livez": lambda request: live(self._fatal(), detail=self._may_see(request)),
            b"/readyz": self._ready,
            b"/metrics": self._metrics_text,
            b"/ledger": self._part("consumers", "routes", "publisher", "requests", "workers"),
            b"/connections": self._part("connections"),
            b"/routes": self._part("routes"),
            b"/calls": self._part("calls", "calls_in_flight"),
        }
        self._resources = {path: self._answering(answer) for path, answer in answers.items()}
        self._index = self._answering(lambda request: _INDEX)
        self._unknown = self._answering(lambda request: _UNKNOWN)

    # No access log: a probe a second would fill it, and twisted.web would wake the reactor every second to have the
    # time for it.
    def startFactory(self) -> None:
        """Begin nothing."""

    def stopFactory(self) -> None:
        """End nothing."""

    def log(self, request: object) -> None:
        """Log nothing."""

    def getResourceFor(self, request: Request) -> IResource:
        """The resource that answers a request: its path's, or an error."""
        request.responseHeaders.removeHeader(b"Server")
        for name, value in HEADERS:
            request.responseHeaders.setRawHeaders(name, [value])
        if request.clientproto not in (b"HTTP/1.1", b"HTTP/1.0"):
            return self._answering(lambda request: Answer.text("Only HTTP/1.1 and HTTP/1.0 are known", 505))
        refusal = self._access.refusal(
            request.method,
            request.path,
            request.requestHeaders.getRawHeaders(b"Host") or [],
            request.getHeader(b"Authorization"),
            needs_host=request.clientproto != b"HTTP/1.0",
        )
        if refusal is not None:
            return self._answering(lambda request: refusal)
        if request.path in self._resources:
            if request.path in FREE:
                # The next probe connects again. So it is answered even if the reactor is blocked by then.
                request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
                request.channel.persistent = 0
            return self._resources[request.path]
        if self._root_page is not None:
            found: IResource = getChildForRequest(self._root_page, request)
            return found
        return self._index if request.path == b"/" else self._unknown

    def _may_see(self, request: Request) -> bool:
        return self._access.may_see(request.getHeader(b"Authorization"))

    def _answering(self, answer: Callable[[Request], Answer | Deferred[Answer]]) -> Answering:
        return Answering(self.reactor, answer)

    def _ready(self, request: Request) -> Deferred[Answer]:
        detail = self._may_see(request)
        return self._with_overview(lambda overview: ready(overview.reasons, detail=detail))

    def _part(self, *names: str) -> Callable[[Request], Deferred[Answer]]:
        """Answers with parts of the overview."""

        def part(overview: Overview) -> Answer:
            return Answer.json({name: _plain(getattr(overview, name)) for name in ("name", "time", *names)})

        return lambda request: self._with_overview(part)

    def _with_overview(self, answer: Callable[[Overview], Answer]) -> Deferred[Answer]:
        return as_deferred(self._overview).addCallback(answer)

    def _metrics_text(self, request: Request) -> Answer | Deferred[Answer]:
        if self._metrics is None:
            return Answer.text(
                "There are no metrics without prometheus-client: pip install 'natsroute[monitoring]'", 404
            )
        return as_deferred(self._metrics).addCallback(_metrics_answer)


def _plain(value: Any) -> Any:
    """A field of an overview, as ``json.dumps()`` takes it."""
    if isinstance(value, tuple):
        return [_plain(row) for row in value]
    return attrs.asdict(value) if attrs.has(type(value)) else value


def _metrics_answer(text: bytes) -> Answer:
    return Answer(200, text, b"text/plain; version=0.0.4; charset=utf-8")


def _link(path: str, what: str) -> str:
    return f'<li><a href="{html.escape(path)}">{html.escape(path)}</a>: {html.escape(what)}</li>'


_UNKNOWN = Answer.text("There is no such path. There are " + ", ".join(path.decode() for path in PATHS), 404)
_INDEX = Answer(
    200,
    (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>natsroute</title></head><body>'
        f"<h1>natsroute</h1><ul>{''.join(_link(path.decode(), what) for path, what in PATHS.items())}</ul>"
        "</body></html>\n"
    ).encode(),
    b"text/html; charset=utf-8",
)
