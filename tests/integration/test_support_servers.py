"""tests.support: the servers, certificates, accounts and logins of the other tests, checked with a plain client"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.support.certificates import Certificates
from tests.support.logins import VIOLATION, client_tls, creds_login, nkey_login, try_login
from tests.support.nats_accounts import Nkey, Operator
from tests.support.nats_cluster import cluster_is_complete, read_info, start_cluster
from tests.support.nats_server import ServerStartError
from tests.support.plain_client import PlainClient
from tests.support.processes import alive, has_stopped
from tests.support.server_case import ServerTestCase
from tests.support.waiting import TIMEOUT


class LoginTests(ServerTestCase):
    """Who may log in."""

    async def test_users_and_nkeys(self) -> None:
        nkey = Nkey()
        users = f'[{{user: "alice", password: "secret"}}, {{nkey: "{nkey.public}"}}]'
        url = (await self.start_server(f"authorization {{ users: {users} }}")).url
        self.assertEqual(await try_login(url, lambda info: {"user": "alice", "pass": "secret"}), "PONG")
        self.assertEqual(await try_login(url, lambda info: {"user": "alice", "pass": "wrong"}), VIOLATION)
        self.assertEqual(await try_login(url, nkey_login(nkey)), "PONG")
        self.assertEqual(await try_login(url, nkey_login(Nkey())), VIOLATION)

    async def test_token(self) -> None:
        url = (await self.start_server('authorization { token: "secret" }')).url
        self.assertEqual(await try_login(url, lambda info: {"auth_token": "secret"}), "PONG")
        self.assertEqual(await try_login(url), VIOLATION)

    async def test_accounts(self) -> None:
        operator = Operator("ONE", "TWO")
        url = (await self.start_server(operator.config)).url
        self.assertEqual(await try_login(url, creds_login(operator.creds("alice"))), "PONG")
        self.assertEqual(await try_login(url, creds_login(operator.creds("alice", account="TWO"))), "PONG")
        self.assertEqual(await try_login(url, creds_login(operator.creds("alice", -5))), VIOLATION)
        self.assertEqual(await try_login(url, creds_login(Operator().creds("alice"))), VIOLATION)

    async def test_expiry(self) -> None:
        """A user expires while it is connected."""
        operator = Operator()
        url = (await self.start_server(operator.config)).url
        errors: list[str] = []

        def listen(seconds: int) -> None:
            errors.clear()
            creds = operator.creds("alice", seconds)
            with PlainClient(url, login=creds_login(creds), on_error=errors.append) as client:
                self.assertEqual(errors, [])
                client.wait_until_closed()

        try:
            await deferToThread(listen, 4)
        except ConnectionError:  # on a busy machine, it may expire before it is connected
            await deferToThread(listen, 60)
        self.assertEqual(errors, ["-ERR 'User Authentication Expired'"])

    async def test_permissions(self) -> None:
        operator = Operator()
        url = (await self.start_server(operator.config)).url
        creds = operator.creds("alice", permissions={"pub": {"allow": ["a.>"]}, "sub": {"deny": ["b"]}})

        errors: list[str] = []

        def publish_and_subscribe() -> None:
            with PlainClient(url, login=creds_login(creds), on_error=errors.append) as client:
                client.write(b"PUB a.b 0\r\n\r\nPUB c 0\r\n\r\nSUB b 1\r\nSUB d 2\r\n")
                client.flush()

        await deferToThread(publish_and_subscribe)
        denied = ['Publish to "c"', 'Subscription to "b"']
        self.assertEqual(errors, [f"-ERR 'Permissions Violation for {what}'" for what in denied])


class TlsTests(ServerTestCase):
    """What the certificates are for."""

    def setUp(self) -> None:
        super().setUp()
        self.certificates = Certificates(Path(self.mktemp()))
        self.trust = client_tls(self.certificates.ca)

    async def test_tls(self) -> None:
        server = await self.start_server(self.certificates.tls_block(self.certificates.server()))
        self.assertEqual(await try_login(server.url, tls=self.trust), "PONG")
        self.assertEqual(
            await try_login(server.url, tls=client_tls(self.certificates.other_ca)),
            "unable to get local issuer certificate",
        )
        # The server closes a connection without TLS. Its error may arrive before that or not.
        self.assertNotEqual(await try_login(server.url), "PONG")

    async def test_tls_first(self) -> None:
        """The server sends nothing before the handshake."""
        block = self.certificates.tls_block(self.certificates.server(), "handshake_first: true")
        server = await self.start_server(block)
        self.assertEqual(await try_login(server.url, tls=self.trust, tls_first=True), "PONG")

    async def test_bad_servers(self) -> None:
        """They start, and a client that verifies the certificate sees what is wrong."""
        make = self.certificates
        for files, problem in (
            (make.expired_server(), "certificate has expired"),
            (make.future_server(), "certificate is not yet valid"),
            (make.wrong_host_server(), "Hostname mismatch, certificate is not valid for 'localhost'."),
            (make.server_of_other_ca(), "unable to get local issuer certificate"),
            (make.self_signed_server(), "self-signed certificate"),
        ):
            server = await self.start_server(make.tls_block(files))
            said = await try_login(server.url, tls=self.trust)
            # OpenSSL before 3 wrote it in two words.
            self.assertEqual(said.replace("self signed", "self-signed"), problem)

    async def test_self_signed_is_its_own_ca(self) -> None:
        files = self.certificates.self_signed_server()
        server = await self.start_server(self.certificates.tls_block(files))
        self.assertEqual(await try_login(server.url, tls=client_tls(files.certificate)), "PONG")

    async def test_mutual_tls(self) -> None:
        """The certificate names the user, by an email address or by the subject."""
        make = self.certificates
        users = 'authorization { users: [{user: "alice@example.com"}, {user: "CN=bob"}] }\n'
        url = (await self.start_server(users + make.tls_block(make.server(), "verify_and_map: true"))).url
        for identity, expected in (("alice@example.com", "PONG"), ("bob", "PONG"), ("carol", VIOLATION)):
            client = make.client(identity)
            self.assertEqual(await try_login(url, tls=client_tls(make.ca, client)), expected, identity)
        locked = make.with_passphrase(make.client("bob"), "open sesame")
        self.assertEqual(await try_login(url, tls=client_tls(make.ca, locked, "open sesame")), "PONG")
        stranger = Certificates(Path(self.mktemp())).client("bob")
        for refused in (None, stranger):
            self.assertNotEqual(await try_login(url, tls=client_tls(make.ca, refused)), "PONG")

    def test_bad_keys(self) -> None:
        make = self.certificates
        locked = make.with_passphrase(make.client("bob"), "open sesame")
        for files, password in ((locked, "wrong"), (make.with_wrong_key(make.client("bob")), None)):
            with self.assertRaises(ssl.SSLError):
                client_tls(make.ca, files, password)


class LifeTests(ServerTestCase):
    """Stop, restart, crash, pause, lame duck mode."""

    async def test_stop_and_restart(self) -> None:
        """The ports stay the same, the process does not."""
        server = await self.start_server(websocket="no_tls: true")
        before, ports = server.pid, (server.port, server.websocket_port)
        self.assertTrue(alive(before))
        await server.restart()
        self.assertFalse(alive(before))
        self.assertEqual((server.port, server.websocket_port), ports)
        self.assertEqual(await try_login(server.url), "PONG")
        again = server.pid
        await server.stop()
        self.assertFalse(server.running or alive(again))
        self.assertEqual(len([line for line in server.log if "Server is ready" in line]), 2)

    async def test_kill_and_restart(self) -> None:
        server = await self.start_server()
        before = server.pid
        await server.kill()
        self.assertFalse(server.running or alive(before))
        self.assertEqual(await try_login(server.url), "ConnectionRefusedError")
        await server.start()
        self.assertEqual(await try_login(server.url), "PONG")

    async def test_pause(self) -> None:
        """A paused server answers after it was resumed. It can be stopped while it is paused."""
        server = await self.start_server()
        server.pause()
        self.assertTrue(has_stopped(server.pid))
        answer = try_login(server.url)
        await deferLater(self.reactor, 0.3)
        self.assertFalse(answer.called)
        server.resume()
        self.assertEqual(await answer, "PONG")
        server.pause()
        await server.stop()

    async def test_lame_duck(self) -> None:
        """The server announces it once, and closes the connections a little later."""
        server = await self.start_server('lame_duck_grace_period: "1s"')

        def announced() -> list[dict[str, Any]]:
            with PlainClient(server.url) as client:
                self.reactor.callFromThread(server.lame_duck)
                client.wait_until_closed()
                return [info for info in client.infos if info.get("ldm")]

        self.assertEqual(len(await deferToThread(announced)), 1)
        await server.ended()
        self.assertTrue([line for line in server.log if "lame duck" in line])

    async def test_start_error(self) -> None:
        """The error has the server's log."""
        with self.assertRaises(ServerStartError) as caught:
            await self.start_server("nonsense: {")
        self.assertIn("Parse error", str(caught.exception))

    async def test_websocket(self) -> None:
        server = await self.start_server(websocket="no_tls: true")

        def upgrade() -> bytes:
            with socket.create_connection((server.host, server.websocket_port), TIMEOUT) as raw:
                raw.sendall(
                    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
                )
                return raw.makefile("rb").readline()

        self.assertEqual(await deferToThread(upgrade), b"HTTP/1.1 101 Switching Protocols\r\n")

    async def test_ipv6(self) -> None:
        server = await self.start_server(host="::1")
        self.assertEqual(server.url, f"nats://[::1]:{server.port}")
        self.assertEqual(await try_login(server.url), "PONG")


class ClusterTests(ServerTestCase):
    """A cluster of three servers."""

    async def test_cluster(self) -> None:
        """Each server announces all and passes messages on to the others. A killed one is announced when it is back."""
        servers = await start_cluster(self.reactor, extra_config="authorization { token: secret }")
        for server in servers:
            self.addCleanup(server.stop)
        for server in servers:
            urls = (await read_info(server))["connect_urls"]
            self.assertEqual(sorted(urls), sorted(f"127.0.0.1:{each.port}" for each in servers))

        def login(info: dict[str, Any]) -> dict[str, Any]:
            return {"auth_token": "secret"}

        def relay() -> tuple[bytes, bytes, bytes]:
            with PlainClient(servers[2].url, login=login) as source, PlainClient(servers[1].url, login=login) as sink:
                sink.subscribe("here")
                # The subscription is on its way to the other server, and nothing shows when it arrives.
                while not (found := sink.messages_within(0.02)):
                    source.publish("here", b"hello")
                return found[0]

        self.assertEqual(await deferToThread(relay), (b"here", b"", b"hello"))
        await servers[0].kill()
        await cluster_is_complete(self.reactor, servers[1:])
        await servers[0].start()
        await cluster_is_complete(self.reactor, servers)
