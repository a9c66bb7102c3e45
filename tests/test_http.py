"""natsroute.daemon.operations.http"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from natsroute import NatsrouteService, Settings
from natsroute.daemon.operations.http import http_server, http_warnings
from natsroute.daemon.settings.sources import Given
from natsroute.errors import SettingError
from tests.support.http_requests import get
from tests.support.log_recorder import LogRecorder
from tests.support.memory_reactor import Reactor
from tests.support.overviews import an_overview


class SettingsTests(SynchronousTestCase):
    """The settings of HTTP."""

    def test_none(self) -> None:
        """Nothing listens unless it is asked to."""
        self.assertIsNone(http_server(Reactor(), Settings(), an_overview))
        service = NatsrouteService(Settings(), reactor=Reactor())
        service.startService()
        self.addCleanup(service.stopService)
        self.assertEqual(service._reactor.tcpServers, [])

    def test_mistakes(self) -> None:
        """No error shows a secret."""
        for settings, setting in [
            ({"http_listen": "x"}, "http_listen"),
            ({"http_user": "u", "http_password": "hunter2"}, "http_user"),
            ({"http_listen": "1", "http_user": "u"}, "http_user"),
            ({"http_listen": "1", "http_password": "hunter2"}, "http_password"),
            ({"http_listen": "1", "http_user": "u:v", "http_password": "hunter2"}, "http_user"),
            ({"http_listen": 8080}, "http_listen"),
            ({"http_tls_cert_file": "a", "http_tls_key_file": "b"}, "http_tls_cert_file"),
            ({"http_listen": "1", "http_tls_cert_file": "a"}, "http_tls_cert_file"),
            ({"http_listen": "1", "http_tls_key_file": "a"}, "http_tls_key_file"),
        ]:
            error = self.assertRaises(SettingError, Settings, **settings)
            self.assertEqual(error.setting, setting)
            self.assertNotIn("hunter2", str(error))

    def test_warnings(self) -> None:
        """An address that others can reach needs a login."""
        (warning,) = http_warnings(Settings(http_listen="0.0.0.0:80"))
        self.assertIn("http_listen = 0.0.0.0:80: everybody", warning)
        self.assertEqual(list(http_warnings(Settings(http_listen="80"))), [])
        self.assertEqual(list(http_warnings(Settings())), [])
        with_login = Settings(http_listen="[::]:80", http_user="u", http_password="p")
        self.assertEqual(list(http_warnings(with_login)), [])


class ServiceTests(SynchronousTestCase):
    """A whole service, whose reactor is in memory."""

    def service(self, **settings: Any) -> NatsrouteService:
        """A service that has been started."""
        self.reactor = Reactor()
        service = NatsrouteService(Settings(**settings), reactor=self.reactor, **self.options)
        service.startService()
        self.addCleanup(service.stopService)
        return service

    options: dict[str, Any] = {}

    def test_site(self) -> None:
        """It shows the service, and asks for its login."""
        self.service(http_listen="127.0.0.1:8080", http_user="u", http_password="p", client_name="me")
        port, site, _, interface = self.reactor.tcpServers[0]
        self.assertEqual((port, interface), (8080, "127.0.0.1"))
        self.assertEqual(get(site, "/routes").status, 401)
        self.assertEqual(get(site, "/routes", Authorization="Basic dTpw").json["name"], "me")
        self.assertEqual(get(site, "/readyz").json["reasons"][0], {"code": "starting"})

    def test_errors(self) -> None:
        """The overview has the latest errors of the log."""
        service = self.service()
        service._startup.log.warn("a warning")
        self.assertEqual(service.overview().errors[0].text, "a warning")

    def listen(self, port: int, *arguments: object, interface: str, **options: object) -> Any:
        """The port is in use."""
        raise CannotListenError(interface, port, OSError(98, "Address already in use"))

    def test_port_in_use(self) -> None:
        """Nothing starts. The error is logged, and whoever waits is given it."""
        log = LogRecorder(self)
        self.patch(Reactor, "listenTCP", self.listen)
        service = self.service(http_listen="8080")
        self.failureResultOf(service.ready(), SettingError)
        self.assertIn("natsroute does not start: http_listen = '127.0.0.1:8080'", log.lines("error")[0])
        self.assertEqual((self.reactor.tcpClients, log.matching("publish workers:")), ([], []))
        for _ in range(9):
            self.reactor.advance(1)
        self.assertEqual((service.running, service._lifecycle.phase.value), (0, "stopped"))

    def test_port_in_use_and_exit_code(self) -> None:
        """``twistd natsroute`` ends with exit code 1, and the error says where the setting comes from."""
        log = LogRecorder(self)
        self.patch(Reactor, "listenTCP", self.listen)
        self.reactor = Reactor()

        class Source:
            def values(self) -> dict[str, Given]:
                return {"http_listen": Given("1", "--http_listen")}

        service = NatsrouteService(Settings.load([Source()], {}), reactor=self.reactor)
        codes: list[str] = []
        service._exit_code = type("ExitCode", (), {"fail": lambda self: codes.append("fail")})()  # type: ignore[assignment]
        service.startService()
        self.addCleanup(service.stopService)
        self.assertEqual(codes, ["fail"])
        self.assertIn("(from --http_listen)", log.lines("error")[0])
