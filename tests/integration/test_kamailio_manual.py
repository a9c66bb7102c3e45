"""The examples of the manual of Kamailio's nats module, as they are. docs/kamailio/manual-examples.md shows them."""

from __future__ import annotations

import json
from pathlib import Path

from natsroute import EventRoutes, NatsrouteService, Settings
from natsroute.wire.frames import Msg
from tests.support import ROOT
from tests.support.certificates import Certificates
from tests.support.documents import Document
from tests.support.log_recorder import LogRecorder
from tests.support.server_case import ServerTestCase

EXAMPLES = ROOT / "examples" / "kamailio_manual"
PAGE = ROOT / "docs" / "kamailio" / "manual-examples.md"

#: What stands before and behind an example that is a part of a kamailio.cfg only.
LOADED = '#!KAMAILIO\nloadmodule "nats.so"\nloadmodule "json.so"\nloadmodule "pv.so"\nloadmodule "xlog.so"\n'

#: The folder that the examples for TLS name.
CERTIFICATES = "/etc/kamailio/nats"

DIALOG = {"Event-Package": "dialog", "From": "sip:alice@example.com"}


class ManualTests(ServerTestCase):
    """One test for each example. They are run byte for byte, but for addresses and folders."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def cfg(self, example: str, *, before: str = "", behind: str = "", **replaced: str) -> Path:
        """
        A kamailio.cfg with one example in it.

        :param before: what stands before the example.
        :param behind: what stands behind it.
        :param replaced: texts of the example, and what takes their place.
        """
        text = (EXAMPLES / example).read_text("utf-8")
        for old, new in replaced.items():
            self.assertIn(old, text)
            text = text.replace(old, new)
        path = self.folder / "kamailio.cfg"
        path.write_text(f"{LOADED}{before}\n{text}{behind}\n", "utf-8")
        return path

    def load(self, path: Path, **settings: object) -> Settings:
        """The settings of a kamailio.cfg, with some of the command line above them."""
        return Settings.from_environment({}, kamailio_cfg=str(path), **settings)

    async def run_cfg(self, path: Path, routes: EventRoutes | None = None, **settings: object) -> NatsrouteService:
        """Run a kamailio.cfg until it is connected."""
        service = NatsrouteService(self.load(path, **settings), routes)
        service.startService()
        self.addCleanup(service.stopService)
        await service.ready()
        return service

    async def collect(self, url: str, *subjects: str) -> tuple[NatsrouteService, list[Msg]]:
        """Another service, which publishes and receives, and what it has received."""
        routes, got = EventRoutes(), list[Msg]()
        for subject in subjects:
            routes(f"nats:{subject}")(got.append)
        service = NatsrouteService(Settings(nats_url=url, subject_queue_group=subjects), routes)
        service.startService()
        self.addCleanup(service.stopService)
        await service.ready()
        return service, got

    async def test_nats_url(self) -> None:
        """Three servers, one of them with a login: each connection uses one of them."""
        server = await self.start_server(
            'authorization { users: [ {user: "user1", password: "pass1"}, {user: "other"} ] }\nno_auth_user: "other"',
            host="0.0.0.0",
        )
        settings = self.load(self.cfg("nats_url.cfg"))
        self.assertEqual(
            settings.nats_url,
            ("nats://127.0.0.1:4222", "nats://user1:pass1@127.0.1.2:4222", "nats://127.1.2.3:4222"),
        )
        service = await self.run_cfg(self.cfg("nats_url.cfg", **{":4222": f":{server.port}"}))
        used = {str(connection.status().server) for connection in service.connections}
        self.assertTrue(used)
        self.assertLessEqual(
            used, {f"nats://{address}:{server.port}" for address in ("127.0.0.1", "127.0.1.2", "127.1.2.3")}
        )

    async def test_num_publish_workers(self) -> None:
        """Each worker has its own connection."""
        server = await self.start_server()
        service = await self.run_cfg(self.cfg("num_publish_workers.cfg"), nats_url=server.url)
        self.assertEqual(len(service.connections), 4)

    async def test_subject_queue_group(self) -> None:
        """Each entry has its own connection; the two groups of one subject get each message."""
        server = await self.start_server()
        routes, got = EventRoutes(), list[tuple[str, str | None]]()
        for subject in ("Kamailio-World", "MyQueue1", "MyQueue2"):
            routes(f"nats:{subject}")(lambda event: got.append((event.subject, event.queue_group)))
        service = await self.run_cfg(
            self.cfg("subject_queue_group.cfg"), routes, nats_url=server.url, num_publish_workers=1
        )
        self.assertEqual(len(service.connections), 5)
        for subject in ("Kamailio-World", "MyQueue1", "MyQueue2"):
            await service.publish(subject, b"")
        await self.until(lambda: len(got) == 4)
        expected = [("Kamailio-World", "2020"), ("Kamailio-World", "2021"), ("MyQueue1", "2021"), ("MyQueue2", "2021")]
        self.assertEqual(sorted(got, key=str), expected)

    async def test_tls(self) -> None:
        """All servers must have TLS. The system's CAs are trusted, unless tls_ca_file names others."""
        self.assertTrue(self.load(self.cfg("tls.cfg")).require_tls)

    async def test_tls_ca_file(self) -> None:
        await self.assert_tls("tls_ca_file.cfg", 'modparam("nats", "tls", 1)')

    async def test_tls_certificate(self) -> None:
        """The certificate and its key, which need each other."""
        for example, setting, other in [
            ("tls_cert_file.cfg", "tls_cert_file", "tls_key_file"),
            ("tls_key_file.cfg", "tls_key_file", "tls_cert_file"),
        ]:
            before = f'modparam("nats", "tls", 1)\nmodparam("nats", "{other}", "/other")'
            settings = self.load(self.cfg(example, before=before))
            self.assertTrue(getattr(settings, setting).startswith("/etc/kamailio/nats/client."))

    async def test_tls_expected_hostname(self) -> None:
        before = f'modparam("nats", "tls", 1)\nmodparam("nats", "tls_ca_file", "{CERTIFICATES}/ca.crt")'
        await self.assert_tls("tls_expected_hostname.cfg", before, "nats.internal")

    async def test_tls_configuration(self) -> None:
        """Two servers, with certificates on both sides."""
        made = self.certificates()
        config = made.tls_block(made.server("nats.internal"), "verify: true")
        server = await self.start_server(config)
        other = await self.start_server(config)
        path = self.cfg(
            "tls_configuration.cfg",
            **{
                "nats-1:4222": f"127.0.0.1:{server.port}",
                "nats-2:4222": f"127.0.0.1:{other.port}",
                CERTIFICATES: str(self.folder),
            },
        )
        service = await self.run_cfg(path)
        self.assertTrue(service.connected)

    def certificates(self) -> Certificates:
        """Certificates, and those of the client and the CA under the names of the manual."""
        made = Certificates(self.folder / "made")
        client = made.client("kamailio")
        for name, source in [("ca.crt", made.ca), ("client.crt", client.certificate), ("client.key", client.key)]:
            (self.folder / name).write_bytes(source.read_bytes())
        return made

    async def assert_tls(self, example: str, before: str, name: str = "127.0.0.1") -> None:
        """
        A server with a certificate for that name is accepted.

        :param before: what stands before the example.
        """
        made = self.certificates()
        server = await self.start_server(made.tls_block(made.server(name)))
        path = self.cfg(example, before=before)
        path.write_text(path.read_text("utf-8").replace(CERTIFICATES, str(self.folder)), "utf-8")
        service = await self.run_cfg(path, nats_url=server.url)
        self.assertTrue(service.connected)

    async def test_event_callback(self) -> None:
        """The Lua function gets connection events and messages, and logs them."""
        server = await self.start_server()
        (self.folder / "script.lua").write_bytes((EXAMPLES / "event_callback.lua").read_bytes())
        before = f'loadmodule "app_lua.so"\nmodparam("app_lua", "load", "{self.folder}/script.lua")'
        path = self.cfg("event_callback.cfg", before=before)
        log = LogRecorder(self)
        service = await self.run_cfg(path, nats_url=server.url, subject_queue_group=["MyQueue1:2021"])
        await service.publish("MyQueue1", b"hello")
        await self.until(lambda: log.matching("received event: nats:MyQueue1, data:hello"))
        self.assertTrue(log.matching("received event: nats:connected, data:"))

    async def test_nats_publish(self) -> None:
        """With two arguments, and with a reply subject. The SIP message is the one that all event routes see."""
        server = await self.start_server()
        path = self.cfg(
            "nats_publish.cfg",
            before='modparam("nats", "subject_queue_group", "in:q")\nevent_route[nats:in] {',
            behind="}",
        )
        await self.run_cfg(path, nats_url=server.url)
        outside, got = await self.collect(server.url, "mysubject")
        await outside.publish("in", b"")
        await self.until(lambda: len(got) == 2)
        self.assertEqual([message.data for message in got], [b"$ci=123 $fU=you"] * 2)
        self.assertEqual({message.reply for message in got}, {None, "reply.topic"})

    async def test_nats_data(self) -> None:
        """The payload in a log line. The example has the end of an event route only."""
        server = await self.start_server()
        path = self.cfg(
            "natsData.cfg", before='modparam("nats", "subject_queue_group", "in:q")\nevent_route[nats:in] {'
        )
        log = LogRecorder(self)
        service = await self.run_cfg(path, nats_url=server.url)
        await service.publish("in", b"hello")
        await self.until(lambda: log.matching("received payload hello"))

    async def test_event_routes(self) -> None:
        """Both event routes; what one hands to pua_json_publish is for a running Kamailio."""
        server = await self.start_server()
        log = LogRecorder(self)
        await self.run_cfg(self.cfg("event_routes.cfg"), nats_url=server.url)
        outside, got = await self.collect(server.url, "pua_json")
        await outside.publish("Kamailio-World", DIALOG)
        await outside.publish("Kamailio-World", {**DIALOG, "Event-Package": "presence"})
        await outside.publish("MyQueue1", {**DIALOG, "From": "sip:bob@example.com"})
        await self.until(lambda: log.matching("received dialog update for sip:bob@example.com"))
        await self.until(lambda: got)
        self.assertEqual([json.loads(message.data) for message in got], [DIALOG])
        self.assertEqual(len(log.matching("received dialog update for sip:alice@example.com")), 1)


class PageTests(ServerTestCase):
    """docs/kamailio/manual-examples.md"""

    def test_shows_each_example(self) -> None:
        """The page has each file of examples/kamailio_manual as it is, and nothing else as a block."""
        files = {path.name: path.read_text("utf-8") for path in EXAMPLES.iterdir()}
        shown = [snippet.text for snippet in Document.read(PAGE).snippets]
        self.assertEqual(sorted(shown), sorted(files.values()))
