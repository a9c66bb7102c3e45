"""Each kind of TLS, on real nats-servers. docs/security.md names these tests."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

from twisted.internet.task import deferLater

from natsroute.client.state import ConnectionEvent
from tests.support.certificates import Certificates
from tests.support.login_case import LoginTestCase
from tests.support.natsroute_process import NatsrouteProcess
from tests.support.secret_watch import secret
from tests.support.waiting import TIMEOUT

#: Numbers of Linux's prctl(): whether memory can become executable that was not.
_SET_MDWE, _GET_MDWE = 65, 66

#: Becomes its arguments, with what systemd's MemoryDenyWriteExecute does.
_NO_NEW_CODE = [
    sys.executable,
    "-c",
    f"import ctypes, os, sys; ctypes.CDLL(None).prctl({_SET_MDWE}, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])",
]


class TlsTestCase(LoginTestCase):
    """
    Tests with a CA.

    :ivar made: makes certificates.
    :ivar trusted: settings with which a service trusts them.
    """

    def setUp(self) -> None:
        super().setUp()
        self.made = Certificates(self.folder)
        self.trusted: dict[str, Any] = {"tls": 1, "tls_ca_file": str(self.made.ca)}


class TlsTests(TlsTestCase):
    """Servers to which the service connects."""

    async def test_tls(self) -> None:
        """The certificate has the address of the server."""
        server = await self.start_server(self.made.tls_block(self.made.server()))
        await self.assert_connects(nats_url=server.url, **self.trusted)

    async def test_by_name(self) -> None:
        server = await self.start_server(self.made.tls_block(self.made.server("localhost")))
        await self.assert_connects(nats_url=f"nats://localhost:{server.port}", **self.trusted)

    async def test_ipv6(self) -> None:
        server = await self.start_server(self.made.tls_block(self.made.server("::1")), host="::1")
        await self.assert_connects(nats_url=server.url, **self.trusted)

    async def test_tls_url(self) -> None:
        server = await self.start_server(self.made.tls_block(self.made.server()))
        await self.assert_connects(nats_url=server.url.replace("nats:", "tls:"), tls_ca_file=str(self.made.ca))

    async def test_tls_first(self) -> None:
        server = await self.start_server(self.made.tls_block(self.made.server(), "handshake_first: true"))
        await self.assert_connects(nats_url=server.url, tls_first=1, **self.trusted)

    async def test_mutual_tls(self) -> None:
        """Our certificate names the user."""
        config = self.made.tls_block(self.made.server(), "verify_and_map: true")
        server = await self.start_server(f'{config}authorization {{ users: [ {{ user: "CN=alice" }} ] }}')
        alice, bob = self.made.client("alice"), self.made.client("bob")
        await self.assert_connects(
            nats_url=server.url, tls_cert_file=str(alice.certificate), tls_key_file=str(alice.key), **self.trusted
        )
        await self.assert_cannot_connect(
            "Authorization Violation",
            nats_url=server.url,
            tls_cert_file=str(bob.certificate),
            tls_key_file=str(bob.key),
            **self.trusted,
        )

    async def test_expected_hostname(self) -> None:
        server = await self.start_server(self.made.tls_block(self.made.server("nats.example")))
        await self.assert_connects(nats_url=server.url, tls_expected_hostname="nats.example", **self.trusted)

    async def test_a_server_that_leaves_it_to_us(self) -> None:
        server = await self.start_server(self.made.tls_block(self.made.server()) + "allow_non_tls: true, debug: true\n")
        service = await self.assert_connects(nats_url=server.url, **self.trusted)

        def done() -> int:
            return sum("TLS handshake complete" in line for line in server.log)

        await self.until(lambda: done() >= len(service.connections))  # the log of the server may be read late
        self.assertEqual(done(), len(service.connections))

    async def test_with_a_login(self) -> None:
        password = secret()
        config = self.made.tls_block(self.made.server())
        server = await self.start_server(f'{config}authorization {{ user: u, password: "{password}" }}')
        await self.assert_connects(nats_url=server.url, user="u", password=password, **self.trusted)

    async def test_files_are_read_again_at_a_reconnect(self) -> None:
        """A renewed certificate of ours is used without a restart. A broken one is reported, and read again."""
        alice = self.made.client("alice")
        cert = self.file("cert.pem", alice.certificate.read_text())
        key = self.file("key.pem", alice.key.read_text())
        server = await self.start_server(self.made.tls_block(self.made.server(), "verify: true"))
        service = await self.assert_connects(nats_url=server.url, tls_cert_file=cert, tls_key_file=key, **self.trusted)
        self.file("cert.pem", "")
        await server.restart()
        await self.until(lambda: self.log.matching("it contains no readable certificate"))
        self.assertFalse(service.connected)
        renewed = self.made.client("alice")
        self.file("cert.pem", renewed.certificate.read_text())
        self.file("key.pem", renewed.key.read_text())
        await self.until(lambda: service.connected)

    async def test_no_new_code(self) -> None:
        """systemd's MemoryDenyWriteExecute forbids memory that is writable and executable. TLS needs none."""
        server = await self.start_server(self.made.tls_block(self.made.server(), "verify: true"))
        alice = self.made.client("alice")
        mine = {"tls_cert_file": str(alice.certificate), "tls_key_file": str(alice.key)}
        options = {**self.trusted, **mine, "nats_url": server.url, "subject_queue_group": "a:daemon"}
        (self.folder / "daemon").mkdir()
        daemon = NatsrouteProcess(
            self.reactor,
            self.folder / "daemon",
            dedent("""
                import mmap

                from natsroute import EventRoutes

                event_route = EventRoutes()
                try:
                    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
                except OSError:
                    print("no new code")

                @event_route("nats:a")
                def a(event):
                    print("arrived:", event.data.decode())
            """),
            *(word for name, value in options.items() for word in (f"--{name}", str(value))),
            under=_NO_NEW_CODE,
        )
        self.addCleanup(daemon.stop)
        service = await self.assert_connects(nats_url=server.url, **mine, **self.trusted)
        give_up = self.reactor.seconds() + TIMEOUT
        while "arrived: hello" not in daemon.output:
            await service.publish("a", b"hello")
            await deferLater(self.reactor, 0.05)
            self.assertLess(self.reactor.seconds(), give_up, daemon.output)
        self.assertIn("no new code", daemon.output)

    if not sys.platform.startswith("linux") or ctypes.CDLL(None).prctl(_GET_MDWE, 0, 0, 0, 0) < 0:
        test_no_new_code.skip = "needs Linux 6.3"  # type: ignore[attr-defined]


class WebSocketTests(TlsTestCase):
    """NATS over WebSocket, with and without TLS."""

    async def test_ws(self) -> None:
        server = await self.start_server(websocket="no_tls: true")
        await self.assert_connects(nats_url=server.websocket_url)

    async def test_ws_with_a_login(self) -> None:
        password = secret()
        server = await self.start_server(
            f'authorization {{ user: u, password: "{password}" }}', websocket="no_tls: true"
        )
        await self.assert_connects(nats_url=server.websocket_url.replace("//", f"//u:{password}@"))

    async def test_wss(self) -> None:
        server = await self.start_server(websocket=self.made.tls_block(self.made.server()))
        await self.assert_connects(nats_url=server.websocket_url.replace("ws:", "wss:"), tls_ca_file=str(self.made.ca))

    async def test_wss_refused(self) -> None:
        """The error is the same as without WebSocket."""
        server = await self.start_server(websocket=self.made.tls_block(self.made.expired_server()))
        url = server.websocket_url.replace("ws:", "wss:")
        await self.assert_cannot_connect("it has expired", nats_url=url, tls_ca_file=str(self.made.ca))


class RefusedTlsTests(TlsTestCase):
    """Servers to which the service does not connect. One line in the log says why, and what to do."""

    async def test_expired(self) -> None:
        server = await self.start_server(self.made.tls_block(self.made.expired_server()))
        await self.assert_cannot_connect("it has expired", nats_url=server.url, **self.trusted)

    async def test_not_yet_valid(self) -> None:
        server = await self.start_server(self.made.tls_block(self.made.future_server()))
        await self.assert_cannot_connect("it is not valid yet", nats_url=server.url, **self.trusted)

    async def test_self_signed(self) -> None:
        server = await self.start_server(self.made.tls_block(self.made.self_signed_server()))
        await self.assert_cannot_connect("it is self-signed", "tls_ca_file", nats_url=server.url, **self.trusted)

    async def test_another_ca(self) -> None:
        server = await self.start_server(self.made.tls_block(self.made.server_of_other_ca()))
        await self.assert_cannot_connect("a CA that is not trusted", "tls_ca_file", nats_url=server.url, **self.trusted)

    async def test_the_systems_cas(self) -> None:
        """They count without tls_ca_file. A server that requires TLS is verified, even if no setting asks for TLS."""
        server = await self.start_server(self.made.tls_block(self.made.server()))
        await self.assert_cannot_connect("a CA that is not trusted", nats_url=server.url)

    async def test_another_host(self) -> None:
        server = await self.start_server(self.made.tls_block(self.made.wrong_host_server()))
        line = await self.assert_cannot_connect(
            "is for elsewhere.example, not for 127.0.0.1", nats_url=server.url, **self.trusted
        )
        self.assertIn("tls_expected_hostname", line)

    async def test_not_the_expected_hostname(self) -> None:
        server = await self.start_server(self.made.tls_block(self.made.server()))
        await self.assert_cannot_connect(
            "not for nats.example", nats_url=server.url, tls_expected_hostname="nats.example", **self.trusted
        )

    async def test_a_server_without_tls(self) -> None:
        """Nothing is sent to it, not even CONNECT or a password."""
        password = secret()
        server = await self.start_server("debug: true, trace: true")
        await self.assert_cannot_connect(
            "does not offer it", nats_url=server.url, user="u", password=password, **self.trusted
        )
        self.assertEqual([line for line in server.log if "CONNECT" in line or password in line], [])

    async def test_tls_first_of_a_server_that_does_not(self) -> None:
        server = await self.start_server(self.made.tls_block(self.made.server()))
        await self.assert_cannot_connect("handshake_first", nats_url=server.url, tls_first=1, **self.trusted)

    async def test_no_tls_first_of_a_server_that_does(self) -> None:
        server = await self.start_server(self.made.tls_block(self.made.server(), "handshake_first: true"))
        await self.assert_cannot_connect(
            "no INFO within", "tls_first", nats_url=server.url, connect_timeout=1.0, **self.trusted
        )

    async def test_a_server_that_wants_our_certificate(self) -> None:
        server = await self.start_server(self.made.tls_block(self.made.server(), "verify: true"))
        await self.assert_cannot_connect("tls_cert_file and tls_key_file", nats_url=server.url, **self.trusted)

    async def test_old_tls(self) -> None:
        """TLS 1.2 is the minimum. The service does not use a server that has only 1.0 and 1.1."""
        port = await self.old_server(self.made.server())
        await self.assert_cannot_connect(
            "natsroute requires TLS 1.2", nats_url=f"nats://127.0.0.1:{port}", tls_first=1, **self.trusted
        )

    async def old_server(self, files: Any) -> int:
        """Start a server with TLS 1.1; returns its port."""
        from OpenSSL import SSL
        from twisted.internet.protocol import Factory, Protocol
        from twisted.internet.ssl import DefaultOpenSSLContextFactory

        class OldContext(DefaultOpenSSLContextFactory):
            def cacheContext(self) -> None:
                context = SSL.Context(SSL.TLS_METHOD)
                context.set_max_proto_version(SSL.TLS1_1_VERSION)
                context.set_cipher_list(b"ALL:@SECLEVEL=0")
                context.use_certificate_file(self.certificateFileName)
                context.use_privatekey_file(self.privateKeyFileName)
                self._context = context

        port = self.reactor.listenSSL(
            0,
            Factory.forProtocol(Protocol),
            OldContext(str(files.key), str(files.certificate)),
            interface="127.0.0.1",
        )
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    async def test_never_plain_text_after_a_reconnect(self) -> None:
        """Not even when the server at the same address has no TLS any more."""
        await self.refuses_plain_text("TLS is required, and the server does not offer it", **self.trusted)

    async def test_never_plain_text_after_tls(self) -> None:
        """The same without any setting: the server has required TLS before."""
        os.environ["SSL_CERT_FILE"] = str(self.made.ca)  # to OpenSSL the CAs of the system
        self.addCleanup(os.environ.pop, "SSL_CERT_FILE")
        await self.refuses_plain_text("used TLS before, and it does not offer TLS now")

    async def refuses_plain_text(self, reason: str, **settings: Any) -> None:
        server = await self.start_server(self.made.tls_block(self.made.server()))
        service = await self.assert_connects(nats_url=server.url, **settings)
        await server.stop()
        server.config = "debug: true, trace: true"
        last: dict[int, ConnectionEvent] = {}
        for number, connection in enumerate(service.connections):
            connection.observe(lambda change, number=number: last.__setitem__(number, change.event))
        await server.start()
        await self.until(lambda: self.log.matching(reason))
        await deferLater(self.reactor, 0.3)
        await self.until(lambda: [*last.values()] == [ConnectionEvent.CONNECT_FAILED] * len(service.connections))
        self.assertEqual([line for line in server.log if "[CONNECT" in line], [])


class TlsSettingsTests(TlsTestCase):
    """What is checked at the start."""

    def test_rules_of_the_nats_module(self) -> None:
        path = str(Path("x").absolute())
        for settings, problem in (
            ({"tls_ca_file": "x"}, f"tls_ca_file = {path!r}: tls is 0"),
            ({"tls_cert_file": "x", "tls_key_file": "y"}, f"tls_cert_file = {path!r}: tls is 0"),
            ({"tls_expected_hostname": "x"}, "tls_expected_hostname = 'x': tls is 0"),
            ({"tls_first": 1}, "tls is 0"),
            ({"tls": 1, "tls_cert_file": "x"}, "there is no tls_key_file"),
            ({"tls": 1, "tls_key_file": "x"}, "there is no tls_cert_file"),
            ({"tls": "maybe"}, "tls = 'maybe'"),
            ({"tls": 1, "nats_url": "ws://a"}, "wss://"),
        ):
            self.assert_setting_error(problem, **settings)

    def test_files(self) -> None:
        good, other = self.made.client("alice"), self.made.client("bob")
        locked = self.made.with_passphrase(good, "open sesame")
        empty = self.file("empty.pem", "")
        for settings, problem in (
            ({"tls_ca_file": "/no/such/file"}, "tls_ca_file = '/no/such/file': No such file"),
            ({"tls_ca_file": empty}, "it contains no readable certificate"),
            ({"tls_cert_file": empty, "tls_key_file": str(good.key)}, "tls_cert_file"),
            ({"tls_cert_file": str(good.certificate), "tls_key_file": empty}, "it contains no readable private key"),
            ({"tls_cert_file": str(good.certificate), "tls_key_file": str(other.key)}, "it is not the key of"),
            ({"tls_cert_file": str(good.certificate), "tls_key_file": str(locked.key)}, "it has a passphrase"),
        ):
            self.assert_setting_error(problem, **{**self.trusted, **settings})
