"""``natsroute record`` and ``natsroute replay``, in processes of their own, with a real nats-server."""

from __future__ import annotations

import base64
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol

from natsroute import Event, EventRoutes
from natsroute.recording.format import FIRST_LINE, Recorded
from natsroute.wire.encoder import encode_pub
from tests.support import ROOT
from tests.support.documents import snippet
from tests.support.environment import without_settings
from tests.support.server_case import OneServerTestCase

ROUTES = """
from natsroute import EventRoutes

event_route = EventRoutes()

@event_route("nats:orders.*")
def order(event):
    if event.data == b"bad":
        raise ValueError("no such order")
    event.publish("invoices", event.data, headers={"Order": event.subject})
"""


class Command(ProcessProtocol):
    """A command that runs. It is killed at the end of the test."""

    transport: IProcessTransport

    def __init__(self, case: OneServerTestCase, folder: Path, *words: str, **variables: str) -> None:
        self.output = {1: b"", 2: b""}
        self.status: int | None = None
        environment = {**without_settings(), "PYTHONPATH": str(ROOT), "TERM": "dumb", **variables}
        command = [sys.executable, "-m", "natsroute", *words]
        case.reactor.spawnProcess(self, sys.executable, command, env=environment, path=str(folder))
        case.addCleanup(self.kill)
        self._case = case

    def childDataReceived(self, descriptor: int, data: bytes) -> None:
        self.output[descriptor] += data

    def processEnded(self, reason: Any) -> None:
        self.status = reason.value.exitCode if reason.value.exitCode is not None else -reason.value.signal

    async def ended(self) -> int:
        """Wait for its end; gives the exit code."""
        await self._case.until(lambda: self.status is not None)
        assert self.status is not None
        return self.status

    def signal(self, name: str) -> None:
        """Send it a signal."""
        self.transport.signalProcess(name)

    def kill(self) -> None:
        """End it, if it runs."""
        try:
            self.signal("KILL")
        except ProcessExitedAlready:
            pass

    @property
    def errors(self) -> str:
        """What it has written to standard error."""
        return self.output[2].decode()

    @property
    def lines(self) -> list[Any]:
        """The JSON lines that it has printed."""
        return [json.loads(line) for line in self.output[1].splitlines()]


class RecordingTestCase(OneServerTestCase):
    """A server, and a folder."""

    def setUp(self) -> Any:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        (self.folder / "routes.py").write_text(ROUTES, "utf-8")
        return super().setUp()

    def command(self, *words: str, **variables: str) -> Command:
        return Command(self, self.folder, *words, **variables)

    async def recorder(self, *words: str) -> Command:
        """One that has begun to record."""
        command = self.command("record", "--nats_url", self.url, *words)
        await self.until(lambda: "recording" in command.errors or command.status is not None)
        return command

    def write(self, name: str, *messages: Recorded, end: bytes = b"") -> str:
        data = FIRST_LINE + b"".join(message.line() for message in messages) + end
        (self.folder / name).write_bytes(data)
        return name


MESSAGES = [
    Recorded(1_790_000_000.0, "orders.1", b"\x00\xff binary"),
    Recorded(1_790_000_000.1, "orders.2", b"", "inbox.1"),
    Recorded(1_790_000_000.2, "orders.3", "text \u00e4".encode(), None, b"NATS/1.0\r\nB: 1\r\nA: 2\r\nB: 3\r\n\r\n"),
    Recorded(1_790_000_000.3, "orders.4", b"bad", "r", b"NATS/1.0 503 odd\r\nA:b\r\n\r\n"),
    Recorded(1_790_000_000.4, "other", b"x" * 100_000, None, b"NATS/1.0\r\nL: \xc3\xa4\xff\r\n\r\n"),
]


def without_times(data: bytes) -> bytes:
    """A recording whose messages have no times."""
    return re.sub(rb'"time":"[^"]*"', b'"time":""', data)


class RecordTests(RecordingTestCase):
    """Recordings of what is published."""

    async def test_round_trip(self) -> None:
        """record, replay --publish, record: the second recording is the first, byte for byte, apart from the times."""
        service = await self.connect_service()
        first = await self.recorder("orders.*", "other", "--count", "5", "-o", "first")
        connection = service.connections[0]
        for message in MESSAGES:
            command = encode_pub(message.subject, message.payload, message.reply, message.header_block)
            await connection.write_and_ping(command, 1)
        self.assertEqual(await first.ended(), 0, first.errors)
        recorded = (self.folder / "first").read_bytes()
        self.assertEqual(
            without_times(recorded), without_times(FIRST_LINE + b"".join(message.line() for message in MESSAGES))
        )
        self.assertEqual((self.folder / "first").stat().st_mode & 0o777, 0o600)
        second = await self.recorder("orders.*", "other", "--count", "5", "-o", "second")
        replay = self.command("replay", "first", "--publish", "--speed", "max", "--nats-url", self.url)
        self.assertEqual((await replay.ended(), await second.ended()), (0, 0), replay.errors)
        self.assertIn("5 messages were played: the server has confirmed 5", replay.errors)
        self.assertEqual(without_times((self.folder / "second").read_bytes()), without_times(recorded))
        self.assertNotEqual((self.folder / "second").read_bytes(), recorded)

    async def test_many(self) -> None:
        """Ten thousand messages, at once: all are recorded, in order."""
        service = await self.connect_service()
        recorder = await self.recorder("n", "--count", "10000", "-o", "many")
        for number in range(10_000):
            service.publish("n", str(number))
        self.assertEqual(await recorder.ended(), 0, recorder.errors)
        lines = (self.folder / "many").read_bytes().splitlines()
        payloads = [base64.b64decode(json.loads(line)["payload"]) for line in lines[1:]]
        self.assertEqual(payloads, [b"%d" % number for number in range(10_000)])

    async def test_signals(self) -> None:
        """SIGINT and SIGTERM end it; what has arrived is written."""
        service = await self.connect_service()
        for name in ("INT", "TERM"):
            recorder = await self.recorder("a.>")  # to standard output
            await service.publish("a.b", b"x")
            await self.until(lambda output=recorder.output: b"a.b" in output[1])
            recorder.signal(name)
            self.assertEqual(await recorder.ended(), 0, recorder.errors)
            first, message = recorder.lines
            self.assertEqual((first, message["payload"]), ({"natsroute_recording": 1}, "eA=="))
            self.assertIn("1 messages were recorded", recorder.errors)

    async def test_seconds(self) -> None:
        recorder = await self.recorder("a", "--seconds", "0.2", "-o", "file", "--queue-group", "q")
        self.assertEqual(await recorder.ended(), 0, recorder.errors)
        self.assertEqual((self.folder / "file").read_bytes(), FIRST_LINE)

    async def test_mistakes(self) -> None:
        """One line that says what to do."""
        for words, code, text in [
            (["record", "a.>", "a.b"], 2, "a.> and a.b overlap"),
            (["record", "a..b"], 2, "a..b"),
            (["record", "a", "-o", "no/such/folder"], 1, "no/such/folder cannot be written: No such file"),
            (["record", "a", "--nats_url", "http://x"], 1, "nats_url = 'http://x' (from --nats_url)"),
            (["record", "a", "--count", "0"], 2, "--count: it must be above 0"),
            (["replay", "missing", "--publish"], 1, "missing cannot be read: No such file"),
            (["replay", "missing"], 2, "there is nothing to run. Give --event_routes"),
            (["replay", "missing", "--speed", "fast"], 2, "--speed: it is neither original, nor max, nor a number"),
        ]:
            command = self.command(*words)
            self.assertEqual(await command.ended(), code, command.errors)
            self.assertIn(text, command.errors)
            self.assertNotIn("Traceback", command.errors)


class ReplayTests(RecordingTestCase):
    """What becomes of recordings."""

    async def test_routes(self) -> None:
        """Without a server: what each route did, and what it published."""
        command = self.command("replay", self.write("file", *MESSAGES), "--event_routes", "routes.py")
        self.assertEqual(await command.ended(), 1, command.errors)  # one call has failed
        by_line = {line["line"]: line for line in command.lines}
        self.assertEqual(
            [(by_line[line]["subject"], by_line[line]["outcome"]) for line in sorted(by_line)],
            [
                ("orders.1", "succeeded"),
                ("orders.2", "succeeded"),
                ("orders.3", "succeeded"),
                ("orders.4", "failed"),
                ("other", "unrouted"),
            ],
        )
        self.assertEqual(by_line[2]["route"], "nats:orders.*")
        self.assertEqual(
            by_line[2]["published"],
            [
                {
                    "subject": "invoices",
                    "headers": [["Order", "orders.1"]],
                    "payload": base64.b64encode(MESSAGES[0].payload).decode(),
                }
            ],
        )
        self.assertEqual(by_line[5]["error"], "ValueError: no such order")
        self.assertIn(
            "5 messages were played: 3 calls succeeded, 1 failed, 1 messages matched no route; "
            "3 messages were published",
            command.errors,
        )

    async def test_malformed(self) -> None:
        """What is before the line is played; the error says where it is, and how many were."""
        name = self.write("file", *MESSAGES[:2], end=MESSAGES[2].line()[:-20])
        expected = "file:4: it is not JSON. Remove it: the recording was probably cut off there"
        for words in (["--event_routes", "routes.py"], ["--publish", "--nats_url", self.url]):
            command = self.command("replay", name, *words)
            self.assertEqual(await command.ended(), 1)
            self.assertIn(f"{expected}. The 2 messages before it were played", command.errors)
            self.assertIn("2 messages were played", command.errors)

    async def test_speed(self) -> None:
        """At the original speed, faster, and at once. Hours would pass for what is too slow."""
        arrived: list[float] = []
        event_route = EventRoutes()

        @event_route("nats:orders.*")
        def route(event: Event) -> None:
            arrived.append(self.reactor.seconds())

        await self.connect_service(event_route, subject_queue_group="orders.*")
        for speed, seconds, low in [
            ((), 2.0, 2.0),
            (("--speed", "7200"), 14_400.0, 2.0),
            (("--speed", "max"), 14_400.0, 0.0),
        ]:
            messages = [Recorded(1000.0 + number * seconds, "orders.1", b"") for number in (0.0, 0.5, 1.0)]
            name = self.write("file", *messages)
            arrived.clear()
            # From before the command: on a busy machine the first message may arrive late, and the last one in time.
            began = self.reactor.seconds()
            command = self.command("replay", name, "--publish", "--nats_url", self.url, *speed)
            self.assertEqual(await command.ended(), 0, command.errors)
            await self.until(lambda: len(arrived) == 3)
            self.assertGreaterEqual(arrived[2] - began, low, speed)

    async def test_refused_messages(self) -> None:
        """They are told, each with its line; the others are published."""
        name = self.write("file", Recorded(0, "a", b"x" * 2_000_000), MESSAGES[0])
        command = self.command("replay", name, "--publish", "--nats_url", self.url, "--speed", "max")
        self.assertEqual(await command.ended(), 1)
        self.assertIn("file:2: not published: ", command.errors)
        self.assertIn("2 messages were played: the server has confirmed 1", command.errors)

    async def test_interrupted(self) -> None:
        """SIGINT ends it between two messages."""
        name = self.write("file", MESSAGES[0], Recorded(1_790_001_000.0, "orders.5", b""))
        command = self.command("replay", name, "--event_routes", "routes.py", "--speed", "original")
        await self.until(lambda: command.status is not None or command.output[1].endswith(b"\n"))
        command.signal("INT")
        self.assertEqual(await command.ended(), 130, command.errors)
        self.assertIn("1 messages were played: 1 calls succeeded", command.errors)

    async def test_closed_pipe(self) -> None:
        """``natsroute replay … | head`` ends it."""
        name = self.write("file", *(Recorded(0, "orders.1", b"x" * 1000) for _ in range(3000)))
        command = self.command("replay", name, "--event_routes", "routes.py")
        command.transport.closeStdout()  # type: ignore[attr-defined]
        self.assertEqual(await command.ended(), 1, command.errors)
        self.assertNotIn("Traceback", command.errors)

    async def test_documented(self) -> None:
        """The commands of docs/record-and-replay.md."""
        text = snippet("docs/record-and-replay.md", "Record and replay", "console").text
        record, *replays = [shlex.split(line) for line in text.splitlines()]
        self.assertEqual(record[:2], ["natsroute", "record"])
        recorder = self.command(*record[1:], NATSROUTE_NATS_URL=self.url)
        await self.until(lambda: "recording" in recorder.errors or recorder.status is not None)
        service = await self.connect_service()
        for number in range(1000):
            service.publish("orders.1", str(number))
        self.assertEqual(await recorder.ended(), 0, recorder.errors)
        for words in replays:
            self.assertEqual(words[:2], ["natsroute", "replay"])
            command = self.command(*words[1:], NATSROUTE_NATS_URL=self.url)
            self.assertEqual(await command.ended(), 0, command.errors)
            self.assertIn("1000 messages were played", command.errors)
