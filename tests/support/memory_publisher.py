"""A publisher in memory: the test decides when its connections answer and when its thread pool works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ConnectionLostError, ServerError
from natsroute.publishing.options import PublishLimits
from natsroute.publishing.publisher import Publisher
from natsroute.wire.frames import Info
from natsroute.wire.server_errors import server_error


class MemoryLink:
    """A link that records what is written; the test fires the Deferreds in ``pings``."""

    def __init__(self) -> None:
        self.info: Info | None = None
        self.written: list[bytes] = []
        self.pings: list[Deferred[None]] = []

    @property
    def max_payload(self) -> int | None:
        return None if self.info is None else self.info.max_payload

    def write_and_ping(self, data: bytes, messages: int) -> Deferred[None]:
        self.written.append(data)
        self.pings.append(Deferred())
        return self.pings[-1]

    def write(self, data: bytes, messages: int, *, now: bool = False) -> bool:
        if self.info is not None:
            self.written.append(data)
        return self.info is not None

    def sent(self) -> bytes:
        """What was written since the last call of this method."""
        data = b"".join(self.written)
        self.written.clear()
        return data


class MemoryPool:
    """A thread pool that works when the test calls :meth:`run_next`, in the thread of the test."""

    def __init__(self) -> None:
        self.work: list[tuple[Callable[[], None], Deferred[None]]] = []

    def __call__(self, function: Callable[[], None]) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        self.work.append((function, done))
        return done

    def run_next(self) -> None:
        """Run the oldest function."""
        function, done = self.work.pop(0)
        maybeDeferred(function).chainDeferred(done)


class PublisherTestCase(SynchronousTestCase):
    """
    A publisher whose workers are connected; :attr:`worker` and :attr:`link` are the first.

    :ivar confirmed: what was confirmed: the number of the worker, seconds since the publishing, and messages.
    """

    workers = 1
    limits = PublishLimits(resend_window=0.0)

    def setUp(self) -> None:
        self.clock = Clock()
        self.pool = MemoryPool()
        self.links = [MemoryLink() for _ in range(self.workers)]
        self.link = self.links[0]
        self.from_thread: list[tuple[Any, ...]] = []
        self.marks: list[str] = []
        self.confirmed: list[tuple[int, float, int]] = []
        self.publisher = self.new_publisher()
        self.publisher.start()
        self.worker = self.publisher.workers[0]
        for index in range(self.workers):
            self.connect(index)

    def new_publisher(self, *, message_ids: Iterator[str] | None = None) -> Publisher:
        """A publisher that is not started."""
        return Publisher(
            self.links,
            self.clock,
            run_in_pool=self.pool,
            call_from_thread=lambda *call: self.from_thread.append(call),
            limits=self.limits,
            on_high_water=lambda: self.marks.append("high"),
            on_low_water=lambda: self.marks.append("low"),
            on_confirmed=lambda *one: self.confirmed.append(one),
            message_ids=message_ids,
        )

    def refuse(self, text: str) -> ServerError:
        """The server sends an error to the first worker."""
        error = server_error(text)
        self.worker.refused(error)
        return error

    def connect(self, index: int = 0, max_payload: int = 1024, *, headers: bool = True, server_id: str = "") -> None:
        self.links[index].info = Info(server_id=server_id, max_payload=max_payload, headers=headers)
        self.publisher.workers[index].connected()

    def disconnect(self, reason: Exception | None = ConnectionLostError("cut"), *, cleanly: bool = False) -> None:
        self.link.info = None
        pings, self.link.pings = self.link.pings, []
        for ping in pings:
            ping.errback(ConnectionLostError("cut"))
        self.worker.disconnected(reason, cleanly=cleanly)

    def turn(self) -> bytes:
        """Run one turn of the reactor; gives what the first worker has written."""
        self.clock.advance(0)
        return self.link.sent()

    def pong(self) -> None:
        """Confirm the oldest batch of the first worker."""
        self.link.pings.pop(0).callback(None)

    def counts(self) -> tuple[int, int, int, int]:
        """Messages published, confirmed, sent again and failed; the account must add up."""
        account = self.publisher.account()
        self.assertEqual(account.published, account.confirmed + account.failed + account.dropped + account.in_progress)
        return account.published, account.confirmed, account.resent, account.failed
