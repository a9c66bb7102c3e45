"""Chromium, driven by Playwright in a thread of its own, and what a page must never do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from tests.support.waiting import TIMEOUT

T = TypeVar("T")

#: The browser of the system. Playwright's own is not downloaded.
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

#: Why no browser can be driven here, or an empty string.
SKIP = "" if CHROMIUM and find_spec("playwright") else "Chromium, and the package playwright, are needed"

_ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

#: Milliseconds that anything in a page may take. The machine may be busy.
_TIMEOUT = TIMEOUT * 1000

#: Notes what the Content-Security-Policy has prevented.
_NOTE_VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => {
    violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""


class Browser:
    """
    A browser, which ends with :meth:`stop`.

    Playwright blocks, and may be used in one thread only. So each function that uses it is given to :meth:`run`.

    :ivar faults: what the pages have done that they should not: errors in the console, violations of the
        Content-Security-Policy, and requests to other hosts.
    """

    def __init__(self, reactor: Any) -> None:
        self.faults: list[str] = []
        self._reactor = reactor
        self._threads = ThreadPool(1, 1, "browser")
        self._threads.start()
        self._playwright: Any = None
        self._browser: Any = None

    def start(self) -> Deferred[None]:
        """Start it."""
        return self.run(self._start)

    def run(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Call a function in the browser's thread."""
        return deferToThreadPool(self._reactor, self._threads, function, *arguments)

    def stop(self) -> Deferred[None]:
        """End it, and wait until its processes have ended."""

        def stop_thread(result: Any) -> Any:
            self._threads.stop()
            return result

        return self.run(self._stop).addBoth(stop_thread)

    def open(self, url: str, **options: Any) -> Any:
        """
        Open a page in a profile of its own. Called in the browser's thread.

        :param options: see Playwright's ``Browser.new_context``.
        :return: Playwright's ``Page``.
        """
        context = self._browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(_TIMEOUT)
        context.set_default_navigation_timeout(_TIMEOUT)
        page = context.new_page()
        page.add_init_script(_NOTE_VIOLATIONS)
        page.on("console", lambda message: message.type in ("error", "warning") and self._note(message.text))
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on("dialog", lambda dialog: (self._note(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: request.url.startswith(url) or self._note(f"request {request.url}"))
        page.goto(url)
        return page

    def wait_for_headline(self, page: Any, text: str) -> None:
        """Wait until the page says something at its top."""
        page.wait_for_function("(text) => document.getElementById('headline').textContent === text", arg=text)

    def wait_for(self, page: Any, headline: str) -> None:
        """Wait until the page says something at its top, and has drawn the rest."""
        self.wait_for_headline(page, headline)
        self.wait_until_drawn(page)

    def wait_until_drawn(self, page: Any) -> None:
        """Wait for two frames: a page says at once whether natsroute is ready, and draws the rest in the next."""
        page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")

    def close(self, page: Any) -> None:
        """Close a page. Called in the browser's thread."""
        self.faults += page.evaluate("violations")
        page.context.close()

    def _note(self, fault: str) -> None:
        # The browser reports when a page loses its server, and each attempt to connect again: refused or reset.
        if "ERR_CONNECTION_RE" not in fault and "ERR_INCOMPLETE_CHUNKED_ENCODING" not in fault:
            self.faults.append(fault)

    def _start(self) -> None:
        from playwright.sync_api import sync_playwright

        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=_ARGUMENTS,
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
            timeout=_TIMEOUT,
        )

    def _stop(self) -> None:
        if self._browser is not None:
            self._browser.close()
        if self._playwright is not None:
            self._playwright.stop()
