"""Which child processes there are: starts them, again if they die, and replaces them one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, gatherResults, succeed
from twisted.python.failure import Failure

from natsroute.client.server_pool import Backoff
from natsroute.daemon.one_at_a_time import OneAtATime
from natsroute.daemon.processes.run import Exit, Patience, Phase, Run, Spawn
from natsroute.errors import ReloadError
from natsroute.log import Logger

#: Seconds before a process that has died is started again: at once first, then 1, doubled up to 30.
BACKOFF = Backoff(wait=1.0, max_wait=30.0, jitter=0.0)

#: Seconds after which a process that was started counts as stable: its next death is the first one again. One that was
#: never ready may have died while it loaded its code on a slow machine, or may run during an outage of the server.
STABLE, STABLE_IF_NEVER_READY = 5.0, 30.0

#: The exit code of a process whose settings cannot work, or whose hooks have failed.
FAILED_START = 1


class _Slot:
    """
    The process with one number.

    :ivar current: its run; None while it waits to be started again.
    :ivar replacement: the run that is to replace the current one, during a reload.
    :ivar retry: the call that starts it again; None if it runs.
    :ivar deaths: how often it has died in a row, each time soon after its start.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.current: Run | None = None
        self.replacement: Run | None = None
        self.retry: Any = None
        self.deaths = 0

    @property
    def is_ready(self) -> bool:
        """Whether its process is ready."""
        return self.current is not None and self.current.phase is Phase.READY

    def cancel_retry(self) -> None:
        """Do not start it again."""
        if self.retry is not None:
            self.retry.cancel()
            self.retry = None


class Supervisor:
    """
    Keeps a number of child processes running.

    :param clock: the time.
    :param count: the number of processes.
    :param spawn: called with the number of a process, and whether it must read all code anew; returns what starts it.
    :param patience: how long a process may take to stop.
    :param restart_timeout: seconds in which a replacement must be ready.
    :param on_ready: called when all processes are ready, each time.
    :param on_failed: called with the reason when a process cannot be started because of its settings. It is logged by
        then.

    :ivar reloads: how often all processes have been replaced.
    :ivar around: is given what begins a reload, calls it, and returns its Deferred. It may note begin and end.
    """

    log = Logger()

    def __init__(
        self,
        clock: Any,
        count: int,
        spawn: Callable[[int, bool], Spawn],
        patience: Patience,
        restart_timeout: float,
        *,
        on_ready: Callable[[], object],
        on_failed: Callable[[str], object],
    ) -> None:
        self.reloads = 0
        self.around: Callable[[Callable[[], Deferred[None]]], Deferred[None]] = lambda reload: reload()
        self._clock = clock
        self._spawn = spawn
        self._patience = patience
        self._restart_timeout = restart_timeout
        self._on_ready = on_ready
        self._on_failed = on_failed
        self._slots = [_Slot(number) for number in range(1, count + 1)]
        self._runs: list[Run] = []
        self._stopping = False
        self._was_ready = False
        self._reloads = OneAtATime(lambda: self.around(self._begin_reload), self._one_is_ready)
        self._waiting: list[Deferred[None]] = []

    @property
    def is_ready(self) -> bool:
        """Whether all processes are ready."""
        return all(slot.is_ready for slot in self._slots)

    @property
    def stopping(self) -> bool:
        """Whether the processes stop, or have stopped."""
        return self._stopping

    @property
    def reloading(self) -> bool:
        """Whether the processes are replaced at the moment."""
        return self._reloads.is_running

    @property
    def current(self) -> list[Run | None]:
        """The run of each process, in the order of their numbers; None for one that waits to be started again."""
        return [slot.current for slot in self._slots]

    @property
    def runs(self) -> list[Run]:
        """All processes that have not ended, with those that are replaced."""
        return list(self._runs)

    def start(self) -> None:
        """Start all processes."""
        self._stopping = self._was_ready = False
        for slot in self._slots:
            slot.deaths = 0
            self._launch(slot)

    def ready(self) -> Deferred[None]:
        """
        Wait until all processes are ready.

        :return: fires at once if they are. Fails with ``CancelledError`` if they are stopped first.
        """
        if self.is_ready:
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def stop(self) -> Deferred[None]:
        """
        Drain and end all processes.

        :return: fires when all have ended.
        """
        self._stopping = True
        self._reloads.refuse_next(ReloadError("the service is stopping"))
        self._tell_waiting(Failure(CancelledError("the service was stopped before it was ready")))
        for slot in self._slots:
            slot.cancel_retry()
        for run in self.runs:
            run.stop()
        return gatherResults([run.ended() for run in self.runs]).addCallback(lambda _: None)

    def skip_drain(self) -> None:
        """If the processes stop, wait neither for messages to be handled nor for hooks."""
        for run in self.runs:
            run.skip_drain()

    def kill(self) -> None:
        """Kill all processes. A signal handler may call this."""
        for run in self.runs:
            if run.child is not None:
                run.child.kill()

    def report(self) -> None:
        """Let each process log its report."""
        for run in self.runs:
            if run.child is not None and run.was_ready:
                run.child.report()

    def reload(self) -> Deferred[None]:
        """
        Replace each process, one after the other: start the replacement, wait until it is ready, and drain the old one.

        During a reload, all further calls together become one reload, which follows it: what they ask for may be newer
        than what the running one has read.

        :return: fires when all processes are replaced. Fails with :class:`~natsroute.errors.ReloadError` if a
            replacement ends before it is ready, or is not ready in time. Its process stays as it was, and so do those
            after it.
        """
        if self._stopping:
            return fail(ReloadError("the service is stopping"))
        return self._reloads.ask()

    def _begin_reload(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._reload())

    async def _reload(self) -> None:
        self.log.info("Reload: the processes are replaced one after another")
        try:
            for slot in self._slots:
                await self._replace(slot)
        except ReloadError as error:
            self.log.error("The reload has failed: {reason}", reason=str(error))
            raise
        self.reloads += 1
        self.log.info("Reload: all processes have been replaced")

    async def _replace(self, slot: _Slot) -> None:
        slot.cancel_retry()
        new = slot.replacement = self._run(slot, fresh=True)
        ready = await new.started(self._restart_timeout)
        slot.replacement = None
        if self._stopping:
            raise ReloadError("the service is stopping")
        if not ready:
            problem = (
                f"its replacement was not ready within {self._restart_timeout:g} s"
                if new.exit is None
                else f"its replacement ended before it was ready: {new.exit}"
            )
            new.stop()
            if slot.current is None and not self._stopping:  # it has died meanwhile
                self._launch_later(slot)
            raise ReloadError(f"process {slot.number} was not replaced: {problem}. See its lines in the log")
        old, slot.current = slot.current, new
        slot.deaths = 0
        new.ended().addCallback(self._ended, slot, new)
        self._one_is_ready()
        if old is not None:
            old.stop()
            await old.ended()

    def _run(self, slot: _Slot, *, fresh: bool) -> Run:
        run = Run(self._clock, slot.number, self._spawn(slot.number, fresh), self._patience, self._one_is_ready)
        if run.exit is None:
            self._runs.append(run)
            run.ended().addCallback(lambda _: self._runs.remove(run))
        return run

    def _launch(self, slot: _Slot) -> None:
        slot.retry = None
        slot.current = run = self._run(slot, fresh=False)
        run.ended().addCallback(self._ended, slot, run)

    def _launch_later(self, slot: _Slot) -> float:
        delay = BACKOFF.delay(slot.deaths)
        slot.deaths += 1
        slot.retry = self._clock.callLater(delay, self._launch, slot)
        return delay

    def _one_is_ready(self) -> None:
        if self.is_ready and not self._stopping:
            self._was_ready = True
            self._tell_waiting(None)
            self._on_ready()

    def _tell_waiting(self, result: Failure | None) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(result)

    def _ended(self, exit: Exit, slot: _Slot, run: Run) -> None:
        if slot.current is not run:
            return  # it has been replaced
        slot.current = None
        if self._stopping:
            return
        if exit.code == FAILED_START and not run.was_ready and not self._was_ready:
            self.log.error("Process {number} cannot start ({exit}): natsroute ends", number=slot.number, exit=str(exit))
            self._on_failed(f"process {slot.number} cannot start ({exit})")
            return
        lived = self._clock.seconds() - run.began
        if lived >= (STABLE if run.was_ready else STABLE_IF_NEVER_READY):
            slot.deaths = 0
        if slot.replacement is not None:
            self._log_death(run, lived, "its replacement is starting already")
            return
        delay = self._launch_later(slot)
        self._log_death(run, lived, f"it is started again in {delay:g} s" if delay else "it is started again")

    def _log_death(self, run: Run, lived: float, what_follows: str) -> None:
        self.log.error(
            "Process {number} (pid {pid}) ended by itself after {lived} s ({exit}): {what_follows}",
            number=run.number,
            pid=run.pid,
            lived=round(lived, 1),
            exit=str(run.exit),
            what_follows=what_follows,
        )
