"""
Hostile servers against natsroute in a process of its own

Whatever such a server does, natsroute takes little memory, logs one line, and works as soon as a real nats-server is
there.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from natsroute.daemon.connection_log import MAX_SERVER_ERRORS
from tests.support.certificates import Certificates
from tests.support.hostile_case import Case, HostileTestCase
from tests.support.hostile_server import CHUNK, Client, Script, info, repeated
from tests.support.nats_server import NatsServer


async def _nothing(client: Client) -> None:
    await client.wait_until_gone()


def _sends(*pieces: bytes) -> Script:
    async def script(client: Client) -> None:
        for piece in pieces:
            client.write(piece)
        await client.wait_until_gone()

    return script


def _floods(first: bytes, *, data: bytes, times: int) -> Script:
    async def script(client: Client) -> None:
        client.write(first)
        await client.flood(repeated(data, times))
        await client.wait_until_gone()

    return script


def _floods_after_handshake(chunks: Any, **fields: Any) -> Script:
    """The script ends when the client has read everything."""

    async def script(client: Client) -> None:
        await client.shake_hands(**fields)
        await client.flood(chunks())
        await client.wait_until_read()

    return script


def _sends_after_handshake(data: bytes, **fields: Any) -> Script:
    """The script ends when the client has closed the connection."""

    async def script(client: Client) -> None:
        await client.shake_hands(**fields)
        client.write(data)
        await client.wait_until_gone()

    return script


async def _sends_info_slowly(client: Client) -> None:
    for byte in info():
        client.write(bytes([byte]))
        await client.pause(0.02)


async def _sends_endless_info(client: Client) -> None:
    """Each client reads pieces of other sizes, and finds elsewhere that the line is too long."""
    chance = random.Random()
    client.write(b"INFO {")
    while True:
        client.write(b" " * chance.randrange(1, 40_000))
        await client.pause(0.001)


async def _closes(client: Client) -> None:
    client.close()


async def _resets(client: Client) -> None:
    client.reset()


def _numbered(form: bytes, times: int) -> Iterator[bytes]:
    at_once = 1000
    for begin in range(0, times, at_once):
        yield b"".join([form % number for number in range(begin, begin + at_once)])


def _new_clusters(times: int) -> Iterator[bytes]:
    chance = random.Random(3)
    for _ in range(times):
        yield info(connect_urls=[f"10.{chance.randrange(2**24):x}.example:{port}" for port in range(1, 2_000)])
    yield info(connect_urls=["127.0.0.1:1"])  # no server to look for afterwards


class BeforeHandshakeTests(HostileTestCase):
    """Servers that never complete the handshake."""

    async def test_info(self) -> None:
        """INFO is the first thing that a server sends, and the longest."""
        await self.start()
        nested = b"[" * 30_000
        await self.run_all(
            [
                Case("INFO without end", "a line of more than", _floods(b"INFO {", data=b" " * CHUNK, times=2_000)),
                Case("INFO without end, in pieces", "a line of more than", _sends_endless_info),
                Case(
                    "INFO with 100,000 connect_urls",
                    "a line of more than",
                    _sends(info(connect_urls=[f"host-{number}.example:4222" for number in range(100_000)])),
                ),
                Case("INFO that is no text", "INFO is not JSON", _sends(b"INFO \xff\xfe\xfd\r\n")),
                Case("INFO that is a list", "INFO is not a JSON object", _sends(b"INFO []\r\n")),
                Case("INFO deeply nested", "INFO is not JSON", _sends(b'INFO {"a":' + nested + b"\r\n")),
                Case(
                    "INFO with wrong types",
                    "INFO's max_payload is not of type int",
                    _sends(info(max_payload={"a": ["b"] * 1_000})),
                ),
                Case("INFO with wrong URLs", "not a list of strings", _sends(info(connect_urls=[[1], None]))),
                Case("INFO with 5,000 digits", "INFO is not JSON", _sends(b'INFO {"port":' + b"9" * 5_000 + b"}\r\n")),
                Case("INFO with 1e999", "INFO's port is not of type int", _sends(b'INFO {"port":1e999}\r\n')),
                Case(
                    "a huge max_payload",
                    "above max_inbound_payload, 67108864",
                    _sends(info(max_payload=10**1_000) + b"MSG a 1 99999999999\r\n"),
                ),
            ]
        )

    async def test_other(self) -> None:
        await self.start()
        await self.run_all(
            [
                Case(
                    "a line of 100 MiB",
                    "a line of more than",
                    _floods(info() + b"MSG ", data=b"a" * CHUNK, times=100 * 1024**2 // CHUNK),
                ),
                Case("closed at once", "closed cleanly", _closes),
                Case("RST at once", "non-clean", _resets),
                Case(
                    "-ERR instead of a PONG",
                    "Cannot use",
                    _sends(info() + b"-ERR '" + b"x" * 300 + b"'\r\n" * 3),
                ),
            ]
        )

    async def test_without_end(self) -> None:
        """Each attempt ends with connect_timeout."""
        await self.start(connect_timeout=0.5)
        await self.run_all(
            [
                Case("silence", "no INFO within 0.5 s", _nothing),
                Case("silence after INFO", "no PONG within 0.5 s", _sends(info())),
                Case("a byte now and then", "no INFO within 0.5 s", _sends_info_slowly),
                Case("INFO forever", "no PONG within 0.5 s", _floods(info(), data=info(x="x" * 9_000), times=100_000)),
                Case("PINGs forever", "no PONG within 0.5 s", _floods(info(), data=b"PING\r\n", times=10**9)),
            ]
        )


class AfterHandshakeTests(HostileTestCase):
    """Servers that complete the handshake first."""

    async def test_malformed_frames(self) -> None:
        """natsroute closes the connection."""
        await self.start()
        await self.run_all(
            [
                Case(name, problem, _sends_after_handshake(data), after_handshake=True)
                for name, problem, data in [
                    ("MSG of -5 bytes", "not a number", b"MSG a 1 -5\r\n"),
                    ("MSG of 93 GiB", "above max_inbound_payload", b"MSG a 1 99999999999\r\n"),
                    ("HMSG with a header of -5 bytes", "not a number", b"HMSG a 1 -5 10\r\n"),
                    ("HMSG of -5 bytes", "not a number", b"HMSG a 1 5 -5\r\n"),
                    ("HMSG with more header than message", "a header longer than", b"HMSG a 1 500 10\r\n"),
                    ("PONGs without a PING", "a PONG without a PING", b"PONG\r\n" * 1_000),
                    ("INFO without end", "a line of more than", b"INFO {" + b" " * 10_000_000),
                ]
            ]
        )

    async def test_floods(self) -> None:
        """natsroute keeps the connection."""
        await self.start()
        payload = b"x" * 1024**2
        refused = b"-ERR 'Permissions Violation for Publish to \"s.%d\"'\r\n"
        await self.run_all(
            [
                Case(name, problem, _floods_after_handshake(chunks), after_handshake=True, lines=lines)
                for name, problem, lines, chunks in [
                    (
                        "a million MSG without a subscription",
                        "",
                        0,
                        lambda: repeated(b"MSG a 99 2\r\nhi\r\n", 1_000_000),
                    ),
                    (
                        "200 MiB without a subscription",
                        "",
                        0,
                        lambda: repeated(b"MSG a 99 1048576\r\n" + payload + b"\r\n", 200),
                    ),
                    ("new clusters again and again", "", 0, lambda: _new_clusters(20)),
                    ("INFO again and again", "", 0, lambda: repeated(info(x="x" * 9_000), 10_000)),
                    ("300,000 -ERR", "foo 0", MAX_SERVER_ERRORS, lambda: _numbered(b"-ERR 'foo %d'\r\n", 300_000)),
                    ("100,000 refused subjects", "s.0", MAX_SERVER_ERRORS, lambda: _numbered(refused, 100_000)),
                ]
            ]
        )

    async def test_control_characters(self) -> None:
        """What a server says of itself is logged with its control characters escaped."""
        await self.start()
        script = _floods_after_handshake(
            lambda: iter(()), version="2\x1b[2J\n\ud800", connect_urls=["\ud800:1", "\x1b:1"]
        )
        await self.run_all([Case("a version", "", script, after_handshake=True)])
        self.assertTrue(self.logged(r"(nats-server 2\x1b[2J\n\ud800)"))
        self.assertNotIn("\x1b", "".join(self.natsroute.output))


class ShortTimeoutTests(HostileTestCase):
    """With a short ``ping_interval`` and ``write_timeout``."""

    async def test_silence_after_handshake(self) -> None:
        await self.start("--ping_interval", "1")
        script = _sends_after_handshake(b"")
        await self.run_all(
            [Case("silence after the handshake", "2 PINGs without a PONG", script, after_handshake=True)]
        )

    async def test_pings_of_a_server_that_does_not_read(self) -> None:
        """Our PONGs do not accumulate without limit."""
        await self.start("--write_timeout", "2")

        async def script(client: Client) -> None:
            await client.shake_hands()
            client.stop_reading()
            await client.flood(repeated(b"PING\r\n", 10**9))

        await self.run_all([Case("PINGs", "no written data was sent within 2.0 s", script, after_handshake=True)])


class TlsTests(HostileTestCase):
    """Something else where TLS is required."""

    config = ""

    async def test_garbage_for_tls(self) -> None:
        await self.start()
        garbage = random.Random(5).randbytes(100_000)

        async def script(client: Client) -> None:
            client.write(info(tls_required=True))
            await client.wait_for_bytes()
            client.write(garbage)
            await client.wait_until_gone()

        await self.run_all([Case("garbage", "no TLS", script)])

    async def test_plain_text_for_tls_first(self) -> None:
        certificates = Certificates(self.folder / "certificates")
        self.config = certificates.tls_block(certificates.server(), "handshake_first: true")
        await self.start("--tls", "1", "--tls_first", "1", "--tls_ca_file", str(certificates.ca), scheme="tls")
        await self.run_all(
            [
                Case("plain text", "the answer is not TLS", _sends(info())),
                Case("plain text forever", "the answer is not TLS", _floods(info(), data=info(), times=10**6)),
            ]
        )

    def real_server(self) -> NatsServer:
        return NatsServer(self.reactor, self.config, port=self.port)
