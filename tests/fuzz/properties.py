"""
What must hold whatever comes in: a property for each door. Each raises where it does not hold.

They know no fuzzer: atheris feeds them, so does the corpus, and so do the unit tests with what hypothesis thinks of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zlib import crc32

from natsroute.client.servers import parse_url
from natsroute.errors import (
    DecodeError,
    HeaderError,
    PermissionsError,
    ProtocolError,
    SettingError,
    SubjectError,
    server_error,
)
from natsroute.wire.encoder import encode_pub
from natsroute.wire.frames import Frame, Info, Msg
from natsroute.wire.headers import encode_headers, parse_headers
from natsroute.wire.parser import ERR_LINE_TIMES, MAX_INFO_LINE, MESSAGE_LINE_ROOM, Parser
from natsroute.wire.subjects import check_pattern, check_queue_group, check_subject

#: The limits of the parser, so low that short inputs come to them.
MAX_CONTROL_LINE, MAX_PAYLOAD = 200, 256


def any_cut_reads_the_same(stream: bytes) -> None:
    """
    However a stream is cut, the same frames come out, and nothing but ProtocolError is raised; what is kept is bounded.
    Nor does it matter what was remembered of earlier lines.
    """
    whole, in_pieces = _read(stream, [len(stream)]), _read(stream, cuts(stream))
    assert whole == in_pieces, f"whole: {whole}\nin pieces: {in_pieces}"
    line_by_line = _read(stream, line_ends(stream), forgetful=True)
    assert whole == line_by_line, f"remembering: {whole}\nforgetful: {line_by_line}"


def cuts(stream: bytes) -> list[int]:
    """Where to cut a stream: it follows from its bytes, and any change of them makes it all others."""
    chance = crc32(stream)
    longest = 1 << chance % 11
    places, place = [], 0
    while place < len(stream):
        chance = (chance * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
        place = min(place + 1 + (chance >> 16) % longest, len(stream))
        places.append(place)
    return places


def line_ends(stream: bytes) -> list[int]:
    """Where to cut a stream so that no piece has more than one line in it."""
    return [*(match.end() for match in re.finditer(b"\n", stream)), len(stream)]


def _read(stream: bytes, places: list[int], *, forgetful: bool = False) -> list[Any]:
    """
    The frames of a stream as values that can be compared, and behind them the error or how much is kept.

    :param forgetful: whether the parser forgets what it has remembered before each piece.
    """
    parser = Parser(max_control_line=MAX_CONTROL_LINE)
    parser.max_payload = MAX_PAYLOAD
    frames: list[Any] = []
    start = 0
    try:
        for stop in places:
            if forgetful:
                parser.max_payload = parser.max_payload
            for frame in parser.feed(stream[start:stop]):
                if isinstance(frame, Info):
                    parser.max_payload = frame.max_payload
                frames.append(_seen(frame))
            kept = parser.buffered
            assert kept <= _most_kept(stream[stop - kept : stop], parser.max_payload), f"{kept} bytes are kept"
            start = stop
    except ProtocolError as error:
        ending = error
    else:
        return [*frames, parser.buffered]
    assert len(ending.excerpt) <= ProtocolError.MAX_EXCERPT, ending
    return [*frames, ProtocolError]


def _seen(frame: Frame) -> Any:
    if not isinstance(frame, Msg):
        return frame
    try:
        headers = frame.headers
    except DecodeError:
        read_headers = None
    else:
        read_headers = (*headers.items(), headers.status, headers.description)
    return (frame.subject, frame.address.sid, frame.reply, frame.header_block, read_headers, frame.data)


def _most_kept(unfinished: bytes, max_payload: int) -> int:
    """What the parser's own documentation allows for a frame that is not finished: all but its last byte."""
    operation = unfinished[:4].upper()
    if operation == b"INFO":
        return MAX_INFO_LINE + 1
    if operation == b"-ERR":
        return MAX_CONTROL_LINE * ERR_LINE_TIMES + 1
    if operation[:3] == b"MSG" or operation == b"HMSG":
        return MAX_CONTROL_LINE + MESSAGE_LINE_ROOM + 2 + 2 * max_payload + 1
    return MAX_CONTROL_LINE + 1


def headers_survive(block: bytes) -> None:
    """A header block is none, or what is read from it can be written and read again."""
    try:
        headers = parse_headers(block)
    except DecodeError:
        return
    values = {name: headers.get_all(name) for name in headers}
    again = parse_headers(encode_headers(values))
    assert {name: again.get_all(name) for name in again} == values, block
    assert list(again) == list(headers), block


def names_are_one_word(name: str) -> None:
    """What passes as a subject, a pattern or a queue group is one word of one line, its tokens what they may be."""
    for check in (check_subject, check_pattern, check_queue_group):
        try:
            check(name)
        except SubjectError:
            continue
        word = _bytes(name)
        assert word.split() == [word], name
        assert not set(word) & {*range(0x21), 0x7F}, name
        if check is not check_queue_group:
            assert "" not in name.split("."), name
        if check is check_subject:
            assert not {"*", ">"} & set(name.split(".")), name
        if check is check_pattern:
            assert ">" not in name.split(".")[:-1], name


def what_is_published_arrives(
    subject: str, reply: str | None, headers: Mapping[str, Sequence[str]], payload: bytes
) -> None:
    """A message is refused, or it is read as what it was when a server has passed it on, whatever follows it."""
    try:
        block = encode_headers(headers) if headers else b""
        command = encode_pub(subject, payload, reply, block)
    except (HeaderError, SubjectError):
        return
    [frame, *others] = Parser().feed(passed_on(command, sid=7) + b"PING\r\n")
    assert isinstance(frame, Msg), frame
    assert len(others) == 1, others
    assert (frame.address.sid, frame.data) == (7, payload), frame
    # As bytes, for surrogate escapes side by side may be UTF-8 together.
    assert list(map(_bytes, (frame.subject, frame.reply or ""))) == list(map(_bytes, (subject, reply or ""))), frame
    sent = {name: [_bytes(value.strip(" \t")) for value in values] for name, values in headers.items() if values}
    arrived = {name: list(map(_bytes, frame.headers.get_all(name))) for name in frame.headers}
    assert arrived == sent, frame.header_block


def passed_on(command: bytes, sid: int) -> bytes:
    """The MSG or HMSG that a server makes of a PUB or HPUB, for a subscription with that sid."""
    line, line_end, body = command.partition(b"\r\n")
    operation, subject, *words = line.split(b" ")
    return b" ".join([operation.replace(b"PUB", b"MSG"), subject, b"%d" % sid, *words]) + line_end + body


def errors_keep_their_words(text: str) -> None:
    """An ``-ERR`` becomes an error with the server's words, and a refused name is one that can be written."""
    error = server_error(text)
    assert (error.text, str(error)) == (text, text)
    if isinstance(error, PermissionsError):
        for name in (error.subject, error.queue_group or ""):
            _bytes(name)


def urls_are_read_as_they_are_shown(url: str) -> None:
    """A URL is refused with a SettingError, or is shown in one line, without credentials, that is read as the same."""
    try:
        server = parse_url(url)
    except SettingError:
        return
    shown = str(server)
    assert shown.isprintable(), shown
    again = parse_url(shown)
    assert (again.place, again.scheme, again.credentials) == (server.place, server.scheme, None), shown


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _publish(data: bytes) -> None:
    """Subject, reply subject, a header's name and value, and the payload, with a NUL behind each but the last."""
    *names, payload = (data + b"\0" * max(0, 4 - data.count(b"\0"))).split(b"\0", 4)
    subject, reply, name, value = map(_text, names)
    what_is_published_arrives(subject, reply or None, {name: [value]} if name else {}, payload)


#: The properties by the name of their corpus, each for any bytes.
PROPERTIES: dict[str, Callable[[bytes], None]] = {
    "parser": any_cut_reads_the_same,
    "headers": headers_survive,
    "subjects": lambda data: names_are_one_word(_text(data)),
    "encoder": _publish,
    "errors": lambda data: errors_keep_their_words(data.decode("utf-8", "replace")),
    "urls": lambda data: urls_are_read_as_they_are_shown(_text(data)),
}
