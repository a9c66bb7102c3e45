"""Messages that are published over connections that come and go: what is written, and what becomes of each message."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from itertools import count
from random import Random
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from natsroute.errors import ConnectionLostError, NoReplySubjectError, PayloadViolationError, ServerProtocolError
from natsroute.publishing import batches, queue
from natsroute.publishing import buffer as publish_buffer
from natsroute.publishing.buffer import Buffer
from natsroute.publishing.options import PublishLimits
from natsroute.publishing.publisher import Publisher
from natsroute.wire.frames import Info
from natsroute.wire.headers import parse_headers
from natsroute.wire.server_errors import server_error
from tests.support.memory_publisher import MemoryLink, MemoryPool


class OwnText(str):
    """A string that is not of the usual class."""


class OwnBytes(bytes):
    """Likewise."""


class OwnMapping(dict[str, Any]):
    """Headers that count how often they are read."""

    reads = 0

    def items(self) -> Any:
        self.reads += 1
        if self.reads > 4:
            raise ZeroDivisionError("read too often")
        return super().items()


#: Descriptions of arguments; see _made().
_SUBJECTS: tuple[Any, ...] = (
    "a", "a", "a", "a.b", "grüße", "%d%b", "a b", "", ".", "a..b", "*", "a.>", "x" * 2016, "x" * 2017,
    "a\r\nPUB b 0\r\n\r\n",
    "\udcff", "\ud800", ("bytes", b"a"), None, 5, ("own", "a"), "a\tb", "a\x00", "a\x7f", "list",
)  # fmt: skip
_REPLIES: tuple[Any, ...] = (
    None, None, None, "r", "_INBOX.abc.1", "_INBOX.abc.2", "grüße.1", "r r", "", ".a", "a.", "*", "r" * 300, "x" * 2016,
    "x" * 2017, ("bytes", b"r"), 5, ("own", "r"), "\udcff", "\ud800", "_INBOX..1", "a.b\r", "²", "r.²", "1", "r.1²",
    False,
)  # fmt: skip
_NAMES: tuple[Any, ...] = (
    "A",
    "A",
    "b",
    "Nats-Msg-Id",
    "A:",
    "",
    "ä",
    "a b",
    "\x7f",
    "n" * 257,
    5,
    ("own", "A"),
    None,
    "~!",
)
_VALUES: tuple[Any, ...] = (
    "v", "v", "", "ü", "\t", "a\r", "a\n", "\x00", "\x7f", "\udc80", "\ud800", "😀", " v ", 5, None, ("bytes", b"v"),
    ("own", "v"),
    ("list", ["1", "2"]), ("list", []), ("list", ["1", 5]), ("tuple", ["1", "ü"]), ("iter", ["1", "2"]), ("iter",
    ["1", 5]),
    ("list", ["a\n"]), ("set", ["1"]), "w" * 1000, "\x85", "\u2028", "\xa0", ("bytes", b""), ("list", [("own", "v")]),
)  # fmt: skip
_PAYLOADS: tuple[Any, ...] = (
    ("bytes", b""), ("bytes", b"x"), ("bytes", b"x"), ("bytes", b"x" * 100), ("bytes", b"x" * 1024), ("bytes",
    b"x" * 1025),
    ("bytes", b"%d\r\n"), "text", "grüße", "\ud800", ("own bytes", b"own"), ("bytearray", b"array"), ("view", b"view"),
    ("dict", {"a": 1}), None, 5, ("call", ("bytes", b"called")), ("call", "raise"), ("call", ("dict", {"a": 1})),
    ("set", ["1"]),
    ("call", ("bytes", b"c" * 1025)), ("list", [1, 2]), ("float", "nan"),
)  # fmt: skip
_OPTIONS: tuple[dict[str, Any], ...] = (
    {}, {}, {}, {}, {}, {"policy": "fail"}, {"policy": "drop"}, {"policy": "keep"}, {"policy": "none"},
    {"policy": None},
    {"msg_id": "1"}, {"msg_id": "\r"}, {"stream": False}, {"stream": True}, {"nothing": 1}, {"msg_id": 5},
)  # fmt: skip
_KEPT = ("drop", "drop", "keep", "keep", "watch", "publish", "listen", "mark", "weak")
_REFUSALS = (
    'Permissions Violation for Publish to "a"', 'Permissions Violation for Publish to "a.b"', "Slow Consumer",
    'Permissions Violation for Publish with Reply of "r"', "Invalid Publish Subject",
)  # fmt: skip


def generate(random: Random) -> list[tuple[Any, ...]]:
    """See :class:`tests.fuzz.compared.Scenario`."""
    limits = (
        random.choice((4, 20, 100_000)), random.choice((200, 3000, 10_000_000)), random.choice(("keep", "keep",
        "keep", "fail", "drop")),
        random.choice((0, 0, 30)), random.choice((0.0, 0.0, 0.5)),
    )  # fmt: skip
    steps: list[tuple[Any, ...]] = [("begin", limits, random.choice((1, 1, 2)), random.random() < 0.1)]
    usual = [_plain(random) for _ in range(3)]
    wild = random.choice((0.0, 0.1, 0.3, 0.8))
    steps += [("start",), ("connect", 0, 1024, True), ("connect", 1, 1024, True)]
    for _ in range(random.choice((5, 20, 60))):
        chance = random.random()
        if chance < 0.6:
            steps.append(_odd(random) if random.random() < wild else random.choice(usual))
        elif chance < 0.7:
            steps.append(("turn",))
        elif chance < 0.8:
            steps.append(("pong", random.randrange(2)))
        elif random.random() < 0.2 + wild:
            steps.append(_event(random))
    return steps


def _plain(random: Random) -> tuple[Any, ...]:
    headers = (
        [(random.choice(("A", "b")), random.choice(("v", "ü", "", ("list", ["1", "2"]))))]
        if random.random() < 0.4
        else None
    )
    payload = ("bytes", b"p" * random.choice((0, 1, 10, 128)))
    reply = random.choice((None, "r", "_INBOX.a.1"))
    return (
        "publish",
        random.choice(("a", "a.b")),
        payload,
        reply,
        headers,
        {},
        random.choice(_KEPT),
        random.choice(("", "nats:r")),
    )


def _odd(random: Random) -> tuple[Any, ...]:
    _, subject, payload, reply, headers, options, kept, route = _plain(random)
    while True:
        change = random.randrange(6)
        if change == 0:
            subject = random.choice(_SUBJECTS)
        elif change == 1:
            payload = random.choice(_PAYLOADS)
        elif change == 2:
            reply = random.choice(_REPLIES)
        elif change == 3:
            headers = _headers(random)
        elif change == 4:
            options = random.choice(_OPTIONS)
        elif random.random() < 0.2:
            return "thread", subject, payload, reply, headers, options, kept, route
        if random.random() < 0.6:
            return "publish", subject, payload, reply, headers, options, kept, route


def _headers(random: Random) -> Any:
    kind = random.randrange(8)
    if kind == 0:
        return random.choice(([], ("block", b"NATS/1.0 503 No\r\nA: 1\r\nA: 2\r\n\r\n"), ("block",
        b"NATS/1.0\r\n\r\n"), 5, "A: b",
                              ("list", [("tuple", ["A", "b"])]), ("bytes", b"A: b"), ("own mapping", [("A", "1")]),
                              "", 0))  # fmt: skip
    return [(random.choice(_NAMES), random.choice(_VALUES)) for _ in range(random.choice((1, 1, 2, 3)))]


def _event(random: Random) -> tuple[Any, ...]:
    return random.choice((
        ("disconnect", random.randrange(2), random.choice(("lost", "cleanly", "payload", "protocol", "none"))),
        ("connect", random.randrange(2), random.choice((1024, 1024, 5, 64 * 1024 * 1024)), random.random() < 0.7),
        ("limits", random.randrange(2), random.choice((1024, 3)), random.random() < 0.7),
        ("refuse", random.randrange(2), random.choice(_REFUSALS)),
        ("pool",), ("from_threads",), ("flush",), ("advance", random.choice((0.0002, 0.0002, 0.01, 1, 31))),
        ("cancel", random.randrange(100)), ("stop", random.choice((0, 1))), ("start",), ("forget_targets",),
        ("reject", random.choice(("", "nats:r"))), ("burst", random.choice((5, 30)), random.choice(("drop", "keep"))),
    ))  # fmt: skip


def _made(description: Any) -> Any:
    """An argument of its description. Steps have descriptions, so that they can be printed and repeated."""
    if not isinstance(description, tuple):
        return description
    kind, value = description
    if kind == "call":

        def call() -> Any:
            if value == "raise":
                raise ZeroDivisionError("payload")
            return _made(value)

        return call
    values = [*map(_made, value)] if isinstance(value, list) and kind != "own mapping" else value
    makers: dict[str, Any] = {
        "bytes": bytes, "own bytes": OwnBytes, "bytearray": bytearray, "view": memoryview, "own": OwnText, "dict": dict,
        "list": list, "tuple": tuple, "iter": iter, "set": set, "float": float, "block": parse_headers,
        "own mapping": OwnMapping,
    }  # fmt: skip
    return makers[kind](values)


def _made_headers(description: Any) -> Any:
    if not isinstance(description, list):
        return _made(description)
    return {_made(name): _made(value) for name, value in description}


def _ids() -> Iterator[str]:
    return map("id-{}".format, count())


class _Performance:
    """A publisher in memory, as the tests of the publisher have it."""

    def __init__(self, limits: tuple[Any, ...], workers: int, has_ids: bool) -> None:
        messages, size, policy, max_age, resend_window = limits
        self.transcript: list[str] = []
        self.clock = Clock()
        self.pool = MemoryPool()
        self.links = [MemoryLink() for _ in range(workers)]
        self.calls: list[tuple[Any, ...]] = []
        self.numbers = count(1)
        self.kept: dict[int, Deferred[Any]] = {}
        self.weak: list[Any] = []
        self.publisher = Publisher(
            self.links,
            self.clock,
            run_in_pool=self.pool,
            call_from_thread=lambda *call: self.calls.append(call),
            limits=PublishLimits(
                messages=messages, bytes=size, policy=policy, max_age=max_age, resend_window=resend_window
            ),
            on_high_water=lambda: self.transcript.append("high water"),
            on_low_water=lambda: self.transcript.append("low water"),
            on_confirmed=lambda *one: self.transcript.append(f"confirmed {one}"),
            message_ids=_ids() if has_ids else None,
        )

    def _worker(self, index: int) -> tuple[Any, Any]:
        index %= len(self.links)
        return self.links[index], self.publisher.workers[index]

    # -- steps --------------------------------------------------------------------------------------------------------

    def publish(
        self, subject: Any, payload: Any, reply: Any, headers: Any, options: Any, kept: str, route: str
    ) -> None:
        number = next(self.numbers)
        arguments = (_made(subject), _made(payload), _made(reply), _made_headers(headers))
        try:
            published = self.publisher.publish_for(route)(*arguments, **options)
        except Exception as error:
            self.transcript.append(f"raised {number} {error!r}")
            return
        self._keep(number, published, kept)

    def _keep(self, number: int, published: Deferred[Any], kept: str) -> None:
        if kept in ("drop", "mark", "weak") and published.called:  # it would be logged at any time
            published.addErrback(lambda failure: self.transcript.append(f"{number} {failure.value!r}"))
            return
        if kept == "drop":
            return
        if kept == "listen":  # nobody has it, and its callbacks must run nevertheless
            published.addBoth(self._ended, number)
            return
        if kept == "mark":  # nobody has it, and it is not as it was
            published.mark = number  # type: ignore[attr-defined]
            return
        if kept == "weak":
            self.weak.append(weakref.ref(published))
            return
        self.kept[number] = published
        if kept == "watch":
            published.addBoth(self._ended, number)
        elif kept == "publish":
            published.addBoth(self._publish_more, number)

    def _ended(self, result: Any, number: int) -> None:
        self.transcript.append(f"ended {number} {getattr(result, 'value', result)!r}")

    def _publish_more(self, result: Any, number: int) -> None:
        self._ended(result, number)
        if number < 1000:
            self.publish("a", ("bytes", b"more"), None, None, {}, "watch", "")

    def thread(self, *arguments: Any) -> None:
        thread = Thread(target=self.publish, args=arguments)
        thread.start()
        thread.join()

    def burst(self, number: int, kept: str) -> None:
        for _ in range(number):
            self.publish("a", ("bytes", b"burst"), None, None, {}, kept, "")

    def turn(self) -> None:
        self.clock.advance(0)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def pong(self, index: int) -> None:
        link, _ = self._worker(index)
        if link.pings:
            link.pings.pop(0).callback(None)

    def connect(self, index: int, max_payload: int, headers: bool) -> None:
        link, worker = self._worker(index)
        if link.info is None:
            link.info = Info(server_id="S", max_payload=max_payload, headers=headers)
            worker.connected()

    def limits(self, index: int, max_payload: int, headers: bool) -> None:
        link, worker = self._worker(index)
        if link.info is not None:
            link.info = Info(server_id="S", max_payload=max_payload, headers=headers)
            worker.limits_changed()

    def disconnect(self, index: int, why: str) -> None:
        link, worker = self._worker(index)
        if link.info is None:
            return
        reasons: dict[str, Any] = {
            "payload": server_error("Maximum Payload Violation"),
            "protocol": server_error("Unknown Protocol Operation"),
            "none": None,
        }
        assert isinstance(reasons["payload"], PayloadViolationError)
        assert isinstance(reasons["protocol"], ServerProtocolError)
        link.info = None
        pings, link.pings = link.pings, []
        for ping in pings:
            ping.errback(ConnectionLostError("cut"))
        worker.disconnected(reasons.get(why, ConnectionLostError("cut")), cleanly=why == "cleanly")

    def refuse(self, index: int, text: str) -> None:
        self._worker(index)[1].refused(server_error(text))

    def pool_(self) -> None:
        if self.pool.work:
            self.pool.run_next()

    def from_threads(self) -> None:
        while self.calls:
            function, *arguments = self.calls.pop(0)
            function(*arguments)

    def flush(self) -> None:
        number = next(self.numbers)
        self.publisher.flush().addBoth(self._ended, f"flush {number}")

    def cancel(self, number: int) -> None:
        if self.kept:
            [*self.kept.values()][number % len(self.kept)].cancel()

    def stop(self, seconds: float) -> None:
        number = next(self.numbers)
        self.publisher.stop(seconds).addBoth(self._ended, f"stop {number}")

    def start(self) -> None:
        self.publisher.start()

    def forget_targets(self) -> None:
        for outlet in self.publisher._outlets.values():
            outlet._targets.clear()
            outlet.targets.clear()

    def reject(self, route: str) -> None:
        self._keep(next(self.numbers), self.publisher.reject_for(route)(NoReplySubjectError("rejected")), "watch")

    @staticmethod
    def _commands(buffer: Buffer) -> list[str]:
        """The commands that were gathered, now and then: to look closes a block of commands, and more may follow it."""
        if buffer.bytes % 4:
            return []
        assert buffer.gathered.commands is buffer.commands
        return [repr(command) if isinstance(command, bytes) else "unserialised" for _, command in buffer.gathered]

    def state(self) -> None:
        """Write down what can be seen."""
        for link, worker in zip(self.links, self.publisher.workers):
            buffer = worker.buffer
            self.transcript.append(
                f"{link.written} {len(link.pings)} {buffer.messages} {buffer.bytes} {buffer.is_open} "
                f"{buffer.max_payload} {buffer.takes_headers} {buffer.is_above} {len(buffer.confirmations)} "
                f"{self._commands(buffer)}"
            )
            link.written.clear()
        account = self.publisher.account()
        fired = [number for number, one in self.kept.items() if one.called]
        self.transcript.append(
            f"{account} {account.resent} {account.in_progress} {fired} {len(self.pool.work)} {len(self.calls)}"
        )


def perform(steps: list[tuple[Any, ...]]) -> list[str]:
    """See :class:`tests.fuzz.compared.Scenario`. At the end, the publisher stops, and each Deferred is looked at."""
    max_batch = batches.MAX_BATCH
    set_max_batch(max_batch if steps[0][1][0] % 3 else 5)
    try:
        return _performed(steps)
    finally:
        set_max_batch(max_batch)


def set_max_batch(messages: int) -> None:
    """Let batches have at most so many messages."""
    for module in (batches, publish_buffer, queue):
        module.MAX_BATCH = messages  # type: ignore[attr-defined]


def _performed(steps: list[tuple[Any, ...]]) -> list[str]:
    performance = _Performance(*steps[0][1:])
    for name, *arguments in steps[1:]:
        performance.transcript.append(f"{name} {arguments}")
        getattr(performance, "pool_" if name == "pool" else name)(*arguments)
        performance.state()
    performance.transcript.append("end")
    performance.stop(1)
    for _ in range(3):
        performance.from_threads()
        performance.pool_()
        performance.advance(1)
        performance.state()
    for number, one in performance.kept.items():
        one.addBoth(performance._ended, f"at last {number}")
    performance.state()
    performance.transcript.append(f"{[one() is None for one in performance.weak]}")
    return performance.transcript
