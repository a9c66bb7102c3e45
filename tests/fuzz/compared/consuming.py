"""Messages on their way through subscriptions and event routes, which do whatever routes may do meanwhile."""

from __future__ import annotations

from random import Random
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from natsroute import Event, EventRoutes
from natsroute.client.subscription import PENDING_POLICIES, PendingLimits, Subscription
from natsroute.errors import DecodeError, ProtocolError
from natsroute.ledger import RouteCounters
from natsroute.routes.handling_times import HandlingTimes
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.runner import Runner, RunnerContext
from natsroute.routes.table import RouteTable
from natsroute.turns import SharedTurns
from natsroute.wire.frames import Address
from natsroute.wire.parser import Parser
from tests.fuzz.compared.streams import cut

_ERRORS: dict[str, type[BaseException]] = {
    error.__name__: error
    for error in (
        ValueError,
        KeyboardInterrupt,
        SystemExit,
        GeneratorExit,
        CancelledError,
        StopIteration,
        RecursionError,
    )
}
_VALUES: dict[str, Any] = {"text": "x", "zero": 0, "true": True, "list": [], "dict": {}, "object": object, "bytes": b""}

_SUBJECTS = ("a.b", "a.b", "a.c", "a.d", "c.1", "c.2", "k", "t", "co", "re", "to", "mid", "none", "grüße")
#: What a route, or the test between two chunks, may do.
_ACTIONS = (
    "hold", "release", "unsubscribe", "end 2", "end 0", "take", "elsewhere", "back", "only", "all", "again", "forget",
    "over", "replace", "drop", "deaf", "headers", "publish", "stop", "start",
)  # fmt: skip
_ENDINGS = ("nothing", "nothing", "nothing", "fired", "failed", "wait", "wait", "own wait", *_ERRORS, *_VALUES)


class OwnDeferred(Deferred[Any]):
    """Not of the class that is looked at first."""


def generate(random: Random) -> list[tuple[Any, ...]]:
    """See :class:`tests.fuzz.compared.Scenario`."""
    limits = (random.choice((0, 1, 3, 1000)), random.choice((0, 10, 1000_000)), random.choice(PENDING_POLICIES))
    steps: list[tuple[Any, ...]] = [("begin", *limits, random.random() < 0.3)]
    usual = [_message(random) for _ in range(random.choice((1, 3, 6)))]
    calm = random.choice((1.0, 0.9, 0.6))
    frames = [
        random.choice(usual) if random.random() < calm else _message(random) for _ in range(random.choice((3, 10, 40)))
    ]
    for piece in cut(random, frames):
        steps.append(("feed", piece))
        if random.random() > calm or random.random() < 0.1:
            steps.append(_step(random))
    return steps


def _message(random: Random) -> bytes:
    subject = random.choice(_SUBJECTS).encode()
    ending = random.choice(_ENDINGS) if random.random() < 0.7 else "nothing"
    actions = [random.choice(_ACTIONS)] if random.random() < 0.25 else []
    payload = " / ".join([*actions, ending]).encode()
    sid = random.choice((1, 1, 1, 2, 3))
    reply = random.choice((b"", b"", b"r ", b"_INBOX.a.1 "))
    if random.random() < 0.3:
        block = random.choice((b"NATS/1.0\r\nA: b\r\n\r\n", b"NATS/1.0\r\nmalformed\r\n\r\n"))
        return b"HMSG %b %d %b%d %d\r\n%b%b\r\n" % (
            subject, sid, reply, len(block), len(block) + len(payload), block, payload,
        )  # fmt: skip
    return b"MSG %b %d %b%d\r\n%b\r\n" % (subject, sid, reply, len(payload), payload)


def _step(random: Random) -> tuple[Any, ...]:
    kind = random.randrange(5)
    if kind == 0:
        return "do", random.choice(_ACTIONS), random.randrange(2)
    if kind == 1:
        return "advance", random.choice((0, 0.001, 0.2, 1, 60))
    if kind == 2:
        return "thread", random.randrange(3)
    return "fire", random.randrange(4), random.choice(("ok", "ok", "error", "cancel"))


class _Performance:
    """Two subscriptions with a runner each, and what they ask of their owner."""

    def __init__(self, messages: int, size: int, policy: Any, measured: bool) -> None:
        self.transcript: list[str] = []
        self.clock = Clock()
        self.turns = SharedTurns(self.clock)
        self.waiting: list[Deferred[Any]] = []
        self.in_threads: list[tuple[Any, Event, Deferred[Any]]] = []
        self.versions = 0
        times = HandlingTimes(self.clock, self._handled) if measured else None
        self.in_flight = CallsInFlight(self.clock, handling_times=times)
        context = RunnerContext(self._publish, self.clock, self._call_in_thread, self.in_flight)
        self.runners = [Runner(self._find(), context, subject="a.>", queue_group=group) for group in (None, "q")]
        self.subscriptions = [
            Subscription(
                self, sid, ">", None, runner.on_msg, PendingLimits(messages, size, policy), self._overflowed
            )
            for sid, runner in enumerate(self.runners, 1)
        ]  # fmt: skip
        self.receivers: dict[int, Any] = {}
        self.holds = [0, 0]
        for subscription, runner in zip(self.subscriptions, self.runners):
            self.receivers[subscription.sid] = subscription.deliver
            runner.receive_from(subscription.hand_to)
        self.parser = self._new_parser()

    def _new_parser(self) -> Parser:
        return Parser(message_type=Event, receivers=self.receivers)

    def _find(self) -> Any:
        routes = EventRoutes()

        async def coroutine(event: Event) -> Any:
            result = self._route(event)
            return await result if isinstance(result, Deferred) else result

        routes("nats:a.b")(self._route)
        routes("nats:a.*")(self._route)
        routes("nats:c.*", concurrency=2)(self._route)
        routes("nats:k", key=lambda event: event.reply)(self._route)
        routes("nats:t", thread=True)(self._route)
        routes("nats:co")(coroutine)
        routes("nats:re", retries=1)(self._route)
        routes("nats:to", timeout=1)(self._route)
        routes("nats:mid", middleware=[lambda function: lambda event: function(event)])(self._route)
        return RouteTable(routes).find

    # -- what the parts ask for ---------------------------------------------------------------------------------------

    def pause(self, subscription: Subscription) -> None:
        self.transcript.append(f"pause {subscription.sid}")

    def resume(self, subscription: Subscription) -> None:
        self.transcript.append(f"resume {subscription.sid}")

    def forget(self, subscription: Subscription) -> None:
        self.transcript.append(f"forget {subscription.sid}")
        self.receivers.pop(subscription.sid, None)

    def unsubscribe(self, subscription: Subscription, max_messages: int | None) -> None:
        self.transcript.append(f"unsubscribe {subscription.sid} {max_messages}")
        if max_messages is None:
            self.receivers.pop(subscription.sid, None)
        else:
            subscription.end_at(max_messages)

    def _overflowed(self, error: Exception) -> None:
        self.transcript.append(f"overflow {error}")

    def _handled(self, counters: RouteCounters, seconds: float, count: int) -> None:
        self.transcript.append(f"handled {counters.route} {seconds} {count}")

    def _publish(
        self, subject: Any, payload: Any, reply: Any = None, headers: Any = None, **options: Any
    ) -> Deferred[Any]:
        self.transcript.append(f"published {subject!r} {payload!r} {reply!r} {headers!r} {options}")
        return succeed(None)

    def _call_in_thread(self, function: Any, event: Event) -> Deferred[Any]:
        ended: Deferred[Any] = Deferred()
        self.in_threads.append((function, event, ended))
        return ended

    # -- routes -------------------------------------------------------------------------------------------------------

    def _route(self, event: Event, note: str = "") -> Any:
        self.transcript.append(
            f"{note}{event.name} {event.queue_group} {event.subject} {event.data!r} {event.header_block!r} "
            f"{event.reply!r} {event.attempts} {event.counters.routed} {event.counters.succeeded}"
        )
        *actions, ending = event.data.decode().split(" / ")
        for action in actions:
            self._act(action, event.address.sid - 1, event)
        if ending in _ERRORS:
            raise _ERRORS[ending](ending)
        if ending == "fired":
            return succeed("x")
        if ending == "failed":
            return fail(ZeroDivisionError(event.subject))
        if ending in ("wait", "own wait"):
            self.waiting.append(Deferred() if ending == "wait" else OwnDeferred())
            return self.waiting[-1].addBoth(self._ended, event)
        return _VALUES.get(ending)

    def _ended(self, result: Any, event: Event) -> Any:
        self.transcript.append(
            f"ended {event.name} {event.subject} {event.data!r} {event.header_block!r} {event.reply!r}"
        )
        return result

    def _elsewhere(self, event: Event) -> Any:
        event.context = attrs.evolve(self._context_of(event), queue_group="elsewhere")
        return self._route(event, "elsewhere ")

    def _context_of(self, event: Event) -> Any:
        from natsroute.routes.event import EventContext

        return EventContext(self._publish, self.clock, RouteCounters("elsewhere"))

    def _act(self, action: str, index: int, event: Event | None = None) -> None:
        index %= 2
        subscription, runner = self.subscriptions[index], self.runners[index]
        action, _, argument = action.partition(" ")
        if action == "hold":
            self.holds[index] += 1
            subscription.hold()
        elif action == "release":
            if self.holds[index]:
                self.holds[index] -= 1
                subscription.release()
        elif action == "unsubscribe":
            subscription.unsubscribe()
        elif action == "end":
            subscription.unsubscribe(subscription.received + int(argument))
        elif action == "take":
            self.transcript.append(f"took {[msg.data for msg in subscription.take_pending()]}")
        elif action == "elsewhere":
            subscription.hand_to(self._elsewhere, {})
        elif action == "back":
            runner.receive_from(subscription.hand_to)
        elif action in ("only", "all"):
            subscription.hand_to(subscription.on_msg, subscription.ways, action == "only")
        elif action == "again":
            if subscription.received < 300:
                subscription.deliver(Event(Address("a.b", index + 1), b"nothing"))
        else:
            self._act_further(action, index, event)

    def _act_further(self, action: str, index: int, event: Event | None) -> None:
        runner = self.runners[index]
        if action == "forget":
            runner._forget_subjects()
        elif action == "over":
            find = self._find()
            self.versions += 1
            runner.go_over(find, lambda name: find(name.partition(":")[2]), None, self.versions)
        elif action == "replace":
            for calls in runner._calls.values():
                calls.function = lambda event: self._route(event, "replaced ")
        elif action == "drop":  # nobody but the parser has it now
            context = runner._context
            self.runners[index] = runner = Runner(self._find(), context, subject="new", queue_group=None)
            old = self.subscriptions[index]
            self.subscriptions[index] = new = Subscription(
                self, old.sid, "new", None, runner.on_msg, old._limits, self._overflowed
            )  # fmt: skip
            self.holds[index] = 0
            runner.receive_from(new.hand_to)
            self.receivers[new.sid] = new.deliver
        elif action == "deaf":
            self.receivers.clear()
        elif action == "headers" and event is not None:
            try:
                self.transcript.append(f"headers {dict(event.headers)}")
            except DecodeError as error:
                self.transcript.append(f"headers {error}")
        elif action == "publish" and event is not None:
            event.publish("out", event.data)
            event.nats_publish("out", event.data, event.reply, headers={"A": "b"})
            event.publish(payload=event.data, subject="out", policy="drop")
        elif action == "stop" and not self.in_flight.stopped:
            self.in_flight.stop()
        elif action == "start" and self.in_flight.stopped:
            self.in_flight.start()

    # -- steps --------------------------------------------------------------------------------------------------------

    def do(self, action: str, index: int) -> None:
        self._act(action, index)

    def feed(self, data: bytes) -> None:
        parser = self.parser
        try:
            for frame in parser.feed(data):
                self.transcript.append(f"yielded {frame.address.subject} {frame.data!r}")  # type: ignore[union-attr]
        except ProtocolError as error:
            self.transcript.append(repr(error))
            self.parser = self._new_parser()
        except Exception as error:
            self.transcript.append(f"raised {error!r}")
        self.transcript.append(f"buffered {parser.buffered}")

    def fire(self, number: int, kind: str) -> None:
        if not self.waiting:
            return
        waiting = self.waiting.pop(number % len(self.waiting))
        if waiting.called:
            return
        if kind == "ok":
            waiting.callback("later")
        elif kind == "error":
            waiting.errback(Failure(ZeroDivisionError("later")))
        else:
            waiting.cancel()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def thread(self, number: int) -> None:
        if not self.in_threads:
            return
        function, event, ended = self.in_threads.pop(number % len(self.in_threads))
        if ended.called:
            return
        try:
            ended.callback(function(event))
        except BaseException:
            ended.errback(Failure())

    def state(self) -> None:
        """Write down what can be seen."""
        for subscription, runner in zip(self.subscriptions, self.runners):
            routes = [
                (one.route, *(getattr(one, name) for name in RouteCounters.NAMES)) for one in runner.route_counters
            ]
            self.transcript.append(
                f"{subscription.received} {subscription.dropped} {subscription.pending} {subscription._pending_bytes} "
                f"{subscription.left} {subscription.is_direct} {subscription._holds} {runner.unrouted} {routes} "
                f"{sorted(runner._ways)}"
            )
        self.transcript.append(
            f"{len(self.in_flight.running)} {len(self.in_flight.waiting)} {sorted(self.receivers)} {len(self.waiting)}"
        )


def perform(steps: list[tuple[Any, ...]]) -> list[str]:
    """See :class:`tests.fuzz.compared.Scenario`. At the end, all that waits may go on."""
    performance = _Performance(*steps[0][1:])
    for name, *arguments in steps[1:]:
        performance.transcript.append(f"{name} {arguments}")
        getattr(performance, name)(*arguments)
        performance.state()
    performance.transcript.append("end")
    if performance.in_flight.stopped:
        performance.in_flight.start()
    for _ in range(100):
        for index in (0, 1):
            while performance.holds[index]:
                performance.do("release", index)
        performance.fire(0, "ok")
        performance.thread(0)
        performance.advance(1)
    performance.in_flight.stop()
    performance.state()
    return performance.transcript
