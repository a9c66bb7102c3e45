"""
What must hold for any input, with a property for each part that reads bytes from outside. Each raises if it is broken.

The properties do not depend on a fuzzer. atheris calls them, ``test_corpus`` does, and the unit tests do with inputs of
hypothesis.
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
)
from natsroute.text import printable
from natsroute.wire.encoder import encode_pub
from natsroute.wire.frames import Frame, Msg
from natsroute.wire.headers import encode_headers, parse_headers
from natsroute.wire.parser import ERR_LINE_FACTOR, MAX_INFO_LINE, MESSAGE_LINE_ALLOWANCE, Parser
from natsroute.wire.server_errors import server_error
from natsroute.wire.subjects import check_pattern, check_queue_group, check_subject
from tests.support.frame_parser import FrameParser

#: The limits of the parser, so low that short inputs reach them.
MAX_CONTROL_LINE, MAX_PAYLOAD = 200, 256


def any_cut_reads_the_same(stream: bytes) -> None:
    """
    However a stream is cut, the parser reads the same frames, raises nothing but ProtocolError, and keeps no more than
    it may. Neither what it remembers of earlier lines nor who gets the messages makes a difference.
    """
    whole, in_pieces = _read(stream, [len(stream)]), _read(stream, cuts(stream))
    assert whole == in_pieces, f"whole: {whole}\nin pieces: {in_pieces}"
    line_by_line = _read(stream, line_ends(stream), forgetful=True)
    assert whole == line_by_line, f"remembering: {whole}\nforgetful: {line_by_line}"
    received = _read(stream, cuts(stream), new_parser=FrameParser)
    assert whole == received, f"whole: {whole}\nwith receivers: {received}"


def cuts(stream: bytes) -> list[int]:
    """The positions at which to cut a stream. They depend on its bytes, and a change of any byte changes them all."""
    chance = crc32(stream)
    longest = 1 << chance % 11
    positions, position = [], 0
    while position < len(stream):
        chance = (chance * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
        position = min(position + 1 + (chance >> 16) % longest, len(stream))
        positions.append(position)
    return positions


def line_ends(stream: bytes) -> list[int]:
    """The positions at which to cut a stream so that no piece has more than one line in it."""
    return [*(match.end() for match in re.finditer(b"\n", stream)), len(stream)]


def _read(
    stream: bytes, positions: list[int], *, forgetful: bool = False, new_parser: Callable[..., Parser] | None = None
) -> list[Any]:
    """
    The frames of a stream as values that can be compared, followed by the error or the number of bytes that are kept.

    :param forgetful: whether the parser forgets before each piece what it remembers of earlier lines.
    """
    parser = (new_parser or Parser)(max_control_line=MAX_CONTROL_LINE, max_inbound_payload=MAX_PAYLOAD)
    frames: list[Any] = []
    start = 0
    try:
        for stop in positions:
            if forgetful:
                parser._reader = parser._new_reader()
            frames += map(_seen, parser.feed(stream[start:stop]))
            kept = parser.buffered
            assert kept <= _most_kept(stream[stop - kept : stop], MAX_PAYLOAD), f"{kept} bytes are kept"
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
    """What the parser's documentation allows for an unfinished frame: all of it but the last byte."""
    operation = unfinished[:4].upper()
    if operation == b"INFO":
        return MAX_INFO_LINE + 1
    if operation == b"-ERR":
        return MAX_CONTROL_LINE * ERR_LINE_FACTOR + 1
    if operation[:3] == b"MSG" or operation == b"HMSG":
        return MAX_CONTROL_LINE + MESSAGE_LINE_ALLOWANCE + 2 + 2 * max_payload + 1
    return MAX_CONTROL_LINE + 1


def headers_survive(block: bytes) -> None:
    """A header block is refused, or what is read from it can be written and read again."""
    try:
        headers = parse_headers(block)
    except DecodeError:
        return
    values = {name: headers.get_all(name) for name in headers}
    again = parse_headers(encode_headers(values))
    assert {name: again.get_all(name) for name in again} == values, block
    assert list(again) == list(headers), block


def names_are_one_word(name: str) -> None:
    """An accepted subject, pattern or queue group is one word of one line, with valid tokens."""
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
    """A message is refused, or it is read unchanged after a server has passed it on, whatever follows it."""
    try:
        block = encode_headers(headers) if headers else b""
        command = encode_pub(subject, payload, reply, block)
    except (HeaderError, SubjectError):
        return
    [frame, *others] = Parser().feed(passed_on(command, sid=7) + b"PING\r\n")
    assert isinstance(frame, Msg), frame
    assert len(others) == 1, others
    assert (frame.address.sid, frame.data) == (7, payload), frame
    # Compared as bytes, since surrogate escapes side by side may be UTF-8 together.
    assert list(map(_bytes, (frame.subject, frame.reply or ""))) == list(map(_bytes, (subject, reply or ""))), frame
    sent = {name: [_bytes(value.strip(" \t")) for value in values] for name, values in headers.items() if values}
    arrived = {name: list(map(_bytes, frame.headers.get_all(name))) for name in frame.headers}
    assert arrived == sent, frame.header_block


def passed_on(command: bytes, sid: int) -> bytes:
    """The MSG or HMSG that a server makes of a PUB or HPUB for the subscription with that sid."""
    line, line_end, body = command.partition(b"\r\n")
    operation, subject, *words = line.split(b" ")
    return b" ".join([operation.replace(b"PUB", b"MSG"), subject, b"%d" % sid, *words]) + line_end + body


def errors_keep_their_words(text: str) -> None:
    """An ``-ERR`` becomes an error with the text of the server. A refused name in it can be encoded."""
    error = server_error(text)
    assert (error.text, str(error)) == (text, printable(text))
    if isinstance(error, PermissionsError):
        for name in (error.subject, error.queue_group or ""):
            _bytes(name)


def urls_are_read_as_they_are_shown(url: str) -> None:
    """A URL is refused with a SettingError, or shown as one line without credentials that is read as the same URL."""
    try:
        server = parse_url(url)
    except SettingError:
        return
    shown = str(server)
    assert shown.isprintable(), shown
    again = parse_url(shown)
    assert (again.address, again.scheme, again.credentials) == (server.address, server.scheme, None), shown


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _publish(data: bytes) -> None:
    """The data is subject, reply subject, a header's name and value, and the payload, separated by NUL."""
    *names, payload = (data + b"\0" * max(0, 4 - data.count(b"\0"))).split(b"\0", 4)
    subject, reply, name, value = map(_text, names)
    what_is_published_arrives(subject, reply or None, {name: [value]} if name else {}, payload)


#: The properties by the name of their corpus. Each takes any bytes.
PROPERTIES: dict[str, Callable[[bytes], None]] = {
    "parser": any_cut_reads_the_same,
    "headers": headers_survive,
    "subjects": lambda data: names_are_one_word(_text(data)),
    "encoder": _publish,
    "errors": lambda data: errors_keep_their_words(data.decode("utf-8", "replace")),
    "urls": lambda data: urls_are_read_as_they_are_shown(_text(data)),
}
