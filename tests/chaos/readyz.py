"""
``/readyz`` against the truth: something goes wrong with a real nats-server, or with natsroute itself, and is put right.

A client asks ``/readyz`` all the time. What counts is how many seconds after the cause it is no longer 200, what it
says, and how many seconds after the cure it is 200 again.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.task import deferLater

from natsroute.monitoring.http.stand_in import DEAD_AFTER
from tests.support.certificates import CertificateFiles, Certificates
from tests.support.http_client import Answer, get
from tests.support.nats_server import NatsServer
from tests.support.natsroute_process import NatsrouteProcess
from tests.support.plain_client import PlainClient
from tests.support.waiting import until

#: Seconds between two requests.
INTERVAL = 0.02
#: Seconds after which what /readyz says counts as wrong.
MAX_SECONDS = 120.0
#: Seconds after which a request that has no answer is sent again: the reactor that took it may be blocked.
ANSWER_TIMEOUT = 5.0
#: The settings that decide how soon natsroute tries again.
SETTINGS = ("--reconnect_wait", "0.5", "--login_wait", "0.5", "--login_max_wait", "1", "--num_publish_workers", "1")
#: Seconds for which a route takes its time at the most. It ends when its cure comes.
LONG = 600.0

ROUTES = """
import os
import time
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from natsroute import EventRoutes

event_route = EventRoutes()

@event_route.on_start
async def open_database(service):
    from twisted.internet import reactor
    while not os.path.exists("database"):
        await deferLater(reactor, 0.02)
    LoopingCall(lambda: service.publish("heartbeat", b"").addErrback(lambda failure: None)).start(0.5)

def lasts(event):  # until its time is over, or there is a file
    end = time.monotonic() + float(event.text())
    return lambda: time.monotonic() < end and not os.path.exists("free")

@event_route("nats:slow")
async def slow(event):
    from twisted.internet import reactor
    goes_on = lasts(event)
    print("SLOW", flush=True)
    while goes_on():
        await deferLater(reactor, 0.02)

@event_route("nats:block")
def block(event):
    goes_on = lasts(event)
    print("BLOCKED", flush=True)
    while goes_on():
        time.sleep(0.02)
    print("FREE", flush=True)
"""


@attrs.frozen
class Row:
    """
    What was seen of one case.

    :ivar case: what went wrong.
    :ivar code: the code of the reason.
    :ivar about: what it was about.
    :ivar text: what it said.
    :ivar not_ready_after: seconds from the cause until /readyz was not 200.
    :ivar said_after: seconds from the cause until /readyz said this.
    :ivar ready_after: seconds from the cure until /readyz was 200 again; None if the process ended.
    """

    case: str
    code: str
    about: str
    text: str
    not_ready_after: float
    said_after: float
    ready_after: float | None


class Bench:
    """
    A nats-server and natsroute, and the client.

    :param folder: an empty folder.
    """

    def __init__(self, reactor: Any, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.reactor = reactor
        self.folder = folder
        self.server = NatsServer(reactor)
        self.natsroute: NatsrouteProcess | None = None
        self.spawned = 0.0
        self.url = ""

    async def start(self, config: str = "", *arguments: str, url: str = "", hangs: bool = False) -> None:
        """
        Start both.

        :param config: the configuration of nats-server.
        :param arguments: further settings of natsroute.
        :param url: the URL of the server, with ``PORT`` for its port; the default has no login and no TLS.
        :param hangs: whether the ``on_start`` hook waits.
        """
        self.server.config = config
        await self.server.start()
        if not hangs:
            self.open_database()
        address = (url or "nats://127.0.0.1:PORT").replace("PORT", str(self.server.port))
        self.spawned = _now()
        self.natsroute = NatsrouteProcess(
            self.reactor,
            self.folder,
            ROUTES,
            *("--nats_url", address, "--http_listen", "0", *SETTINGS),
            *("--subject_queue_group", "slow:q", "--subject_queue_group", "block:q", *arguments),
        )
        await until(lambda: self._listening(), self.reactor)
        (self.url,) = self._listening()
        if not hangs:
            await self.until_ready()

    def _listening(self) -> list[str]:
        output = "" if self.natsroute is None else "\n".join(self.natsroute.output)
        return re.findall(r"Operators can see natsroute at (\S+)/$", output, re.MULTILINE)

    def open_database(self) -> None:
        """Let the ``on_start`` hook end."""
        (self.folder / "database").touch()

    def end_route(self) -> None:
        """Let the route that takes its time end."""
        (self.folder / "free").touch()

    async def ask(self, path: str = "/readyz", timeout: float = ANSWER_TIMEOUT) -> Answer | None:
        """What a path says now."""
        return await get(self.reactor, self.url + path, timeout)

    async def see(self, case: str, began: float, code: str, words: str) -> Row:
        """
        Wait until /readyz has a reason.

        :param began: when the cause began.
        :param words: a regular expression that the text of the reason has.
        :raises AssertionError: it does not come; the message has the last answer.
        """
        give_up = time.monotonic() + MAX_SECONDS
        answer, not_ready = None, 0.0
        while time.monotonic() < give_up:
            answer = await self.ask()
            after = _now() - began
            if answer is None or answer.status != 200:
                not_ready = not_ready or after
            for reason in _reasons(answer):
                if reason["code"] == code and re.search(words, reason["text"]):
                    return Row(case, code, reason["about"], reason["text"], not_ready, after, None)
            await deferLater(self.reactor, INTERVAL)
        raise AssertionError(f"/readyz did not say {code} {words!r}, but {answer}")

    async def until_ready(self) -> float:
        """
        Wait until /readyz is 200.

        :return: the time on the clock of ``time.monotonic()``.
        :raises AssertionError: it does not become so; the message has the last answer.
        """
        give_up = time.monotonic() + MAX_SECONDS
        answer = None
        while time.monotonic() < give_up:
            answer = await self.ask()
            if answer is not None and answer.status == 200:
                return _now()
            await deferLater(self.reactor, INTERVAL)
        raise AssertionError(f"/readyz was not 200, but {answer}")

    async def printed(self, line: str) -> float:
        """Wait until a route has printed a line; returns the time."""
        natsroute = self.natsroute
        assert natsroute is not None
        await until(lambda: line in natsroute.output, self.reactor)
        return time.monotonic()

    async def publish(self, subject: str, payload: str) -> None:
        """Publish a message."""
        with PlainClient(self.server.url) as client:
            client.publish(subject, payload.encode())
            client.flush()

    async def stop(self) -> None:
        """End both."""
        if self.natsroute is not None:
            await self.natsroute.stop()
        await self.server.stop()


def _reasons(answer: Answer | None) -> list[dict[str, Any]]:
    if answer is None or answer.status != 503:
        return []
    reasons: list[dict[str, Any]] = answer.body["reasons"]
    return reasons


async def _row(
    bench: Bench,
    case: str,
    code: str,
    words: str,
    cause: Callable[[], Awaitable[float]],
    cure: Callable[[], Awaitable[float]],
) -> Row:
    """
    Let something go wrong and put it right.

    :param cause: returns when it has gone wrong.
    :param cure: returns when it is right again.
    """
    row = await bench.see(case, await cause(), code, words)
    cured = await cure()
    ready = await bench.until_ready()
    return attrs.evolve(row, ready_after=max(0.0, ready - cured))


def _now(result: object = None) -> float:
    return time.monotonic()


async def server_down(bench: Bench) -> Row:
    """The server is killed, and started again."""
    await bench.start()

    async def cause() -> float:
        await bench.server.kill()
        return _now()

    async def cure() -> float:
        return _now(await bench.server.start())

    return await _row(bench, "server down", "not_connected", "Connection was refused", cause, cure)


async def server_silent(bench: Bench) -> Row:
    """The server is stopped like a program under a debugger: its connections stay, and it says nothing."""
    await bench.start()

    async def cause() -> float:
        return _now(bench.server.pause())

    async def cure() -> float:
        return _now(bench.server.resume())

    return await _row(bench, "server silent", "cannot_publish", "has not confirmed a message for 5 s", cause, cure)


async def login_refused(bench: Bench) -> Row:
    """The password of the server changes, and changes back."""
    config = 'authorization {{ user: u, password: "{}" }}'.format
    await bench.start(config("secret"), url="nats://u:secret@127.0.0.1:PORT")

    async def cause() -> float:
        return _now(await bench.server.reload(config("other")))

    async def cure() -> float:
        return _now(await bench.server.reload(config("secret")))

    return await _row(bench, "login refused", "not_connected", "Authorization Violation", cause, cure)


async def subscription_refused(bench: Bench) -> Row:
    """The server takes the permission for one of the subjects, and gives it back."""
    allowed = 'authorization { users: [ { user: u, password: p, permissions: { subscribe: ["slow", "block"] } } ] }'
    denied = allowed.replace('["slow", "block"]', '"block"')
    await bench.start(allowed, url="nats://u:p@127.0.0.1:PORT")

    async def cause() -> float:
        return _now(await bench.server.reload(denied))

    async def cure() -> float:
        return _now(await bench.server.reload(allowed))

    return await _row(bench, "subscription refused", "not_subscribed", 'Subscription to "slow"', cause, cure)


async def certificate_expired(bench: Bench) -> Row:
    """The server starts with a certificate that has expired, and then with a new one."""
    certificates = Certificates(bench.folder / "certificates")
    files = CertificateFiles(bench.folder / "server.pem", bench.folder / "server.key")

    def use(certificate: CertificateFiles) -> None:
        for source, target in zip(certificate, files):
            shutil.copy(source, target)

    use(certificates.server())
    config = f'tls {{ cert_file: "{files.certificate.absolute()}", key_file: "{files.key.absolute()}" }}'
    await bench.start(config, "--tls", "1", "--tls_ca_file", str(certificates.ca))

    async def restart(certificate: CertificateFiles) -> float:
        use(certificate)
        return _now(await bench.server.restart())

    return await _row(
        bench,
        "TLS certificate expired",
        "not_connected",
        "it has expired",
        lambda: restart(certificates.expired_server()),
        lambda: restart(certificates.server()),
    )


async def draining(bench: Bench) -> Row:
    """natsroute is asked to end while a message is handled."""
    await bench.start()
    natsroute = bench.natsroute
    assert natsroute is not None
    await bench.publish("slow", str(LONG))
    await bench.printed("SLOW")
    began = _now(os.kill(natsroute.pid, signal.SIGTERM))
    row = await bench.see("draining", began, "stopping", "the service stops")
    alive = await bench.ask("/livez", MAX_SECONDS)
    assert alive is not None
    assert alive.status == 200, alive
    bench.end_route()
    await natsroute.ended()
    return row


async def blocked_reactor(bench: Bench) -> Row:
    """A route sleeps."""
    await bench.start()

    async def cause() -> float:
        await bench.publish("block", str(LONG))
        return await bench.printed("BLOCKED")

    async def cure() -> float:
        bench.end_route()
        return await bench.printed("FREE")

    return await _row(
        bench,
        "blocked reactor",
        "blocked_reactor",
        r"event route nats:block, which is at \S+routes.py:\d+",
        cause,
        cure,
    )


async def hung_on_start(bench: Bench) -> Row:
    """A hook waits at the start of the process, which takes most of the time until it is said."""

    async def cause() -> float:
        await bench.start(hangs=True)
        return bench.spawned

    async def cure() -> float:
        return _now(bench.open_database())

    return await _row(bench, "hung on_start", "starting", "on_start hook open_database .* has not ended", cause, cure)


async def blocked_for_long(bench: Bench) -> Row:
    """A route sleeps for so long that only a restart could help: /livez says so, and is 200 after it."""
    await bench.start()
    await bench.publish("block", str(DEAD_AFTER + 2))
    began = await bench.printed("BLOCKED")
    row = await bench.see("reactor blocked for 12 s: /livez", began, "blocked_reactor", "nats:block")
    answer = await bench.ask("/livez")
    while answer is None or answer.status == 200:
        await deferLater(bench.reactor, INTERVAL)
        answer = await bench.ask("/livez")
    after, (reason,) = _now() - began, _reasons(answer)
    freed = await bench.printed("FREE")
    while answer is None or answer.status != 200:
        answer = await bench.ask("/livez")
    return attrs.evolve(row, text=reason["text"], not_ready_after=after, said_after=after, ready_after=_now() - freed)


#: Each case, the shorter ones first.
CASES: tuple[Callable[[Bench], Awaitable[Row]], ...] = (
    server_down,
    server_silent,
    login_refused,
    subscription_refused,
    certificate_expired,
    draining,
    blocked_reactor,
    hung_on_start,
    blocked_for_long,
)


async def run_case(reactor: Any, folder: Path, case: Callable[[Bench], Awaitable[Row]]) -> Row:
    """
    Run one case.

    :param folder: a new folder for its files.
    :raises AssertionError: /readyz did not say the truth within :data:`MAX_SECONDS`.
    """
    bench = Bench(reactor, folder)
    try:
        return await case(bench)
    finally:
        await bench.stop()


async def run(reactor: Any, folder: Path) -> list[Row]:
    """Run all cases, one after the other."""
    return [await run_case(reactor, folder / case.__name__, case) for case in CASES]


def table(rows: list[Row]) -> Iterator[str]:
    """The rows as lines of Markdown."""
    yield "| case | not 200 after | said after | what it said | 200 again after |"
    yield "|---|---|---|---|---|"
    for row in rows:
        ready = "the process ended" if row.ready_after is None else f"{row.ready_after:.2f} s"
        seen = f"{row.not_ready_after:.2f} s | {row.said_after:.2f} s | `{row.code}`: {row.text}"
        yield f"| {row.case} | {seen} | {ready} |"
