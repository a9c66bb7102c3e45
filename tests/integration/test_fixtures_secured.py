"""The servers, certificates and accounts of the other tests, as a plain client sees them."""

from __future__ import annotations

import os
import socket
import ssl
import time
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.support.certificates import Certificates
from tests.support.cluster import cluster_is_complete, read_info, start_cluster
from tests.support.nats_accounts import Nkey, Operator
from tests.support.nats_servers import ConfiguredServer, ServerEndedError
from tests.support.plain_client import VIOLATION, conversation, credited, signing, trusting, verdict


class SecuredTestCase(TestCase):
    """Servers that end with the test."""

    timeout = 60

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor

    async def server(self, config: str = "", **named: Any) -> ConfiguredServer:
        """One that is ready."""
        server = ConfiguredServer(self.reactor, config, **named)
        self.addCleanup(server.stop)
        await server.start()
        return server


class AuthenticationTests(SecuredTestCase):
    """Who may connect."""

    async def test_users_and_nkeys(self) -> None:
        nkey = Nkey()
        users = f'[{{user: "alice", password: "secret"}}, {{nkey: "{nkey.public}"}}]'
        port = (await self.server(f"authorization {{ users: {users} }}")).port
        self.assertEqual(await verdict(port, lambda info: {"user": "alice", "pass": "secret"}), "PONG")
        self.assertEqual(await verdict(port, lambda info: {"user": "alice", "pass": "wrong"}), VIOLATION)
        self.assertEqual(await verdict(port, signing(nkey)), "PONG")
        self.assertEqual(await verdict(port, signing(Nkey())), VIOLATION)

    async def test_token(self) -> None:
        port = (await self.server('authorization { token: "secret" }')).port
        self.assertEqual(await verdict(port, lambda info: {"auth_token": "secret"}), "PONG")
        self.assertEqual(await verdict(port), VIOLATION)

    async def test_accounts(self) -> None:
        operator = Operator("ONE", "TWO")
        port = (await self.server(operator.config)).port
        self.assertEqual(await verdict(port, credited(operator.creds("alice"))), "PONG")
        self.assertEqual(await verdict(port, credited(operator.creds("alice", account="TWO"))), "PONG")
        self.assertEqual(await verdict(port, credited(operator.creds("alice", -5))), VIOLATION)
        self.assertEqual(await verdict(port, credited(Operator().creds("alice"))), VIOLATION)

    async def test_a_user_expires(self) -> None:
        """In the middle of a connection that was good until then."""
        operator = Operator()
        port = (await self.server(operator.config)).port

        def listen() -> list[str]:
            with conversation(port, credited(operator.creds("alice", 1))) as talk:
                return talk.until(b"no end but the server's")

        self.assertEqual(await deferToThread(listen), ["PONG", "-ERR 'User Authentication Expired'"])

    async def test_permissions(self) -> None:
        operator = Operator()
        port = (await self.server(operator.config)).port
        creds = operator.creds("alice", permissions={"pub": {"allow": ["a.>"]}, "sub": {"deny": ["b"]}})

        def ask() -> list[str]:
            with conversation(port, credited(creds)) as talk:
                talk.until(b"PONG")
                talk.send(b"PUB a.b 0\r\n\r\nPUB c 0\r\n\r\nSUB b 1\r\nSUB d 2\r\nPING\r\n")
                return talk.until(b"PONG")

        denied = ['Publish to "c"', 'Subscription to "b"']
        self.assertEqual(await deferToThread(ask), [f"-ERR 'Permissions Violation for {what}'" for what in denied])


class TlsTests(SecuredTestCase):
    """What the certificates are good for."""

    def setUp(self) -> None:
        super().setUp()
        self.certificates = Certificates(Path(self.mktemp()))
        self.trust = trusting(self.certificates.ca)

    async def test_tls(self) -> None:
        server = await self.server(self.certificates.tls_block(self.certificates.server()))
        self.assertEqual(await verdict(server.port, tls=self.trust), "PONG")
        self.assertEqual(
            await verdict(server.port, tls=trusting(self.certificates.other_ca)),
            "unable to get local issuer certificate",
        )
        # The server ends what is not TLS; whether its words arrive before the end is left to chance.
        self.assertNotEqual(await verdict(server.port), "PONG")

    async def test_tls_first(self) -> None:
        """The server is silent until the handshake."""
        block = self.certificates.tls_block(self.certificates.server(), "handshake_first: true")
        server = await self.server(block)
        self.assertEqual(await verdict(server.port, tls=self.trust, tls_first=True), "PONG")

    async def test_bad_servers(self) -> None:
        """They start, and a client that looks sees what is wrong."""
        make = self.certificates
        for files, problem in (
            (make.expired_server(), "certificate has expired"),
            (make.future_server(), "certificate is not yet valid"),
            (make.wrong_host_server(), "Hostname mismatch, certificate is not valid for 'localhost'."),
            (make.server_of_other_ca(), "unable to get local issuer certificate"),
            (make.self_signed_server(), "self-signed certificate"),
        ):
            server = await self.server(make.tls_block(files))
            said = await verdict(server.port, tls=self.trust)
            # OpenSSL before 3 wrote it in two words.
            self.assertEqual(said.replace("self signed", "self-signed"), problem)

    async def test_self_signed_is_its_own_ca(self) -> None:
        files = self.certificates.self_signed_server()
        server = await self.server(self.certificates.tls_block(files))
        self.assertEqual(await verdict(server.port, tls=trusting(files.certificate)), "PONG")

    async def test_mutual_tls(self) -> None:
        """The certificate says which user it is, by an email address or by the subject."""
        make = self.certificates
        users = 'authorization { users: [{user: "alice@example.com"}, {user: "CN=bob"}] }\n'
        port = (await self.server(users + make.tls_block(make.server(), "verify_and_map: true"))).port
        for identity, expected in (("alice@example.com", "PONG"), ("bob", "PONG"), ("carol", VIOLATION)):
            client = make.client(identity)
            self.assertEqual(await verdict(port, tls=trusting(make.ca, client)), expected, identity)
        locked = make.with_passphrase(make.client("bob"), "open sesame")
        self.assertEqual(await verdict(port, tls=trusting(make.ca, locked, "open sesame")), "PONG")
        stranger = Certificates(Path(self.mktemp())).client("bob")
        for nobody in (None, stranger):
            self.assertNotEqual(await verdict(port, tls=trusting(make.ca, nobody)), "PONG")

    def test_bad_keys(self) -> None:
        make = self.certificates
        locked = make.with_passphrase(make.client("bob"), "open sesame")
        for files, password in ((locked, "wrong"), (make.with_wrong_key(make.client("bob")), None)):
            with self.assertRaises(ssl.SSLError):
                trusting(make.ca, files, password)


class LifeTests(SecuredTestCase):
    """What can happen to a server."""

    def alive(self, pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    async def test_stop_and_restart(self) -> None:
        """The port stays, the process does not."""
        server = await self.server(websocket="no_tls: true")
        before, ports = server.pid, (server.port, server.websocket_port)
        self.assertTrue(self.alive(before))
        await server.restart()
        self.assertFalse(self.alive(before))
        self.assertEqual((server.port, server.websocket_port), ports)
        self.assertEqual(await verdict(server.port), "PONG")
        again = server.pid
        await server.stop()
        self.assertFalse(server.running or self.alive(again))
        self.assertEqual(len([line for line in server.log if "Server is ready" in line]), 2)

    async def test_kill_and_restart(self) -> None:
        server = await self.server()
        before = server.pid
        await server.kill()
        self.assertFalse(server.running or self.alive(before))
        self.assertEqual(await verdict(server.port), "ConnectionRefusedError")
        await server.start()
        self.assertEqual(await verdict(server.port), "PONG")

    async def test_pause(self) -> None:
        """A paused server answers when it goes on; and it can be stopped without that."""
        server = await self.server()
        server.pause()
        said = verdict(server.port)
        await deferLater(self.reactor, 0.3)
        self.assertFalse(said.called)
        server.resume()
        self.assertEqual(await said, "PONG")
        server.pause()
        await server.stop()

    async def test_lame_duck(self) -> None:
        """The server says so, and lets go of its client a little later."""
        server = await self.server()

        def watch() -> list[bytes]:
            with conversation(server.port) as talk:
                talk.until(b"PONG")
                self.reactor.callFromThread(server.lame_duck)
                return [line for line in talk.lines if b'"ldm":true' in line]

        self.assertEqual(len(await deferToThread(watch)), 1)
        await server.ended()
        self.assertTrue([line for line in server.log if "lame duck" in line])

    async def test_no_start(self) -> None:
        """The error is what the server said."""
        with self.assertRaises(ServerEndedError) as caught:
            await self.server("nonsense: {")
        self.assertIn("Parse error", str(caught.exception))

    async def test_websocket(self) -> None:
        server = await self.server(websocket="no_tls: true")

        def upgrade() -> bytes:
            with socket.create_connection((server.host, server.websocket_port), 10) as raw:
                raw.sendall(
                    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
                )
                return raw.makefile("rb").readline()

        self.assertEqual(await deferToThread(upgrade), b"HTTP/1.1 101 Switching Protocols\r\n")

    async def test_ipv6(self) -> None:
        server = await self.server(host="::1")
        self.assertEqual(server.url, f"nats://[::1]:{server.port}")
        self.assertEqual(await verdict(server.port, host="::1"), "PONG")


class ClusterTests(SecuredTestCase):
    """Three servers as one."""

    async def test_cluster(self) -> None:
        """Each tells of all; what goes in at one comes out at another; one that dies is missed, and comes back."""
        servers = await start_cluster(self.reactor, extra_config="authorization { token: secret }")
        for server in servers:
            self.addCleanup(server.stop)
        for server in servers:
            urls = (await read_info(self.reactor, server))["connect_urls"]
            self.assertEqual(sorted(urls), sorted(f"127.0.0.1:{each.port}" for each in servers))

        def relay() -> bytes:
            def answer(info: dict[str, Any]) -> dict[str, Any]:
                return {"auth_token": "secret"}

            with conversation(servers[2].port, answer) as source, conversation(servers[1].port, answer) as sink:
                sink.send(b"SUB here 1\r\nPING\r\n")
                sink.until(b"PONG")
                sink.until(b"PONG")
                # The subscription is on its way to the other server, and nothing tells when it is there.
                for _ in range(25):
                    source.send(b"PUB here 0\r\n\r\n")
                    time.sleep(0.02)
                return sink.lines.readline()

        self.assertEqual(await deferToThread(relay), b"MSG here 1 0\r\n")
        await servers[0].kill()
        await cluster_is_complete(self.reactor, servers[1:])
        await servers[0].start()
        await cluster_is_complete(self.reactor, servers)
