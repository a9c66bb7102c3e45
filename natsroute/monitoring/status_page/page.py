"""
The resources of the status page: the page itself, its assets, and its event stream.

The assets are read when this module is imported. No request reaches the file system.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import CACHED
from twisted.web.pages import notFound
from twisted.web.resource import Resource

from natsroute.monitoring.event_stream import EventStream
from natsroute.monitoring.overview import Overview

_TYPES = {"css": "text/css", "html": "text/html", "js": "text/javascript", "svg": "image/svg+xml"}
_INDEX = "index.html"


def _read_assets() -> dict[str, bytes]:
    folder = files(__package__) / "assets"
    return {asset.name: asset.read_bytes() for asset in folder.iterdir() if asset.name.rpartition(".")[2] in _TYPES}


#: The files of the page, by name.
ASSETS: Mapping[str, bytes] = _read_assets()


class StatusPage(Resource):
    """
    The status page of a service: the root of a site, with ``/``, ``/events`` and ``/assets/…``.

    It works with the Content-Security-Policy ``default-src 'none'; script-src 'self'; style-src 'self'; connect-src
    'self'; img-src 'self'``. Its links are relative, so a proxy may serve it under a prefix that ends with a slash.

    :param overview: returns the overview of the service, once a second while somebody looks.
    :param clock: the reactor, or a test's clock.
    """

    def __init__(self, overview: Callable[[], Overview | Deferred[Overview]], clock: IReactorTime) -> None:
        super().__init__()
        edition = _digest(*(ASSETS[name] for name in sorted(ASSETS)))
        assets = notFound()
        for name, content in ASSETS.items():
            if name != _INDEX:
                assets.putChild(name.encode(), Asset(name, content))
        self.putChild(b"", Asset(_INDEX, ASSETS[_INDEX]))
        self.putChild(b"assets", assets)
        self.putChild(b"events", EventStream(overview, clock, edition=edition))


class Asset(Resource):
    """
    A file of the page, from memory. Browsers keep it, and ask each time whether it has changed.

    :param name: its name; the end says of what type it is.
    """

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__()
        self._content = content
        self._type = f"{_TYPES[name.rpartition('.')[2]]}; charset=utf-8".encode()
        self._etag = f'"{_digest(content)}"'.encode()

    def render_GET(self, request: Any) -> bytes:
        """The content, or 304 if the browser has it."""
        request.setHeader(b"cache-control", b"no-cache")
        request.setHeader(b"content-type", self._type)
        if request.setETag(self._etag) is CACHED:
            return b""
        return self._content


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]
