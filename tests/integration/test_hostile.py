"""
Servers that mean ill, against natsroute in a process of its own, so that its memory can be measured.

Whatever such a server does: natsroute takes little memory for it, says it in one line of the log, and lives, so that it
connects and works as soon as a real nats-server is there.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
from twisted.trial.unittest import TestCase

from natsroute.daemon.connection_log import MAX_SERVER_ERRORS
from natsroute.daemon.embedded import EmbeddedServer
from tests.support.cases import until
from tests.support.certificates import Certificates
from tests.support.hostile import CHUNK, HostileServer, Script, Visitor, info, many
from tests.support.nats_servers import ConfiguredServer
from tests.support.natsroute_process import CANNOT_MEASURE, Natsroute

#: KiB that natsroute may take beyond what it has when it waits for a server that is not there.
ROOM = 16 * 1024

ROUTES = """
from natsroute import EventRoutes
event_route = EventRoutes()

@event_route("nats:connected")
async def publish(event):
    await event.publish("works", "hello")
    print("CONFIRMED", flush=True)
"""

QUICK = (
    *("--num_publish_workers", "1"),
    *("--connect_timeout", "0.5"),
    *("--reconnect_wait", "0.05"),
    *("--reconnect_max_wait", "0.1"),
    *("--reconnect_jitter", "0"),
    *("--reconnect_jitter_tls", "0"),
)


@attrs.frozen
class Case:
    """
    What a server does, and what the log says of it.

    :ivar told: what the one line has in it; no line at all if empty.
    :ivar script: for each visitor; or, if it lets visitors in, for the first one only.
    :ivar lets_in: whether it lets its visitor in first. Those that come later are then treated well, for each
        connection that is lost has a line of its own.
    :ivar lines: how many lines, if anything is told.
    """

    name: str
    told: str
    script: Script
    lets_in: bool = False
    lines: int = 1


class HostileTestCase(TestCase):
    """natsroute, and one hostile server after the other on the port where it looks for a good one."""

    timeout = 120
    if CANNOT_MEASURE:
        skip = CANNOT_MEASURE

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.figures: list[str] = []

    async def start(self, *arguments: str, scheme: str = "nats") -> None:
        """natsroute, which waits for a server; its memory is what it has then."""
        listening = self.reactor.listenTCP(0, HostileServer(self.reactor, _nothing, _nothing), interface="127.0.0.1")
        self.port = listening.getHost().port
        await listening.stopListening()
        url = f"{scheme}://127.0.0.1:{self.port}"
        self.natsroute = Natsroute(self.reactor, self.folder, ROUTES, "--nats_url", url, *QUICK, *arguments)
        self.addCleanup(self.natsroute.stop)
        await self.until(lambda: self.said("natsroute keeps trying"))
        self.memory = self.natsroute.memory

    async def until(self, condition: Any) -> None:
        """See :func:`tests.support.cases.until`; natsroute's words are told if it was in vain."""
        try:
            await until(condition, self.reactor)
        except AssertionError as error:
            said = "\n".join(line[:300] for line in self.natsroute.said[-40:])
            raise AssertionError(f"{error}; it said:\n{said}") from None

    def said(self, text: str, since: int = 0) -> bool:
        """Whether natsroute has said this."""
        return any(text in line for line in self.natsroute.said[since:])

    async def meet_all(self, cases: list[Case]) -> None:
        """One after the other, with a good server behind each."""
        for case in cases:
            await self._meet(case)
            await self._meet_a_good_server(case)

    async def _meet(self, case: Case) -> None:
        begin = len(self.natsroute.said)
        began = self.reactor.seconds()
        self.natsroute.forget_peak()
        ended: list[Visitor] = []

        async def script(visitor: Visitor) -> None:
            try:
                await case.script(visitor)
            finally:
                ended.append(visitor)

        server = HostileServer(self.reactor, script, Visitor.be_good if case.lets_in else script)
        self.addCleanup(server.stop)
        server.start(self.port)
        if case.lets_in:
            await self.until(lambda: ended and (not ended[0].gone or len(server.visitors) > 1))
            await self.until(lambda: not case.told or self.said(case.told, begin))
            if server.visitors[0].gone:
                await self.until(lambda: self.natsroute.said[begin:].count("CONFIRMED"))
        else:
            await self.until(lambda: len(server.visitors) > 2)
        taken = self.natsroute.peak - self.memory
        self.figures.append(f"{case.name}: {taken} KiB, {self.reactor.seconds() - began:.1f} s")
        self.assertLess(taken, ROOM, f"{case.name}: {taken} KiB beyond {self.memory} KiB")
        lines = [
            line
            for line in self.natsroute.said[begin:]
            if line != "CONFIRMED" and not re.search(r"publish worker 1: connected to \w+://127", line)
        ]
        told = [line[:300] for line in lines]
        self.assertEqual(len(lines), case.lines if case.told else 0, f"{case.name}: {told}")
        if case.told:
            self.assertIn(case.told, lines[0], case.name)
            self.assertRegex(lines[0], r"^(Cannot use|publish worker 1: (lost|the server says))", case.name)
            self.assertLess(len(lines[0]), 1000, case.name)
        self.assertTrue(self.natsroute.alive, case.name)
        await server.stop()

    def good_server(self) -> Any:
        """A real nats-server on the port."""
        return EmbeddedServer(self.reactor, port=self.port)

    async def _meet_a_good_server(self, case: Case) -> None:
        begin = len(self.natsroute.said)
        server = self.good_server()
        self.addCleanup(lambda: server.stopService())
        await server.start()
        await self.until(lambda: self.said("(nats-server 2.", begin) and self.said("CONFIRMED", begin))
        self.assertTrue(self.natsroute.alive, case.name)
        # Before it was there it was refused too; the next case begins when natsroute has noticed that it is gone.
        connected = len(self.natsroute.said)
        await server.stopService()
        await self.until(lambda: self.said("refused", connected))

    def tearDown(self) -> None:
        if os.environ.get("NATSROUTE_TEST_FIGURES"):
            print("\n" + "\n".join(self.figures))


async def _nothing(visitor: Visitor) -> None:
    await visitor.end()


def _says(*words: bytes) -> Script:
    async def script(visitor: Visitor) -> None:
        for word in words:
            visitor.write(word)
        await visitor.end()

    return script


def _floods(first: bytes, *, data: bytes, times: int) -> Script:
    async def script(visitor: Visitor) -> None:
        visitor.write(first)
        await visitor.flood(many(data, times))
        await visitor.end()

    return script


def _lets_in_and_floods(chunks: Any, **fields: Any) -> Script:
    """Ends when all has been read."""

    async def script(visitor: Visitor) -> None:
        await visitor.let_in(**fields)
        await visitor.flood(chunks())
        await visitor.read_all()

    return script


def _lets_in_and_says(data: bytes, **fields: Any) -> Script:
    """Ends when the visitor has gone for it."""

    async def script(visitor: Visitor) -> None:
        await visitor.let_in(**fields)
        visitor.write(data)
        await visitor.end()

    return script


async def _drips(visitor: Visitor) -> None:
    for byte in info():
        visitor.write(bytes([byte]))
        await visitor.pause(0.02)


async def _crumbles(visitor: Visitor) -> None:
    """Each visitor reads pieces of other sizes, and so notices elsewhere that it is too much."""
    chance = random.Random()
    visitor.write(b"INFO {")
    while True:
        visitor.write(b" " * chance.randrange(1, 40_000))
        await visitor.pause(0.001)


async def _closes(visitor: Visitor) -> None:
    visitor.close()


async def _resets(visitor: Visitor) -> None:
    visitor.reset()


def _numbered(form: bytes, times: int) -> Iterator[bytes]:
    at_once = 1000
    for begin in range(0, times, at_once):
        yield b"".join([form % number for number in range(begin, begin + at_once)])


def _new_clusters(times: int) -> Iterator[bytes]:
    chance = random.Random(3)
    for _ in range(times):
        yield info(connect_urls=[f"10.{chance.randrange(2**24):x}.example:{port}" for port in range(1, 2_000)])
    yield info(connect_urls=["127.0.0.1:1"])  # nobody shall be looked for afterwards


class BeforeLoginTests(HostileTestCase):
    """They never let us in."""

    async def test_info(self) -> None:
        """INFO is the first that a server says, and the longest."""
        await self.start()
        nested = b"[" * 30_000
        await self.meet_all(
            [
                Case("INFO without end", "a line of more than", _floods(b"INFO {", data=b" " * CHUNK, times=2_000)),
                Case("INFO without end, in pieces", "a line of more than", _crumbles),
                Case("INFO for ever", "no PONG within 0.5 s", _floods(info(), data=info(x="x" * 9_000), times=100_000)),
                Case(
                    "INFO with 100,000 connect_urls",
                    "a line of more than",
                    _says(info(connect_urls=[f"host-{number}.example:4222" for number in range(100_000)])),
                ),
                Case("INFO that is no text", "INFO is not JSON", _says(b"INFO \xff\xfe\xfd\r\n")),
                Case("INFO that is a list", "INFO is not a JSON object", _says(b"INFO []\r\n")),
                Case("INFO deeply nested", "INFO is not JSON", _says(b'INFO {"a":' + nested + b"\r\n")),
                Case(
                    "INFO with wrong types",
                    "INFO's max_payload is not of type int",
                    _says(info(max_payload={"a": ["b"] * 1_000})),
                ),
                Case("INFO with wrong URLs", "not a list of strings", _says(info(connect_urls=[[1], None]))),
                Case("INFO with 5,000 digits", "INFO is not JSON", _says(b'INFO {"port":' + b"9" * 5_000 + b"}\r\n")),
                Case("INFO with 1e999", "INFO's port is not of type int", _says(b'INFO {"port":1e999}\r\n')),
                Case(
                    "a huge max_payload",
                    "above max_payload, 67108864",
                    _says(info(max_payload=10**1_000) + b"MSG a 1 99999999999\r\n"),
                ),
            ]
        )

    async def test_other(self) -> None:
        await self.start()
        await self.meet_all(
            [
                Case(
                    "a line of 100 MiB",
                    "a line of more than",
                    _floods(info() + b"MSG ", data=b"a" * CHUNK, times=100 * 1024**2 // CHUNK),
                ),
                Case("silence", "no INFO within 0.5 s", _nothing),
                Case("silence behind INFO", "no PONG within 0.5 s", _says(info())),
                Case("a byte now and then", "no INFO within 0.5 s", _drips),
                Case("closed at once", "closed cleanly", _closes),
                Case("RST at once", "non-clean", _resets),
                Case("PINGs for ever", "no PONG within 0.5 s", _floods(info(), data=b"PING\r\n", times=10**9)),
                Case(
                    "-ERR in place of a PONG",
                    "Cannot use",
                    _says(info() + b"-ERR '" + b"x" * 300 + b"'\r\n" * 3),
                ),
            ]
        )


class AfterLoginTests(HostileTestCase):
    """They let us in first."""

    async def test_nonsense(self) -> None:
        """The connection is lost for it, and the next one is treated well."""
        await self.start()
        await self.meet_all(
            [
                Case(name, told, _lets_in_and_says(data), lets_in=True)
                for name, told, data in [
                    ("MSG of -5 bytes", "not a number", b"MSG a 1 -5\r\n"),
                    ("MSG of 93 GiB", "above max_payload", b"MSG a 1 99999999999\r\n"),
                    ("HMSG with a header of -5 bytes", "not a number", b"HMSG a 1 -5 10\r\n"),
                    ("HMSG of -5 bytes", "not a number", b"HMSG a 1 5 -5\r\n"),
                    ("HMSG with more header than message", "a header longer than", b"HMSG a 1 500 10\r\n"),
                    ("PONGs that nobody asked for", "nobody asked for", b"PONG\r\n" * 1_000),
                    ("INFO without end", "a line of more than", b"INFO {" + b" " * 10_000_000),
                ]
            ]
        )

    async def test_floods(self) -> None:
        """The connection bears them."""
        await self.start()
        payload = b"x" * 1024**2
        refused = b"-ERR 'Permissions Violation for Publish to \"s.%d\"'\r\n"
        await self.meet_all(
            [
                Case(name, told, _lets_in_and_floods(chunks), lets_in=True, lines=lines)
                for name, told, lines, chunks in [
                    ("a million MSG for nobody", "", 0, lambda: many(b"MSG a 99 2\r\nhi\r\n", 1_000_000)),
                    ("200 MiB for nobody", "", 0, lambda: many(b"MSG a 99 1048576\r\n" + payload + b"\r\n", 200)),
                    ("new clusters again and again", "", 0, lambda: _new_clusters(20)),
                    ("INFO again and again", "", 0, lambda: many(info(x="x" * 9_000), 10_000)),
                    ("300,000 -ERR", "foo 0", MAX_SERVER_ERRORS, lambda: _numbered(b"-ERR 'foo %d'\r\n", 300_000)),
                    ("100,000 refused subjects", "s.0", MAX_SERVER_ERRORS, lambda: _numbered(refused, 100_000)),
                ]
            ]
        )

    async def test_words_for_terminals(self) -> None:
        """What a server says of itself is logged; it must not reach the terminal as it is, nor break the log."""
        await self.start()
        script = _lets_in_and_floods(lambda: iter(()), version="2\x1b[2J\n\ud800", connect_urls=["\ud800:1", "\x1b:1"])
        await self.meet_all([Case("a version", "", script, lets_in=True)])
        self.assertTrue(self.said("(nats-server 2?[2J??)"))
        self.assertNotIn("\x1b", "".join(self.natsroute.said))


class ImpatientTests(HostileTestCase):
    """With a small ``ping_interval`` and ``write_timeout``."""

    async def test_silence_after_login(self) -> None:
        await self.start("--ping_interval", "0.2")
        script = _lets_in_and_says(b"")
        await self.meet_all([Case("silence after login", "2 pings without an answer", script, lets_in=True)])

    async def test_pings_of_a_server_that_does_not_read(self) -> None:
        """Our PONGs do not pile up without bound."""
        await self.start("--write_timeout", "2")

        async def script(visitor: Visitor) -> None:
            await visitor.let_in()
            visitor.stop_reading()
            await visitor.flood(many(b"PING\r\n", 10**9))

        await self.meet_all([Case("PINGs", "did not go out within 2.0 s", script, lets_in=True)])


class TlsTests(HostileTestCase):
    """What is not TLS where TLS must be."""

    async def test_garbage_for_tls(self) -> None:
        await self.start()
        garbage = random.Random(5).randbytes(100_000)

        async def script(visitor: Visitor) -> None:
            visitor.write(info(tls_required=True))
            await visitor.hears_anything()
            visitor.write(garbage)
            await visitor.end()

        await self.meet_all([Case("garbage", "no TLS", script)])

    async def test_plain_text_for_tls_first(self) -> None:
        certificates = Certificates(self.folder / "certificates")
        self.block = certificates.tls_block(certificates.server(), "handshake_first: true")
        await self.start("--tls", "1", "--tls_first", "1", "--tls_ca_file", str(certificates.ca), scheme="tls")
        await self.meet_all(
            [
                Case("plain text", "the answer is not TLS", _says(info())),
                Case("plain text for ever", "the answer is not TLS", _floods(info(), data=info(), times=10**6)),
            ]
        )

    def good_server(self) -> Any:
        if not hasattr(self, "block"):
            return super().good_server()
        server = ConfiguredServer(self.reactor, self.block)
        server.port = self.port
        server.stopService = server.stop  # type: ignore[attr-defined]
        return server
