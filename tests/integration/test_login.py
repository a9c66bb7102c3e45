"""Each way to log in, on real nats-servers. docs/security.md names these tests."""

from __future__ import annotations

from twisted.internet.task import deferLater

from natsroute import Event, EventRoutes, NatsrouteService, Settings
from natsroute.client.auth import Credentials
from natsroute.client.state import State
from natsroute.errors import AuthenticationExpiredError, AuthorizationError, PermissionsError
from tests.support.login_case import LoginTestCase
from tests.support.nats_accounts import Nkey, Operator
from tests.support.secret_watch import secret


class LoginTests(LoginTestCase):
    """The server lets us in."""

    async def test_user_and_password_in_the_url(self) -> None:
        password = secret()
        server = await self.start_server(f'authorization {{ user: u, password: "{password}" }}')
        await self.assert_connects(nats_url=server.url.replace("//", f"//u:{password}@"))

    async def test_user_and_password_as_settings(self) -> None:
        password = secret()
        server = await self.start_server(f'authorization {{ user: u, password: "{password}" }}')
        await self.assert_connects(nats_url=server.url, user="u", password=password)

    async def test_from_the_environment(self) -> None:
        password = secret()
        server = await self.start_server(f'authorization {{ user: u, password: "{password}" }}')
        environment = {"NATSROUTE_NATS_URL": server.url, "NATSROUTE_USER": "u", "NATSROUTE_PASSWORD": password}
        service = NatsrouteService(Settings.from_environment(environment))
        service.startService()
        self.addCleanup(service.stopService)
        await self.until(lambda: service.connected)

    async def test_token(self) -> None:
        token = secret()
        server = await self.start_server(f'authorization {{ token: "{token}" }}')
        await self.assert_connects(nats_url=server.url, token=token)

    async def test_token_in_the_url(self) -> None:
        token = secret()
        server = await self.start_server(f'authorization {{ token: "{token}" }}')
        await self.assert_connects(nats_url=server.url.replace("//", f"//{token}@"))

    async def test_nkey_file(self) -> None:
        key = Nkey()
        server = await self.start_server(f"authorization {{ users: [ {{ nkey: {key.public} }} ] }}")
        await self.assert_connects(nats_url=server.url, nkey_file=self.file("seed", f"# a user\n{key.seed}\n"))
        self.assertEqual(self.log.matching("other than its owner"), [])

    async def test_creds_file(self) -> None:
        operator = Operator()
        server = await self.start_server(operator.config)
        await self.assert_connects(nats_url=server.url, creds_file=self.file("user.creds", operator.creds("alice")))

    async def test_several_servers_with_different_credentials(self) -> None:
        """The credentials of a URL have precedence over those of the settings."""
        first, second = secret(), secret()
        one = await self.start_server(f'authorization {{ user: u, password: "{first}" }}')
        other = await self.start_server(f'authorization {{ token: "{second}" }}')
        service = await self.assert_connects(
            nats_url=[one.url.replace("//", f"//u:{first}@"), other.url], token=second, keep_url_order=True
        )
        await one.kill()
        await self.until(lambda: service.connected and service.connections[0].status().server.address in other.url)

    async def test_rotating(self) -> None:
        """A callable is called before each attempt to connect. It may take a while."""
        passwords = [secret(), secret()]
        used: list[str] = []

        async def current() -> Credentials:
            await deferLater(self.reactor, 0.01)
            used.append(passwords[0])
            return Credentials(user="u", password=passwords[0])

        server = await self.start_server(f'authorization {{ user: u, password: "{passwords[1]}" }}')
        service = self.start_service(nats_url=server.url, credentials=current)
        await self.until(lambda: self.log.matching("Authorization Violation"))
        passwords.pop(0)
        await self.until(lambda: service.connected)
        self.assertGreater(len(set(used)), 1)

    async def test_a_creds_file_that_is_renewed(self) -> None:
        """The server closes the connection when the login expires. The file is read again for the next one."""
        operator = Operator()
        server = await self.start_server(operator.config)
        path = self.file("user.creds", operator.creds("alice", expires=4))
        errors: list[object] = []
        event_route = EventRoutes()
        event_route("nats:error")(lambda event: errors.append(event.error))
        service = self.start_service(event_route, nats_url=server.url, creds_file=path)
        await self.until(lambda: service.connected)
        self.file("user.creds", operator.creds("alice"))
        await self.until(lambda: service.connections[0].status().reconnects == 1 and service.connected)
        self.assertIsInstance(errors[0], AuthenticationExpiredError)


class RefusedLoginTests(LoginTestCase):
    """The server does not let us in. The log says why, once."""

    async def test_a_wrong_password(self) -> None:
        """It is tried again after login_wait. The log has one line, and nats:error comes for each attempt."""
        server = await self.start_server(f'authorization {{ user: u, password: "{secret()}" }}')
        event_route, errors = EventRoutes(), []

        @event_route("nats:error")
        def failed(event: Event) -> None:
            errors.append((event.name, event.server, event.error))

        service = self.start_service(event_route, nats_url=server.url, user="u", password=secret())
        await self.until(lambda: len(errors) >= 3)
        name, url, error = errors[0]
        self.assertEqual((name, url), ("nats:error", server.url))
        self.assertIsInstance(error, AuthorizationError)
        self.assertEqual(len(self.log.matching("Authorization Violation")), 1)
        self.assertIsInstance(service.connections[0].status().last_error, AuthorizationError)

    async def test_another_server_is_used_meanwhile(self) -> None:
        strict = await self.start_server(f'authorization {{ user: u, password: "{secret()}" }}')
        open_server = await self.start_server()
        await self.assert_connects(nats_url=[strict.url, open_server.url], keep_url_order=True)

    async def test_a_permission(self) -> None:
        """Without it there is no subscription, and the service is not connected. The other one is not affected."""
        operator = Operator()
        server = await self.start_server(operator.config)
        creds = operator.creds("alice", permissions={"sub": {"allow": ["b"]}, "pub": {"allow": ["b"]}})
        event_route, errors, arrived = EventRoutes(), [], []
        event_route("nats:error")(lambda event: errors.append(event.error))
        event_route("nats:b")(lambda event: arrived.append(event.data))
        service = self.start_service(
            event_route,
            nats_url=server.url,
            creds_file=self.file("user.creds", creds),
            subject_queue_group=["a:q", "b:q"],
        )
        refused, allowed = (consumer.source for consumer in service.consumers)
        await self.until(lambda: refused.refused and service.consumers[1].connection.state is State.CONNECTED)
        await service.publish("b", b"hello")
        await self.until(lambda: arrived == [b"hello"])
        self.assertIsNone(allowed.refused)
        self.assertEqual({(error.subject, error.queue_group) for error in errors}, {("a", "q")})
        self.assertEqual(service.consumers[0].connection.state, State.REFUSED)
        self.assertFalse(service.connected)

    async def test_a_permission_that_changes(self) -> None:
        """The server's reload gives it and takes it away, while the connection stays."""

        def config(*subjects: str) -> str:
            allowed = ", ".join(f'"{subject}"' for subject in subjects)
            return f"authorization {{ users: [{{user: u, password: p, permissions: {{subscribe: [{allowed}]}}}}] }}"

        server = await self.start_server(config("b"))
        event_route, seen, arrived = EventRoutes(), [], []
        for name in ("connected", "disconnected", "error"):
            event_route(f"nats:{name}")(
                lambda event: seen.append((event.name, event.server)) if event.queue_group == "q" else None
            )
        event_route("nats:a")(lambda event: arrived.append(event.data))
        service = self.start_service(
            event_route, nats_url=server.url, user="u", password="p", subject_queue_group=["a:q"], login_wait=0.1
        )
        await self.until(lambda: seen)
        self.assertEqual((seen[0], service.connected), (("nats:error", server.url), False))
        ready = service.ready()
        await server.reload(config("a"))
        await ready
        self.assertTrue(service.connected)
        await self.until(lambda: seen[-1] == ("nats:connected", server.url))
        await service.publish("a", b"1")
        await self.until(lambda: arrived == [b"1"])
        await server.reload(config("b"))
        await self.until(lambda: not service.connected)
        self.assertIsInstance(service.consumers[0].source.refused, PermissionsError)
        await server.reload(config("a"))
        await self.until(lambda: service.connected)
        await service.publish("a", b"2")
        await self.until(lambda: arrived == [b"1", b"2"])
        self.assertNotIn("nats:disconnected", [name for name, _ in seen])
        self.assertEqual(service.consumers[0].connection.reconnects, 0)

    async def test_a_file_that_others_can_read(self) -> None:
        operator = Operator()
        server = await self.start_server(operator.config)
        await self.assert_connects(
            nats_url=server.url, creds_file=self.file("user.creds", operator.creds("alice"), 0o644)
        )
        self.assertEqual(len(self.log.matching("users other than its owner can read this file")), 1)

    def test_malformed_files(self) -> None:
        """They are found at the start."""
        creds = Operator().creds("alice")
        seed = Nkey().seed
        for name, text, problem in (
            ("nkey_file", "", "the seed of a user"),
            ("nkey_file", "SUnonsense", "the seed of a user"),
            ("nkey_file", seed[:-3], "the seed of a user"),
            ("nkey_file", seed[:20] + ("A" if seed[20] != "A" else "B") + seed[21:], "the seed of a user"),
            ("nkey_file", Nkey(0).seed, "the seed of a user"),
            ("creds_file", "", "no complete USER JWT"),
            ("creds_file", creds[:100], "no complete USER JWT"),
            ("creds_file", creds[: creds.index("BEGIN USER NKEY")], "no complete NKEY SEED"),
            ("creds_file", creds.replace(".", ""), "its JWT is malformed"),
            ("creds_file", creds.replace("\nSU", "\nSX"), "the seed of a user"),
        ):
            message = self.assert_setting_error(problem, f"{name} = ", **{name: self.file("file", text)})
            self.assertNotIn(text[5:20] or "no text", message.replace(str(self.folder), ""))
        self.assert_setting_error("No such file", creds_file=str(self.folder / "nobody"))

    def test_settings_that_contradict_each_other(self) -> None:
        self.assert_setting_error("user and token", user="u", token=secret())
        self.assert_setting_error("there is no user", password=secret())
