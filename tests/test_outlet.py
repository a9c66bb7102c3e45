"""natsroute.publishing.outlet: message ids and targets; tests.test_publisher has the rest."""

from __future__ import annotations

import gc
from threading import Thread

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import NoReplySubjectError
from natsroute.publishing import outlet as outlet_module
from natsroute.publishing.outlet import unique_ids
from tests.support.log_recorder import LogRecorder
from tests.support.memory_publisher import PublisherTestCase


class MessageIdTests(SynchronousTestCase):
    """Ids that nobody else has."""

    def test_unique(self) -> None:
        """In one process, and among processes."""
        ids = unique_ids()
        some = [next(ids) for _ in range(20)] + [next(unique_ids())]
        self.assertEqual(len(set(some)), 21)
        self.assertEqual({len(one) for one in some}, {17, 18})

    def test_threads(self) -> None:
        """Several threads may take ids at the same time."""
        ids = unique_ids()
        taken: list[str] = []
        threads = [Thread(target=lambda: taken.extend(next(ids) for _ in range(5000))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(set(taken)), 20_000)


class RejectTests(PublisherTestCase):
    """Messages that have no subject."""

    def test_counted_and_logged_once(self) -> None:
        """Most routes drop the Deferred of an answer. There is one line, not a traceback for each."""
        log = LogRecorder(self)
        reject = self.publisher.reject_for("nats:a")
        for number in range(3):
            reject(NoReplySubjectError(f"the message to a.{number} has no reply subject"))
        gc.collect()
        self.assertEqual(
            log.lines(),
            ["Not published: message to (no subject) from nats:a: the message to a.0 has no reply subject"],
        )
        account = self.publisher.account()
        self.assertEqual((account.published, account.failed), (3, 3))

    def test_a_handled_failure(self) -> None:
        log = LogRecorder(self)
        rejected = self.publisher.reject_for("nats:a")(NoReplySubjectError("x"))
        self.failureResultOf(rejected, NoReplySubjectError)
        del rejected
        gc.collect()
        self.assertEqual(log.lines(), [])

    def test_from_a_thread(self) -> None:
        """The Deferred fails in the reactor thread."""
        rejected: list[Deferred[None]] = []
        reject = self.publisher.reject_for("nats:a")
        thread = Thread(target=lambda: rejected.append(reject(NoReplySubjectError("x"))))
        thread.start()
        thread.join()
        self.assertNoResult(rejected[0])
        self.assertEqual(self.publisher.account().failed, 0)
        for function, *arguments in self.from_thread:
            function(*arguments)
        self.failureResultOf(rejected[0], NoReplySubjectError)
        self.assertEqual(self.publisher.account().failed, 1)


class IdsOfAllMessagesTests(PublisherTestCase):
    """A publisher that gives each message an id."""

    def test_ids(self) -> None:
        """A message that has an id keeps it, and so do the headers of others."""
        publisher = self.new_publisher(message_ids=iter(["x1", "x2", "x3", "x4"]))
        publisher.start()
        publisher.workers[0].connected()
        publisher.publish("a", b"")
        publisher.publish("a", b"", headers={"N": "v"})
        publisher.publish("a", b"", msg_id="own")
        publisher.publish("a", b"", headers={"Nats-Msg-Id": "mine"})
        lines = [line for line in self.turn().split(b"\r\n") if b":" in line]
        ids = [b"Nats-Msg-Id: x1", b"Nats-Msg-Id: x2", b"N: v", b"Nats-Msg-Id: own", b"Nats-Msg-Id: mine"]
        self.assertEqual(lines, ids)


class TargetTests(PublisherTestCase):
    """The subjects that an outlet remembers."""

    def test_bounded(self) -> None:
        self.patch(outlet_module, "_MAX_TARGETS", 3)
        outlet = self.publisher._outlets[""]
        sizes = []
        for number in range(7):
            self.publisher.publish(f"s{number % 4}", b"")
            sizes.append(len(outlet._targets))
        self.assertEqual(sizes, [1, 2, 3, 1, 2, 3, 1])
        self.assertEqual(self.turn().count(b"PUB"), 7)
