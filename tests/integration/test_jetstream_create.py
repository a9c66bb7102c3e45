"""``jetstream_create`` and ``jetstream_update`` with a real server: what is created, checked and changed"""

from __future__ import annotations

from typing import Any

from natsroute import EventRoutes, NatsrouteService
from natsroute.jetstream.management.configs import ConsumerConfig, StreamConfig
from natsroute.jetstream.management.consumers import consumer_info, create_consumer, delete_consumer
from natsroute.jetstream.management.streams import create_stream, delete_stream, stream_info
from natsroute.routes.event import Event
from tests.support import ROOT
from tests.support.nats_cluster import start_cluster
from tests.support.server_case import OneServerTestCase, ServerTestCase

STREAM = "calls=>subjects=calls.>;max_age=1h"
CONSUMER = "calls:billing=>ack_wait=20;max_deliver=5;filter_subjects=calls.end"


class CreateTests(OneServerTestCase):
    """A service whose settings name a stream and a consumer."""

    config = "jetstream: {}"

    async def start(self, stream: str = STREAM, consumer: str = CONSUMER, **settings: Any) -> NatsrouteService:
        """A service that is connected."""
        self.handled: list[bytes] = []
        event_route = EventRoutes()

        @event_route("nats:calls.end")
        def end(event: Event) -> None:
            self.handled.append(event.data)

        self.service = await self.connect_service(
            event_route, jetstream_stream=stream, jetstream_consumer=consumer, **settings
        )
        self.api = self.service._sending.jetstream_api
        return self.service

    def reasons(self) -> dict[str, str]:
        """Why the service is not ready."""
        return {f"{reason.code} {reason.about}": reason.text for reason in self.service.overview().reasons}

    async def until_reason(self, reason: str, text: str) -> str:
        """The text of a reason, when it contains this."""
        await self.until(lambda: text in self.reasons().get(reason, ""))
        return self.reasons()[reason]

    async def until_works(self) -> None:
        """A message that is published now comes to the route, and the service is ready."""
        await self.until(lambda: not any(reason.startswith("no_stream") for reason in self.reasons()))
        await self.service.publish("calls.end", b"1")
        await self.until(lambda: self.handled)
        await self.until(lambda: not self.reasons())

    async def test_created(self) -> None:
        """With the options of the settings. After a deletion they are created again."""
        await self.start(jetstream_create=True)
        await self.until_works()
        stream, consumer = await stream_info(self.api, "calls"), await consumer_info(self.api, "calls", "billing")
        self.assertEqual((stream.config.subjects, stream.config.max_age), (("calls.>",), 3600.0))
        self.assertEqual((consumer.config.ack_wait, consumer.config.max_deliver), (20.0, 5))
        self.assertEqual((consumer.config.ack_policy, consumer.config.filter_subjects), ("explicit", ("calls.end",)))
        await delete_consumer(self.api, "calls", "billing")
        self.handled.clear()
        await self.until(lambda: self.service.consumers[0].problem is None and self.service.consumers[0].source)
        await self.service.publish("calls.end", b"2")
        await self.until(lambda: b"2" in self.handled)

    async def test_several_at_once(self) -> None:
        """Services that start at the same time create them together."""
        services = [await self.start(jetstream_create=True) for _ in range(3)]
        for self.service in services:
            await self.until(lambda: not self.reasons())

    async def test_missing(self) -> None:
        """Without jetstream_create, the service is not ready until somebody else has created them."""
        await self.start()
        for reason in ("no_stream stream calls", "not_consuming consumer calls:billing"):
            text = await self.until_reason(reason, "stream not found")
            self.assertIn("stream not found (code 404, err_code 10059). Create the stream, or set jetstream_c", text)
        self.assertEqual(len(self.reasons()), 2)
        await create_stream(self.api, StreamConfig(name="calls", subjects=("calls.>",), max_age=3600.0))
        config = self.service.settings.jetstream_consumer[0].config
        await create_consumer(self.api, "calls", config)
        await self.until_works()

    async def test_differs(self) -> None:
        """Each difference is named, and nothing is changed; with jetstream_update it is."""
        await self.start(jetstream_create=True)
        await self.until(lambda: not self.reasons())
        await self.service.stopService()
        stream, consumer = STREAM.replace("1h", "2h"), CONSUMER.replace("=5", "=7").replace("=20", "=25")
        await self.start(stream, "calls:billing", jetstream_create=True)
        text = await self.until_reason("no_stream stream calls", "differs")
        self.assertIn(
            "stream calls differs from the settings: max_age is 3600 at the server, and 7200 in the settings. ", text
        )
        await self.service.stopService()
        await self.start(STREAM, consumer, jetstream_create=True)
        text = await self.until_reason("not_consuming consumer calls:billing", "differs")
        self.assertIn("ack_wait is 20 at the server, and 25 in the settings", text)
        self.assertIn("max_deliver is 5 at the server, and 7 in the settings", text)
        self.assertIn("jetstream_update", text)
        await self.service.stopService()
        await self.start(stream, consumer, jetstream_update=True)
        await self.until_works()
        self.assertEqual((await stream_info(self.api, "calls")).config.max_age, 7200.0)
        self.assertEqual((await consumer_info(self.api, "calls", "billing")).config.max_deliver, 7)

    async def test_deleted_while_consuming(self) -> None:
        """Without jetstream_create that is a problem until it is there again."""
        await self.start(jetstream_create=True)
        await self.until(lambda: not self.reasons())
        await self.service.stopService()
        await self.start()
        await self.until_works()
        await delete_stream(self.api, "calls")
        await self.until(lambda: "not_consuming consumer calls:billing" in self.reasons())
        await create_stream(self.api, StreamConfig(name="calls", subjects=("calls.>",), max_age=3600.0))
        await create_consumer(self.api, "calls", self.service.settings.jetstream_consumer[0].config)
        self.handled.clear()
        await self.until_works()

    async def test_cannot_be_changed(self) -> None:
        """The server refuses: its words are the reason."""
        await self.start(jetstream_create=True)
        await self.until(lambda: not self.reasons())
        await self.service.stopService()
        await self.start(f"{STREAM};storage=memory", jetstream_update=True)
        await self.until_reason("no_stream stream calls", "can not change storage type")
        self.assertEqual((await stream_info(self.api, "calls")).config.storage, "file")


class WithoutJetStreamTests(OneServerTestCase):
    """A server that has no JetStream."""

    async def test_reasons(self) -> None:
        """They say what to do. What does not need JetStream works."""
        received: list[bytes] = []
        event_route = EventRoutes()
        event_route("nats:a")(lambda event: received.append(event.data))
        service = await self.connect_service(
            event_route,
            subject_queue_group="a",
            jetstream_stream=STREAM,
            jetstream_consumer=CONSUMER,
            jetstream_create=True,
        )
        remedy = "Start the server with -js"
        await self.until(lambda: [remedy in reason.text for reason in service.overview().reasons] == [True, True])
        await service.publish("a", b"x")
        await self.until(lambda: received)


class ConsumerConfigTests(OneServerTestCase):
    """Options of the settings, as the server has them."""

    config = "jetstream: {}"

    async def test_all_options(self) -> None:
        """What the settings give does not differ from what the server has made of it."""
        service = await self.connect_service(
            jetstream_create=True,
            jetstream_stream=[
                "calls=>subjects=calls.> cdr.*;storage=memory;replicas=1;retention=limits;discard=new;max_age=7d;"
                "max_msgs=1000;max_bytes=1MiB;max_msg_size=4096;max_msgs_per_subject=100;duplicate_window=500ms;"
                "allow_direct=1;allow_msg_ttl=1;allow_atomic=1",
                "later=>subjects=later.*;allow_msg_schedules=1;discard=old;retention=workqueue",
            ],
            jetstream_consumer=[
                "calls:a=>filter_subjects=calls.* cdr.*;backoff=1 5 30;max_deliver=7;max_ack_pending=9;max_waiting=64",
                "calls:b=>deliver_policy=last_per_subject;filter_subjects=>;inactive_threshold=1d;replicas=1;ack_wait=5",
                "calls:c=>priority_policy=overflow;priority_groups=jobs;group=jobs;min_pending=10",
                "calls:d=>priority_policy=pinned_client;priority_groups=jobs;group=jobs;priority_timeout=20",
            ],
        )
        await self.until(lambda: not service.overview().reasons)
        api = service._sending.jetstream_api
        for stream in service.settings.jetstream_stream:
            self.assertEqual(stream.config.differences((await stream_info(api, stream.config.name)).config), [])
        for entry in service.settings.jetstream_consumer:
            info = await consumer_info(api, "calls", entry.durable)
            self.assertEqual(entry.config.differences(info.config), [])
        self.assertNotEqual(ConsumerConfig(max_deliver=8).differences(info.config), [])


class ClusterTests(ServerTestCase):
    """A cluster of three, which has only just been started."""

    async def test_replicas(self) -> None:
        """Stream and consumer are on all servers, and stay usable when one of them is gone."""
        servers = await start_cluster(self.reactor, extra_config="jetstream: {}")
        for server in servers:
            self.addCleanup(server.stop)
        handled: list[bytes] = []
        event_route = EventRoutes()
        event_route("nats:calls.*")(lambda event: handled.append(event.data))
        service = self.start_service(
            event_route,
            nats_url=[server.url for server in servers],
            jetstream_create=True,
            jetstream_stream="calls=>subjects=calls.*;replicas=3",
            jetstream_consumer="calls:billing=>max_deliver=5",
            drain_timeout=1.0,
        )
        await self.until(lambda: service.connected and not [*service._sending.streams.problems])
        await service.publish("calls.1", b"1", stream=True)
        await self.until(lambda: handled)
        info = await stream_info(service.jetstream, "calls")
        self.assertEqual((info.config.num_replicas, len(info.cluster["replicas"])), (3, 2))
        consumer = await consumer_info(service.jetstream, "calls", "billing")
        self.assertEqual(len(consumer.cluster["replicas"]), 2)
        leader = servers[int(info.cluster["leader"].removeprefix("server-"))]
        await leader.kill()
        await service.publish("calls.1", b"2", stream=True)
        await self.until(lambda: b"2" in handled)


def user(name: str, *publish: str) -> str:
    """A user who may publish to these subjects only."""
    allowed = ", ".join(f'"{subject}"' for subject in publish)
    return (
        f'{{user: {name}, password: x, permissions: {{publish: [{allowed}], subscribe: ["_INBOX.>"], '
        "allow_responses: false}}"
    )


API, NEXT = "$JS.API", "$JS.API.CONSUMER.MSG.NEXT.calls"
CONSUME = (f"{API}.CONSUMER.INFO.calls.billing", f"{NEXT}.billing", "$JS.ACK.calls.billing.>")
CHECK = (f"{API}.STREAM.INFO.calls", f"{API}.STREAM.CREATE.calls")
CREATE = (f"{API}.CONSUMER.CREATE.calls.billing", f"{API}.CONSUMER.CREATE.calls.billing.>")
REPLAY = (f"{API}.STREAM.INFO.calls", f"{API}.CONSUMER.*.calls.>", f"{NEXT}.>")


class PermissionTests(OneServerTestCase):
    """Users with the permissions of docs/jetstream.md, and no others."""

    config = f"""
    jetstream: {{}}
    authorization {{ users: [
      {user("all", ">")}
      {user("consumes", *CONSUME)}
      {user("creates", *CONSUME, *CHECK, *CREATE)}
      {user("replays", *REPLAY)}
    ] }}
    """

    def test_documented(self) -> None:
        """The page has them."""
        text = (ROOT / "docs" / "jetstream.md").read_text("utf-8")
        section = text.partition("## Permissions\n")[2].partition("\n## ")[0]
        for subject in {*CONSUME, *CHECK, CREATE[0], *REPLAY}:
            self.assertIn(f"`{subject}`", section)

    async def test_enough(self) -> None:
        """Each of them can do what it has to."""
        feeder = await self.connect_service(user="all", password="x")
        for name, settings in (
            ("creates", {"jetstream_create": True, "jetstream_stream": STREAM, "jetstream_consumer": CONSUMER}),
            ("consumes", {"jetstream_consumer": CONSUMER}),
            ("replays", {"jetstream_replay": "calls"}),
        ):
            handled: list[bytes] = []
            event_route = EventRoutes()
            event_route("nats:calls.*")(lambda event, handled=handled: handled.append(event.data))
            service = await self.connect_service(event_route, user=name, password="x", **settings)
            await self.until(lambda service=service: not [*service._sending.streams.problems])
            await feeder.publish("calls.end", name.encode(), stream=True)
            await self.until(lambda handled=handled, name=name: name.encode() in handled)
            await self.until(lambda service=service: not service.overview().reasons)
            await service.stopService()
            self.assertEqual({connection.status().last_error for connection in service.connections}, {None})
        # The server takes acknowledgements into account a moment after it has read them.
        info = None
        while info is None or (info.num_ack_pending, info.ack_floor) != (0, 2):
            info = await consumer_info(feeder.jetstream, "calls", "billing")

    async def test_not_enough(self) -> None:
        """The reason names the subject that is missing."""
        service = await self.connect_service(user="consumes", password="x", jetstream_stream=STREAM)
        await self.until(lambda: [one for one in service.overview().reasons if "Permissions" in one.text])
        (reason,) = service.overview().reasons
        self.assertIn('Permissions Violation for Publish to "$JS.API.STREAM.INFO.calls"', reason.text)
        self.assertIn("Allow the user to publish to this subject", reason.text)
