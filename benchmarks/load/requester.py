"""
Sends requests to a peer that responds: first one at a time, then as many as it can answer, then at half that rate.

At the fixed rate, latency counts from the time at which a request was due, not from the time at which it was sent.
Otherwise a peer that pauses would get no requests during the pause, and the pause would not show.
"""

from __future__ import annotations

from itertools import islice
from time import perf_counter, perf_counter_ns

from benchmarks.load.job import Job, report
from benchmarks.load.traffic import Message, command, inbox, messages
from tests.support.plain_client import PlainClient

_WARM_UP = 0.1  # the replies to this first part of the requests do not count
_OUTSTANDING = 256


class Requester:
    """
    Sends the requests of a job, and checks the replies.

    :ivar wrong: number of replies that did not match their request.
    """

    def __init__(self, job: Job) -> None:
        self.wrong = 0
        self._client = PlainClient(job.url, job.timeout)
        self._client.subscribe(job.fixed_reply or "_INBOX.bench.*")
        self._fixed_reply = job.fixed_reply
        self._requests = [self._request(message, number) for number, message in enumerate(messages(job))]
        self._warm_up = int(_WARM_UP * len(self._requests))
        self._commands = [command(message) for message in self._requests]

    def _request(self, message: Message, number: int) -> Message:
        # Each request has a reply subject of its own, as with real clients.
        return message._replace(reply=self._fixed_reply or inbox(number))

    def _check(self, reply: tuple[bytes, bytes, bytes]) -> int:
        """Compare a reply with its request, and return the request's number."""
        subject, _, payload = reply
        number = int(payload.split(None, 1)[0])
        request = self._requests[number]
        self.wrong += (request.reply.encode(), request.payload) != (subject, payload)
        return number

    def one_at_a_time(self) -> list[int]:
        """The latency of each request in nanoseconds."""
        latencies = []
        for number, text in enumerate(self._commands):
            started = perf_counter_ns()
            self._client.write(text)
            reply = self._client.next_message()
            latencies.append(perf_counter_ns() - started)
            self.wrong += self._check(reply) != number
        return latencies[self._warm_up :]

    def as_many_as_possible(self) -> float:
        """Replies per second, with a fixed number of requests outstanding."""
        commands, left = iter(self._commands), len(self._commands)
        started = perf_counter()
        self._client.write(b"".join(islice(commands, _OUTSTANDING)))
        while left:
            replies = [self._check(self._client.next_message())]
            replies += map(self._check, self._client.messages_within(0.0))
            left -= len(replies)
            self._client.write(b"".join(islice(commands, len(replies))))
        return len(self._commands) / (perf_counter() - started)

    def at_rate(self, rate: float, timeout: float) -> list[int]:
        """
        The latency of each request in nanoseconds, counted from the time at which it was due.

        :param timeout: seconds to wait for replies after the last request; the list is shorter if some are missing.
        """
        total, sent = len(self._commands), 0
        latencies: list[int] = []
        interval = 1e9 / rate
        started = perf_counter_ns()
        deadline = started + total * interval + timeout * 1e9
        while len(latencies) < total and (now := perf_counter_ns()) < deadline:
            due = min(total, int((now - started) / interval) + 1)
            if due > sent:
                self._client.write(b"".join(self._commands[sent:due]))
                sent = due
            until_next = (started + sent * interval - perf_counter_ns()) / 1e9 if sent < total else 1.0
            for reply in self._client.messages_within(until_next):
                latencies.append(round(perf_counter_ns() - started - self._check(reply) * interval))
        return latencies[self._warm_up :]


def main() -> None:
    """Send the requests, and report."""
    job = Job.read()
    requester = Requester(job)
    at_rest = requester.one_at_a_time()
    top = requester.as_many_as_possible()
    under_load = requester.at_rate(top / 2, job.timeout / 4)
    missing = len(at_rest) - len(under_load)
    report(at_rest=at_rest, top=top, under_load=under_load, wrong=requester.wrong, missing=missing)


if __name__ == "__main__":
    main()
