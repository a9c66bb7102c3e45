"""Whether a service is ready, and if not, why: for each connection, the last failure at each of its servers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from typing import Protocol as Interface

from natsroute.client.connection import Connection
from natsroute.client.servers import Server
from natsroute.client.state import ConnectionEvent, State
from natsroute.client.status import Change
from natsroute.daemon.connections import Connections
from natsroute.daemon.lifecycle import Lifecycle, Phase
from natsroute.daemon.startup import Startup
from natsroute.monitoring.overview import Reason
from natsroute.text import printable, safe_str

#: Seconds after which a connected server that has confirmed nothing is a reason.
UNCONFIRMED_AFTER = 5.0
#: Servers of one connection that are named, the last ones that failed.
MAX_SERVERS = 3

#: What a connection does, as the beginning of a sentence after its name.
_DOES = {
    State.CLOSED: "is not started",
    State.WAITING: "is not connected, and waits before it tries again",
    State.CONNECTING: "is not connected, and tries to connect",
    State.REFUSED: "is not subscribed",
    State.LAME_DUCK: "leaves its server, which shuts down",
    State.CLOSING: "is being closed",
    State.RESTARTING: "is being closed",
}


class Worker(Interface):
    """A publish worker, as far as it is looked at."""

    @property
    def buffer(self) -> Any:
        """What it holds: ``messages``, its ``limits``, and the ``free`` bytes."""

    @property
    def written(self) -> Any:
        """What is not confirmed: when the ``oldest`` message was published."""


class Readiness:
    """
    Knows why a service is not ready.

    :param clock: the reactor.
    :param connections: its connections, all of them by now: those of the publish workers first.
    :param workers: its publish workers, in the order of their connections.
    :param startup: knows how far the start is.
    :param pending_hook: returns the ``on_start`` hook that runs, and for how many seconds it has run; or None.
    :param lifecycle: knows whether it stops.
    :param problems: returns the consumers that are connected and consume nothing, each with the reason.
    :param stream_problems: returns the streams that are not as the settings say, each with the reason.
    """

    def __init__(
        self,
        clock: Any,
        connections: Connections,
        workers: Sequence[Worker],
        startup: Startup,
        pending_hook: Callable[[], tuple[str, float] | None],
        lifecycle: Lifecycle,
        problems: Callable[[], Iterable[tuple[str, str]]] = lambda: (),
        stream_problems: Callable[[], Iterable[tuple[str, str]]] = lambda: (),
    ) -> None:
        self._clock = clock
        self._workers = workers
        self._startup = startup
        self._pending_hook = pending_hook
        self._lifecycle = lifecycle
        self._problems = problems
        self._stream_problems = stream_problems
        self._connections = [(purpose, one, LastFailures(one)) for purpose, one in connections.named]

    def fatal(self) -> list[Reason]:
        """Why only a restart can help; none while the service works."""
        error = self._startup.error
        if error is None:
            return []
        return [Reason("failed", "", f"the start failed: {printable(safe_str(error), 500)}")]

    def reasons(self) -> Iterator[Reason]:
        """Why the service is not ready; none if it is."""
        yield from self.fatal()
        yield from self._phase()
        for number, (purpose, connection, failures) in enumerate(self._connections):
            worker = self._workers[number] if number < len(self._workers) else None
            if not connection.state.is_connected:
                text = f"{purpose} {_DOES[connection.state]}{failures}"
                yield Reason(_code(connection.state, publishes=worker is not None), purpose, text)
            elif worker is not None:
                yield from self._cannot_publish(purpose, worker)
        for purpose, problem in self._problems():
            yield Reason("not_consuming", purpose, f"{purpose} {printable(problem, 500)}")
        for stream, problem in self._stream_problems():
            yield Reason("no_stream", stream, f"{stream} {printable(problem, 500)}")

    def _phase(self) -> Iterator[Reason]:
        phase = self._lifecycle.phase
        if phase in (Phase.STOPPING, Phase.RESTARTING):
            yield Reason("stopping", "", "the service stops: it takes no new messages, and handles those that it has")
        elif phase is Phase.STOPPED:
            yield Reason("stopping", "", "the service has not been started, or has stopped")
        elif not self._startup.is_ready and self._startup.error is None:
            yield self._starting()

    def _starting(self) -> Reason:
        pending = self._pending_hook()
        if pending is None:
            return Reason("starting", "", f"the service starts: {self._startup.step}")
        hook, seconds = pending
        return Reason("starting", hook, f"on_start hook {hook} has not ended after {seconds:.0f} s")

    def _cannot_publish(self, purpose: str, worker: Worker) -> Iterator[Reason]:
        buffer = worker.buffer
        if buffer.messages >= buffer.limits.messages or buffer.free <= 0:
            text = f"{purpose} can take no more messages: {buffer.messages} of them are not confirmed"
            yield Reason("cannot_publish", purpose, text)
        oldest = worker.written.oldest
        waited = 0.0 if oldest is None else self._clock.seconds() - oldest
        if waited >= UNCONFIRMED_AFTER:
            text = f"{purpose} is connected, but the server has not confirmed a message for {waited:.0f} s"
            yield Reason("cannot_publish", purpose, text)


class LastFailures:
    """
    The last failure of a connection at each of its servers, since it was connected last.

    ``str()`` gives them as the rest of a sentence.

    :param connection: is observed from now on.
    """

    def __init__(self, connection: Connection) -> None:
        self._reasons: dict[Server, str] = {}
        connection.observe(self._on_change)

    def _on_change(self, change: Change) -> None:
        if change.server is None or change.event is ConnectionEvent.CONNECTED:
            self._reasons.clear()
            return
        self._reasons.pop(change.server, None)
        if len(self._reasons) == MAX_SERVERS:
            del self._reasons[next(iter(self._reasons))]
        self._reasons[change.server] = printable(safe_str(change.reason).rstrip("."), 300)

    def __str__(self) -> str:
        return "".join(f". {server}: {reason}" for server, reason in self._reasons.items())


def _code(state: State, *, publishes: bool) -> str:
    if state is State.REFUSED:
        return "not_subscribed"
    if publishes and state is State.LAME_DUCK:
        return "cannot_publish"
    return "not_connected"
