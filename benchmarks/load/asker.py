"""
Asks a peer that answers: one request after the other; as many as it can take; and at half of that rate.

At a fixed rate the time of an answer counts from when its request was due, not from when there was time to send it.
Otherwise a peer that stops for a moment would be asked nothing in that moment, and nobody would see it.
"""

from __future__ import annotations

from itertools import islice
from time import perf_counter, perf_counter_ns

from benchmarks.load.job import Job, tell
from benchmarks.load.raw import RawClient
from benchmarks.load.traffic import Message, command, inbox, messages

_WARM_UP = 0.1  # of the requests; their answers do not count
_OUTSTANDING = 256


class Asker:
    """
    Sends the requests of a job, and knows which answer is right.

    :ivar wrong: answers that were not.
    """

    def __init__(self, job: Job) -> None:
        self.wrong = 0
        self._client = RawClient(job.url, job.patience)
        self._client.subscribe(job.fixed_reply or "_INBOX.bench.*")
        self._fixed = job.fixed_reply
        self._requests = [self._request(message, number) for number, message in enumerate(messages(job))]
        self._warm_up = int(_WARM_UP * len(self._requests))
        self._commands = [command(message) for message in self._requests]

    def _request(self, message: Message, number: int) -> Message:
        # With a reply subject of its own for each, as real clients have it.
        return message._replace(reply=self._fixed or inbox(number))

    def _check(self, answer: tuple[bytes, bytes]) -> int:
        """The number of the request."""
        subject, payload = answer
        number = int(payload.split(None, 1)[0])
        request = self._requests[number]
        self.wrong += (request.reply.encode(), request.payload) != (subject, payload)
        return number

    def one_by_one(self) -> list[int]:
        """Nanoseconds until each answer."""
        times = []
        for number, text in enumerate(self._commands):
            started = perf_counter_ns()
            self._client.write(text)
            answer = self._client.next_message()
            times.append(perf_counter_ns() - started)
            self.wrong += self._check(answer) != number
        return times[self._warm_up :]

    def as_many_as_possible(self) -> float:
        """Answers a second, with a fixed number of requests outstanding."""
        commands, left = iter(self._commands), len(self._commands)
        started = perf_counter()
        self._client.write(b"".join(islice(commands, _OUTSTANDING)))
        while left:
            answers = [self._check(self._client.next_message())]
            answers += map(self._check, self._client.messages_within(0.0))
            left -= len(answers)
            self._client.write(b"".join(islice(commands, len(answers))))
        return len(self._commands) / (perf_counter() - started)

    def at_rate(self, rate: float, patience: float) -> list[int]:
        """Nanoseconds from when each request was due until its answer; fewer than requests if they stay out."""
        total, sent, times = len(self._commands), 0, []
        interval = 1e9 / rate
        started = perf_counter_ns()
        give_up = started + total * interval + patience * 1e9
        while len(times) < total and (now := perf_counter_ns()) < give_up:
            due = min(total, int((now - started) / interval) + 1)
            if due > sent:
                self._client.write(b"".join(self._commands[sent:due]))
                sent = due
            until_next = (started + sent * interval - perf_counter_ns()) / 1e9 if sent < total else 1.0
            for answer in self._client.messages_within(until_next):
                times.append(round(perf_counter_ns() - started - self._check(answer) * interval))
        return times[self._warm_up :]


def main() -> None:
    """Ask, and tell what it took."""
    job = Job.read()
    asker = Asker(job)
    at_rest = asker.one_by_one()
    top = asker.as_many_as_possible()
    under_load = asker.at_rate(top / 2, job.patience / 4)
    missing = len(at_rest) - len(under_load)
    tell(at_rest=at_rest, top=top, under_load=under_load, wrong=asker.wrong, missing=missing)


if __name__ == "__main__":
    main()
