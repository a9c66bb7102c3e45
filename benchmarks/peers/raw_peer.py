"""The upper limit: a raw socket. It counts bytes and does not parse messages, except where it must reply."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from itertools import islice
from time import perf_counter_ns
from typing import NoReturn, TypeVar, cast

from benchmarks.load.job import QUEUE_GROUP, Job, report, report_ready
from benchmarks.load.traffic import command, delivered_size, messages
from benchmarks.peers import Peer
from tests.support.plain_client import PlainClient, without_credentials

_T = TypeVar("_T")

_CHUNK = 1 << 20
_TLS_CHUNK = 1 << 18  # a new object each time, so not larger than a read of natsroute
_PING = len(b"PING\r\n")
_SETTLE = 0.3  # seconds in which a message too many would arrive


def ended() -> NoReturn:
    """
    Called where no bytes were read.

    :raises ConnectionError: always.
    """
    raise ConnectionError("the server has closed the connection")


def consume(job: Job) -> None:
    """Count bytes until there are as many as the messages have. Only PINGs may follow."""
    if job.count == 1:
        _consume_one(job)
        return
    expected = sum(map(delivered_size, messages(job)))
    client = PlainClient(job.url, job.timeout, login=None if job.ca_file else without_credentials)
    receive: Callable[[], int] = partial(client.socket.recv_into, memoryview(bytearray(_CHUNK)))
    if job.ca_file:
        receive = _Tls(client, job).receive
    else:
        client.subscribe(job.pattern, QUEUE_GROUP)
    report_ready()
    size = end = 0
    try:
        while size < expected:
            size += receive() or ended()
        end = perf_counter_ns()
        client.socket.settimeout(_SETTLE)
        while True:
            size += receive() or ended()
    except TimeoutError:
        pass
    whole = size >= expected and (size - expected) % _PING == 0
    report(at=end or perf_counter_ns(), notes=[] if whole else [f"received {size:,} bytes instead of {expected:,}"])
    client.close()


class _Tls:
    """
    TLS from a client's greeting to its subscription, and then a count of what comes.

    All records of one read of the socket are decrypted together. An ``ssl.SSLSocket`` makes two reads for each record,
    and nats-server's records have 512 bytes: it takes longer than natsroute.
    """

    def __init__(self, client: PlainClient, job: Job) -> None:
        self._socket = client.socket
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=job.ca_file)
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._buffer = bytearray(_CHUNK)
        # With a buffer, read() returns a number.
        self._read = cast("Callable[[], int]", partial(tls.read, _CHUNK, self._buffer))
        self._until_done(tls.do_handshake)
        tls.write(
            b'CONNECT {"headers": true}\r\nSUB %b %b 1\r\nPING\r\n' % (job.pattern.encode(), QUEUE_GROUP.encode())
        )
        self._send()
        answer = b""
        while not answer.endswith(b"PONG\r\n"):
            answer += self._buffer[: self._until_done(self._read)]

    def receive(self) -> int:
        """Wait for bytes and decrypt them; return how many there are."""
        size = 0
        while not size:
            self._incoming.write(self._socket.recv(_TLS_CHUNK) or ended())
            try:
                while True:
                    size += self._read()
            except ssl.SSLWantReadError:
                pass
        return size

    def _until_done(self, step: Callable[[], _T]) -> _T:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._send()
                self._incoming.write(self._socket.recv(_TLS_CHUNK) or ended())
            else:
                self._send()
                return result

    def _send(self) -> None:
        self._socket.sendall(self._outgoing.read())


def _consume_one(job: Job) -> None:
    client = PlainClient(job.url, job.timeout)
    client.subscribe(job.pattern, QUEUE_GROUP)
    report_ready()
    client.next_message()
    report(at=perf_counter_ns())
    client.close()


def respond(job: Job) -> None:
    """Reply to all requests that have arrived, in one write."""
    client = PlainClient(job.url, job.timeout)
    client.subscribe(job.pattern, QUEUE_GROUP)
    report_ready()
    while True:
        requests = [client.next_message(), *client.messages_within(0.0)]
        client.write(b"".join(b"PUB %b %d\r\n%b\r\n" % (reply, len(data), data) for _, reply, data in requests))


def publish(job: Job) -> None:
    """Write batches that are made beforehand, and flush after each."""
    commands = map(command, messages(job))
    batches = list(iter(lambda: b"".join(islice(commands, job.batch)), b""))
    client = PlainClient(job.url, job.timeout)
    began = perf_counter_ns()
    for batch in batches:
        client.write(batch)
        client.flush()
    report(began=began, at=perf_counter_ns())
    client.close()


ROLES = {"consume": consume, "respond": respond, "publish": publish}

PEER = Peer("the upper limit: a raw socket in Python that counts bytes and parses nothing", roles=(*ROLES, "tls"))

if __name__ == "__main__":
    job = Job.read()
    ROLES[job.role](job)
