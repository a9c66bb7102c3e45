"""Bytes of a server, valid and mutated, cut anywhere: what the parser makes of them."""

from __future__ import annotations

from random import Random
from typing import Any

from natsroute.errors import DecodeError, ProtocolError
from natsroute.routes.event import Event
from natsroute.wire.frames import Msg
from natsroute.wire.parser import Parser

_SUBJECTS = (
    b"a", b"a.b", b"orders.eu.1", b"%", b"a%d", "grüße.ö".encode(), b"\xff\xfe", b"a\x0bb", b"a\x00b", b"MSG",
    b"_INBOX.q.1",
    b"s" * 180, b"t" * 240, b"u" * 250, b"v" * 300, b"a..b", b".", b">", b"*",
)  # fmt: skip
_SIDS = (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"9", b"12", b"007", b"9223372036854775807", b"9999999999999999999")
_REPLIES = (b"r", b"_INBOX.abc.1", b"_INBOX.abc.2", b"$JS.ACK.s.c.1.2.3.4.5", b"\xff", b"r" * 200, b"1", b"12", b"0")
_BLOCKS = (
    b"NATS/1.0\r\n\r\n",
    b"NATS/1.0\r\nA: b\r\n\r\n",
    b"NATS/1.0 503\r\n\r\n",
    b"NATS/1.0 100 Idle Heartbeat\r\nA: 1\r\nA: 2\r\n\r\n",
    b"NATS/1.0\r\nno colon\r\n\r\n",
    b"NATS/1.0\n\n",
    b"",
    b"MSG a 1 0\r\n\r\n",
    b"NATS/1.0\r\nA: \xff\r\n\r\n",
)
_PAYLOADS = (
    b"",
    b"x",
    b"hello",
    b"\r\n",
    b"MSG a 1 5\r\nhello\r\n",
    b"x" * 100,
    b"y" * 300,
    b"\n",
    b"0" * 9,
    b"z" * 1000,
)
_OTHERS = (
    b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b"-ERR 'Slow Consumer'\r\n", b"ping\r\n", b"PING \r\n", b" PING\r\n", b"\r\n",
    b'INFO {"server_id":"a","max_payload":1048576}\r\n', b"INFO {}\r\n", b"INFO x\r\n", b"-ERR\r\n", b"PING\n",
    b"+OK x\r\n",
    b"MSG\r\n", b"MSG a 1\r\n", b"MSG a 1 -1\r\n", b"MSG a 1 +1\r\n", b"MSG a 1 1_0\r\n", b"HMSG a 1 5 4\r\n",
    b"MSG a 1 99999999999999999999\r\n", b"MSG a 1 2 3 4\r\n", b"HMSG a 1 1\r\n", b"MSG \xd9\xa1 1 0\r\n\r\n",
    b"MSG a 1 \xd9\xa1\r\n", b"MSG a \xc2\xb2 0\r\n\r\n", b"MSG  1 0\r\n\r\n", b"MSG a 1  0\r\n\r\n",
    b"MSGa 1 0\r\n\r\n",
    b"HMSG a 1 0 0\r\n\r\n", b"MSG a 1 0\r\n\r", b"MSG a 1 0\r\r\n\r\n", b"MSG a 1 0 \r\n\r\n", b" MSG a 1 0\r\n\r\n",
)  # fmt: skip
_BYTES = (
    b"\t",
    b" ",
    b"\r",
    b"\n",
    b"\r\n",
    b"\x00",
    b"\xff",
    b"\x0b",
    b"0",
    b"9",
    b"+",
    b"-",
    b"_",
    b"M",
    b"h",
    b"1 ",
    b"\x85",
)

#: What the receivers of some messages do besides keeping them.
_HABITS = (
    "keep", "forget itself", "forget all", "replace", "receive more", "raise", "exit", "parse", "hold", "hold two",
    "mark",
)  # fmt: skip


def _message(random: Random) -> bytes:
    subject, sid, payload = random.choice(_SUBJECTS), random.choice(_SIDS), random.choice(_PAYLOADS)
    reply = random.choice(_REPLIES) + b" " if random.random() < 0.4 else b""
    if random.random() < 0.3:
        block = random.choice(_BLOCKS)
        return b"HMSG %b %b %b%d %d\r\n%b%b\r\n" % (
            subject, sid, reply, len(block), len(block) + len(payload), block, payload,
        )  # fmt: skip
    return b"MSG %b %b %b%d\r\n%b\r\n" % (subject, sid, reply, len(payload), payload)


def _varied(random: Random, message: bytes) -> bytes:
    """A message like another one, with one part of its line changed."""
    line, _, rest = message.partition(b"\r\n")
    words = line.split(b" ")
    if len(words) < 4:
        return message
    change = random.randrange(10)
    if change == 0:
        words[1] = random.choice(_SUBJECTS)
    elif change == 1:
        words[2] = random.choice(_SIDS)
    elif change == 2:
        words[0] = words[0].lower()
    elif change == 3:
        words[-1] = b"0" * random.randrange(1, 20) + words[-1]
    elif change == 4:
        words[-1] = b"%d" % max(0, len(rest) - 2 + random.randrange(-2, 3))
    elif change == 5:
        words.insert(3, random.choice(_REPLIES))
    elif change == 6:
        words[0] = b"HMSG" if words[0] == b"MSG" else b"MSG"
    elif change == 7:
        return b"\t".join(words) + b"\r\n" + rest
    elif change == 8:
        place = random.randrange(1, len(words))
        words[place] = random.choice((b"\t", b" ", b"")) + words[place] + random.choice((b"\t", b" ", b""))
    else:
        words[1] += b"." + b"w" * random.randrange(1, 300)
    return b" ".join(words) + b"\r\n" + rest


def _misleading(random: Random, message: bytes) -> bytes:
    """Messages that are known in all their parts, and not valid together."""
    line, _, rest = message.partition(b"\r\n")
    words = line.split(b" ")
    if len(words) < 4:
        return message
    name = b" ".join(words[1:3])
    kind = random.randrange(4)
    if kind == 3:
        words[1] = random.choice((b"new\tr", b"\tnew", b"_INBOX.a\tr", b"_INBOX.a r", b"new\t"))
        words[0] = random.choice((b"MSG", b"MSG", b"HMSG", b"XMSG"))
        return message + b" ".join(words) + b"\r\n" + rest
    if kind == 0:  # a tab in what looks like the reply subject, or like a part of the subject
        words.insert(random.choice((2, 3)), random.choice((b"r\t", b"\tr", b"r\ts", b"\t")))
        return message + b" ".join(words) + b"\r\n" + rest
    if kind == 1:  # a header block that is longer than its message
        return b"HMSG %b 1 1\r\nx\r\nHMSG %b 2 2\r\nxx\r\nHMSG %b r 2 1\r\nx\r\n" % (name, name, name)
    header_size, length = random.choice(((200, 400), (8, 16), (6, 11), (1, 257)))  # allowed with a header block only
    rest = b"x" * length + b"\r\n"
    return b"HMSG %b %d %d\r\n%bMSG %b %d\r\n%b" % (name, header_size, length, rest, name, length, rest)


def _mutated(random: Random, data: bytes) -> bytes:
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        start = random.randrange(len(data) + 1)
        stop = min(len(data), start + random.choice((0, 1, 1, 2, 8)))
        change = random.randrange(4)
        if change == 0:
            data = data[:start] + random.choice(_BYTES) + data[stop:]
        elif change == 1:
            data = data[:start] + data[stop:]
        elif change == 2:
            data = data[:start] + data[start:stop] * 2 + data[stop:]
        elif data:
            place = random.randrange(len(data))
            data = data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]
    return data


def _many_lines(random: Random) -> bytes:
    """More different lines than are remembered."""
    number = random.choice((1100, 9000))
    return b"".join(b"MSG a.%d 1 1\r\nx\r\n" % one for one in (*range(number), *range(0, number, 3)))


def stream(random: Random, sids: tuple[bytes, ...] = _SIDS) -> list[bytes]:
    """Frames that are valid for the most part, and alike."""
    usual = [_message(random) for _ in range(random.choice((1, 2, 3, 6)))]
    wild = random.choice((0.0, 0.0, 0.05, 0.3))
    frames: list[bytes] = []
    for _ in range(random.choice((3, 10, 30))):
        chance = random.random()
        frame = random.choice(usual)
        if chance < 0.2:
            frame = _varied(random, frame)
        elif chance < 0.25:
            frame = _misleading(random, frame)
        elif chance < 0.3:
            frame = random.choice(_OTHERS[:5])
        if random.random() < wild:
            frame = random.choice((_mutated, _varied, lambda random, frame: random.choice(_OTHERS)))(random, frame)
        frames.append(frame)
    return frames


def cut(random: Random, frames: list[bytes]) -> list[bytes]:
    """The same bytes, in other pieces."""
    kind = random.randrange(4)
    if kind == 0:
        return frames
    data = b"".join(frames)
    longest = random.choice((1, 7, 50, 500, 5000)) if len(data) < 2000 else random.choice((50, 500, 5000))
    pieces = []
    while data:
        size = random.randint(1, longest)
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def generate(random: Random) -> list[tuple[Any, ...]]:
    """See :class:`tests.fuzz.compared.Scenario`."""
    habits = {sid: random.choice(_HABITS) if random.random() < 0.2 else "keep" for sid in (1, 2, 3, 4, 5, 6, 7)}
    limits = random.choice(((200, 256), (4096, 64 * 1024 * 1024), (40, 10), (250, 0)))
    steps: list[tuple[Any, ...]] = [("begin", *limits, random.choice(("Msg", "Event", "Own")), habits)]
    pieces = cut(random, stream(random))
    if random.random() < 0.002:
        pieces.insert(random.randrange(len(pieces) + 1), _many_lines(random))
    for piece in pieces:
        steps.append(("feed", piece))
        if random.random() < 0.05:
            steps.append((random.choice(("forget", "receive")), random.randrange(1, 13)))
    return steps


class Own(Msg):
    """A class of messages with further attributes, in slots and in a dictionary."""

    own = "own"


class Exit(BaseException):
    """What is not an Exception."""


_TYPES: dict[str, type[Msg]] = {"Msg": Msg, "Event": Event, "Own": Own}


class _Performance:
    def __init__(self, max_control_line: int, max_payload: int, type_name: str, habits: dict[int, str]) -> None:
        self.transcript: list[str] = []
        self.receivers: dict[int, Any] = {sid: self.receiver(habit) for sid, habit in habits.items()}
        self.options: dict[str, Any] = {
            "max_control_line": max_control_line,
            "max_inbound_payload": max_payload,
            "message_type": _TYPES[type_name],
            "receivers": self.receivers,
        }
        self.parser = Parser(**self.options)
        self.held: list[Msg] = []  # by receivers; nothing may change them
        self.raised = 0

    def receiver(self, habit: str) -> Any:
        def receive(msg: Msg) -> None:
            self.note(f"received ({habit})", msg)
            sid = msg.address.sid
            if habit == "forget itself":
                del self.receivers[sid]
            elif habit == "forget all":
                self.receivers.clear()
            elif habit == "replace":
                self.receivers[sid] = self.receiver("keep")
            elif habit == "receive more":
                for other in range(1, 13):
                    self.receivers.setdefault(other, self.receiver("keep"))
            elif habit == "hold" or (habit == "hold two" and self.hold_two()):
                self.held.append(msg)
            elif habit == "mark" and isinstance(msg, Event):  # the next message has none of it
                msg.context, msg.attempts, msg._variables = None, 5, [msg.data]  # type: ignore[assignment]
            elif habit in ("raise", "exit"):
                raise ZeroDivisionError(str(sid)) if habit == "raise" else Exit(str(sid))
            elif habit == "parse":
                other_options = {**self.options, "receivers": {1: self.receiver("keep")}}
                for frame in Parser(**other_options).feed(b"MSG a 1 1\r\nx\r\n" * 3 + b"MSG b 2 0\r\n\r\n"):
                    self.note("yielded inside", frame)

        return receive

    def hold_two(self) -> bool:
        del self.held[:-1]
        return True

    def note(self, what: str, frame: Any) -> None:
        if not isinstance(frame, Msg):
            self.transcript.append(f"{what} {frame!r}")
            return
        try:
            headers: Any = (list(frame.headers.items()), frame.headers.status, frame.headers.description)
        except DecodeError as error:
            headers = str(error)
        address = frame.address
        others = [
            getattr(frame, name, "unset") for name in ("context", "attempts", "own") if hasattr(type(frame), name)
        ]
        self.transcript.append(
            f"{what} {type(frame).__name__} {address.subject!r} {address.sid!r} {frame.data!r} {frame.header_block!r} "
            f"{frame.reply_to!r} {headers} {others} {type(address).__name__}"
        )

    def feed(self, data: bytes) -> None:
        parser = self.parser
        try:
            for frame in parser.feed(data):
                self.note("yielded", frame)
        except ProtocolError as error:
            self.transcript.append(f"{error!r} {error.excerpt!r} {parser.buffered}")
            self.parser = Parser(**self.options)
            return
        except (ZeroDivisionError, Exit) as error:
            self.transcript.append(f"raised {error!r} {parser.buffered}")
            self.raised += 1
            if parser.buffered and self.raised < 100:  # the rest follows with what comes next
                self.feed(b"")
            return
        self.transcript.append(f"fed {len(data)}: {parser.buffered} {parser._wanted} {sorted(self.receivers)}")

    def forget(self, sid: int) -> None:
        self.receivers.pop(sid, None)

    def receive(self, sid: int) -> None:
        self.receivers[sid] = self.receiver("keep")


def perform(steps: list[tuple[Any, ...]]) -> list[str]:
    """See :class:`tests.fuzz.compared.Scenario`."""
    performance = _Performance(*steps[0][1:])
    for name, *arguments in steps[1:]:
        getattr(performance, name)(*arguments)
    for msg in performance.held:
        performance.note("held", msg)
    return performance.transcript
