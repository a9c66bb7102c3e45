"""natsroute.daemon.operations.admin_subject"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from natsroute.admin.methods import Methods
from natsroute.admin.rpc import Code, Request
from natsroute.admin.server import MAX_REQUEST
from natsroute.daemon.operations.admin_subject import AdminSubject
from natsroute.errors import ConnectionLostError
from natsroute.wire.frames import Address, Msg


class MemoryConnection:
    """
    A connection that keeps what is written to it.

    :ivar written: commands.
    """

    max_payload: int | None = 1000

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_lost = False

    def subscribe(self, subject: str, on_msg: Any, *, limits: Any) -> None:
        """Keep the receiver."""
        self.subject, self.on_msg = subject, on_msg
        self.policy = limits.policy

    def write_and_ping(self, data: bytes, messages: int) -> Deferred[None]:
        """Keep the command."""
        if self.is_lost:
            return fail(ConnectionLostError("lost"))
        self.written.append(data)
        return Deferred()

    def stopService(self) -> Deferred[None]:
        """Stop, later."""
        self.stopped: Deferred[None] = Deferred()
        return self.stopped


class AdminSubjectTests(SynchronousTestCase):
    """Requests and answers."""

    def setUp(self) -> None:
        self.connection: Any = MemoryConnection()
        self.methods = Methods()
        self.methods.add("ready", lambda params: True)
        self.methods.add("stop", lambda params: "stopped", changes=True)

    def start(self, *also: str) -> AdminSubject:
        """Start it."""
        one = AdminSubject(self.connection, "admin.sbc", self.methods, also)
        one.startService()
        return one

    def request(self, data: bytes, reply: bytes | None = b"_INBOX.1") -> Any:
        """Receive a request."""
        return self.connection.on_msg(Msg(Address("admin.sbc", 1), data, b"", reply))

    def answers(self) -> list[Any]:
        """The answers so far: results, or codes of errors."""
        found = []
        for command in self.connection.written:
            line, payload = command[:-2].split(b"\r\n")
            self.assertEqual(line, b"PUB _INBOX.1 %d" % len(payload))
            answer = json.loads(payload)
            found.append(answer["result"] if "result" in answer else answer["error"]["code"])
        return found

    def test_request(self) -> None:
        self.start()
        self.assertEqual((self.connection.subject, self.connection.policy), ("admin.sbc", "drop_newest"))
        self.request(Request("ready", {}, 1).line())
        self.request(b"{")
        self.assertEqual(self.answers(), [True, Code.PARSE_ERROR])

    def test_one_after_the_other(self) -> None:
        """The subscription waits for the answer."""
        later: Deferred[int] = Deferred()
        self.methods.add("later", lambda params: later)
        self.start()
        answered = self.request(Request("later", {}, 1).line())
        self.assertNoResult(answered)
        later.callback(5)
        self.successResultOf(answered)
        self.assertEqual(self.answers(), [5])

    def test_methods_that_change_something(self) -> None:
        """They are not offered, unless they are named."""
        self.start()
        self.request(Request("stop", {}, 1).line())
        self.start("stop")
        self.request(Request("stop", {}, 1).line())
        self.assertEqual(self.answers(), [Code.UNKNOWN_METHOD, "stopped"])

    def test_no_reply_subject(self) -> None:
        """Nothing is called, and nothing is sent, for a message that is no request."""
        self.methods.add("stop", lambda params: self.fail("called"), changes=True)
        self.start("stop")
        self.request(Request("stop", {}, 1).line(), None)
        self.assertEqual(self.connection.written, [])

    def test_notification(self) -> None:
        self.start()
        self.request(Request("ready", {}, wants_answer=False).line())
        self.assertEqual(self.connection.written, [])

    def test_long_request(self) -> None:
        self.start()
        self.request(b"[" * (MAX_REQUEST + 1))
        self.assertEqual(self.answers(), [Code.FAILED])

    def test_long_answer(self) -> None:
        """What the server would refuse is not sent; the caller learns why."""
        self.methods.add("long", lambda params: "x" * 1000)
        self.start()
        self.request(Request("long", {}, 1).line())
        self.assertEqual(self.answers(), [Code.FAILED])
        self.assertIn(b"max_payload is 1000", self.connection.written[0])

    def test_malformed_reply_subject(self) -> None:
        """The server passes on what other clients send."""
        self.start()
        for reply in (b"a.*", b"a..b", b"x" * 5000):
            self.request(Request("ready", {}, 1).line(), reply)
        self.assertEqual(self.connection.written, [])

    def test_lost_connection(self) -> None:
        """Before the answer, or while it is on its way."""
        self.start()
        self.connection.is_lost = True
        self.request(Request("ready", {}, 1).line())
        self.connection.max_payload = None
        self.request(Request("ready", {}, 1).line())
        self.assertEqual(self.connection.written, [])

    def test_stop(self) -> None:
        stopped = self.start().stopService()
        self.assertNoResult(stopped)
        self.connection.stopped.callback(None)
        self.successResultOf(stopped)
