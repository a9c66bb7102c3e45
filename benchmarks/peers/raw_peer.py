"""The upper limit: a raw socket. It counts bytes and does not parse messages, except where it must reply."""

from __future__ import annotations

from itertools import islice
from time import perf_counter_ns

from benchmarks.load.job import QUEUE_GROUP, Job, report, report_ready
from benchmarks.load.traffic import command, delivered_size, messages
from benchmarks.peers import Peer
from tests.support.plain_client import PlainClient

_CHUNK = 1 << 20
_PING = len(b"PING\r\n")
_SETTLE = 0.3  # seconds in which a message too many would arrive


def consume(job: Job) -> None:
    """Count bytes until there are as many as the messages have. Only PINGs may follow."""
    if job.count == 1:
        _consume_one(job)
        return
    expected = sum(map(delivered_size, messages(job)))
    client = PlainClient(job.url, job.timeout)
    client.subscribe(job.pattern, QUEUE_GROUP)
    report_ready()
    buffer, size, receive = memoryview(bytearray(_CHUNK)), 0, client.socket.recv_into
    end = 0
    try:
        while size < expected:
            size += receive(buffer)
        end = perf_counter_ns()
        client.socket.settimeout(_SETTLE)
        while True:
            size += receive(buffer)
    except TimeoutError:
        pass
    whole = size >= expected and (size - expected) % _PING == 0
    report(at=end or perf_counter_ns(), notes=[] if whole else [f"received {size:,} bytes instead of {expected:,}"])
    client.close()


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

PEER = Peer("the upper limit: a raw socket in Python that counts bytes and parses nothing", roles=tuple(ROLES))

if __name__ == "__main__":
    job = Job.read()
    ROLES[job.role](job)
