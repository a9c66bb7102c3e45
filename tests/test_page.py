"""natsroute.monitoring.status_page.page: the files of the status page, and how a site serves them"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

import natsroute
from natsroute.monitoring.overview import Overview
from natsroute.monitoring.status_page.page import ASSETS, StatusPage

FOLDER = Path(natsroute.__file__).parent / "monitoring" / "status_page" / "assets"
INDEX = ASSETS["index.html"].decode()


class ServingTests(SynchronousTestCase):
    """The page in a site."""

    def setUp(self) -> None:
        clock = Clock()
        page = StatusPage(lambda: Overview("natsroute", "1.0", (1,), started=0.0, time=0.0), clock)
        self.site = Site(page, reactor=clock)

    def get(self, path: str, *headers: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """The status, the headers and the body of a response."""
        transport = StringTransport()
        protocol: Any = self.site.buildProtocol(None)
        protocol.makeConnection(transport)
        protocol.dataReceived("\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *headers, "", ""]).encode())
        head, _, body = transport.value().partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines)
        return int(status.split()[1]), fields, body

    def test_files(self) -> None:
        """Each file is there, with its type; browsers ask each time whether it has changed."""
        types = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
        for name, content in ASSETS.items():
            status, headers, body = self.get("/" if name == "index.html" else f"/assets/{name}")
            self.assertEqual((status, body), (200, content), name)
            self.assertEqual(headers["content-type"], f"{types[name.rpartition('.')[2]]}; charset=utf-8")
            self.assertEqual(headers["cache-control"], "no-cache")

    def test_not_changed(self) -> None:
        """A browser that has a file is not sent it again; one that has another version is."""
        for path in ("/", "/assets/page.js"):
            etag = self.get(path)[1]["etag"]
            status, _, body = self.get(path, f"If-None-Match: {etag}")
            self.assertEqual((status, body), (304, b""))
            status, _, body = self.get(path, 'If-None-Match: "other"')
            self.assertEqual((status, len(body) > 100), (200, True))

    def test_each_file_has_its_own_etag(self) -> None:
        """Files that differ have etags that differ."""
        etags = {self.get(f"/assets/{name}")[1]["etag"] for name in ASSETS if name != "index.html"}
        self.assertEqual(len(etags), len(ASSETS) - 1)

    def test_head(self) -> None:
        """HEAD has no body."""
        status, headers, body = self.get("/", method="HEAD")
        self.assertEqual((status, headers["content-length"], body), (200, str(len(ASSETS["index.html"])), b""))

    def test_other_paths(self) -> None:
        """Nothing else is there: no path reaches the file system, and there is no list of files."""
        for path in (
            "/index.html", "/assets", "/assets/", "/assets/index.html", "/assets/../page.py", "/assets/%2e%2e/page.py",
            "/assets/..%2fpage.py", "/assets/style.css/x", "/events/x", "/page.py", "/x", "//",
            "/assets/style.css%00",
        ):  # fmt: skip
            self.assertEqual(self.get(path)[0], 404, path)

    def test_other_methods(self) -> None:
        """Nothing can be changed."""
        for path in ("/", "/assets/page.js", "/events"):
            self.assertEqual(self.get(path, "Content-Length: 0", method="POST")[0], 405, path)

    def test_events(self) -> None:
        """The event stream is there, and begins with the edition of the page: another one for other files."""
        status, headers, body = self.get("/events")
        self.assertEqual((status, headers["content-type"]), (200, "text/event-stream; charset=utf-8"))
        self.assertRegex(body.decode(), r'event: page\ndata: "[0-9a-f]{16}"\n\nevent: overview|event: page')


class FilesTests(SynchronousTestCase):
    """What the files are made of."""

    def test_all_files_are_served(self) -> None:
        """Each file of the folder."""
        self.assertEqual({path.name for path in FOLDER.iterdir()}, set(ASSETS))

    def test_each_file_is_used(self) -> None:
        """What the page and its scripts name is there, and nothing else is."""
        named = set(re.findall(r"assets/([\w.-]+)", INDEX))
        for name, content in ASSETS.items():
            if name.endswith(".js"):
                named.update(re.findall(r'from "\./([\w.-]+)"', content.decode()))
                named.update(re.findall(r"(?:assets/|\")([\w-]+\.svg)", content.decode()))
        self.assertEqual(named, set(ASSETS) - {"index.html"})

    def test_nothing_from_elsewhere(self) -> None:
        """No file names another host, except for the names of XML."""
        for name, content in ASSETS.items():
            urls = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\"' ]*", content.decode()))
            self.assertEqual(urls - {"http://www.w3.org/2000/svg"}, set(), name)

    def test_nothing_inline(self) -> None:
        """The Content-Security-Policy allows neither inline scripts nor inline styles."""
        self.assertEqual(re.findall(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]* src=)", INDEX), [])
        for name, content in ASSETS.items():
            found = re.findall(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(", content.decode()
            )
            self.assertEqual(found, [], name)

    def test_lengths(self) -> None:
        """No file is long, as in natsroute's own code."""
        for name, content in ASSETS.items():
            self.assertLess(len(content.splitlines()), 400, name)

    def test_each_element_that_scripts_fill_is_there(self) -> None:
        """The names in the scripts are those of the page, and each is there once."""
        ids = re.findall(r'\sid="([\w-]+)"', INDEX)
        self.assertEqual(len(ids), len(set(ids)))
        for name, content in ASSETS.items():
            if name.endswith(".js"):
                looked_for = set(re.findall(r'(?:find|tile|equation)\("([\w-]+)"', content.decode()))
                self.assertEqual(looked_for - set(ids), set(), name)
        links = set(re.findall(r'href="#([\w-]+)"', INDEX)) | set(re.findall(r'labelledby="([\w-]+)"', INDEX))
        self.assertEqual(links - set(ids), set())
