"""Loading the code anew while the service runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.python.failure import Failure

from natsroute.daemon.code.own_modules import Reimport, own_files
from natsroute.daemon.code.program import Program
from natsroute.daemon.code.trial import Trial
from natsroute.daemon.code.trial_process import CODE_SETTINGS
from natsroute.daemon.code.versions import PreparedProgram, Versions
from natsroute.daemon.one_at_a_time import OneAtATime
from natsroute.daemon.plan import Plan
from natsroute.daemon.settings.settings import SETTING_FIELDS, Settings
from natsroute.errors import NatsrouteError, ReloadError
from natsroute.log import Logger
from natsroute.routes.hooks import RunningService

#: Why a reload is refused.
NOT_RUNNING = "the service is not running: its start has not ended, or it stops"


@attrs.frozen
class Reloaded:
    """
    What was loaded.

    :ivar files: the files with the code, sorted.
    :ivar added: the names of event routes that were not there before, sorted.
    :ivar removed: the names of event routes that are no longer there, sorted.
    :ivar needs_restart: the settings that have changed in a file since the start, sorted. They do not take effect.
    :ivar seconds: how long it took.
    """

    files: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    needs_restart: tuple[str, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The same as values of JSON."""
        return attrs.asdict(self)

    def __str__(self) -> str:
        parts = [f"loaded {len(self.files)} file{'' if len(self.files) == 1 else 's'} in {self.seconds:.1f} s"]
        for what, names in (("new event routes", self.added), ("event routes that are gone", self.removed)):
            if names:
                parts.append(f"{what}: {', '.join(names)}")
        if self.needs_restart:
            parts.append(f"settings that have changed and need a restart: {', '.join(self.needs_restart)}")
        return "; ".join(parts)


class Reloader:
    """
    Loads the code anew, one time after the other.

    :param service: is given to hooks.
    :param versions: the versions of the code.
    :param settings: those of the current version.
    :param new_program: loads a version of the code in this process, for some settings and the former version.
    :param new_trial: tries in another process whether the code can be loaded.

    :ivar settings: those of the current version.
    :ivar count: how often the code was loaded anew.
    :ivar around: is given what begins a reload, calls it, and returns its Deferred. It may note begin and end.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        service: RunningService,
        versions: Versions,
        settings: Settings,
        new_program: Callable[[Settings, Program], Program],
        *,
        new_trial: Callable[[Any, Settings, float], Trial] = Trial,
    ) -> None:
        self.settings = settings
        self.count = 0
        self._reactor = reactor
        self._service = service
        self._versions = versions
        self._new_program = new_program
        self.around: Callable[[Callable[[], Deferred[Reloaded]]], Deferred[Reloaded]] = lambda reload: reload()
        self._new_trial = new_trial
        self._trial: Trial | None = None
        self._is_allowed = False
        self._running: Deferred[Reloaded] | None = None
        self._goes_over = False
        self._reloads = OneAtATime(lambda: self.around(self._run).addBoth(self._ended))

    def files(self) -> set[str]:
        """The paths of the files of the current version."""
        return own_files(self.settings)

    def allow(self) -> None:
        """The start is over."""
        self._is_allowed = True

    def refuse(self) -> Deferred[None]:
        """
        Begin no reload before the next :meth:`allow`, and end the one that runs, unless it lets the connections go over
        already.

        :return: fires when the process of the last trial has ended; never fails.
        """
        self._is_allowed = False
        self._reloads.refuse_next(ReloadError(NOT_RUNNING))
        if self._running is not None and not self._goes_over:
            self._running.cancel()
        exited: Deferred[None] = Deferred()
        if self._trial is None:
            exited.callback(None)
        else:
            self._trial.exited.addCallback(exited.callback)
        return exited

    def reload(self) -> Deferred[Reloaded]:
        """
        Load the code anew. While a reload runs, one more follows it, for all calls of this method meanwhile.

        :return: fires in the reactor's thread when all connections run the new code; fails with
            :class:`~natsroute.errors.ReloadError`, and the former code goes on. Cancelling it only ends the wait.
        """
        if not self._is_allowed:
            self.log.error("No reload: {reason}", reason=NOT_RUNNING)
            return fail(ReloadError(NOT_RUNNING))
        return self._reloads.ask()

    def on_signal(self) -> None:
        """The same, for a caller that cannot wait. The log says what came of it."""
        self.reload().addErrback(lambda logged: None)

    def _run(self) -> Deferred[Reloaded]:
        self._running = Deferred.fromCoroutine(self._reload())
        return self._running

    def _ended(self, result: Reloaded | Failure) -> Reloaded | Failure:
        self._running = None
        self._goes_over = False
        if isinstance(result, Failure):
            result = self._reason(result)
            self.log.error("Reload failed, and the former code goes on: {reason}", reason=str(result.value))
        else:
            self.count += 1
            self.log.info("Reload: {reloaded}", reloaded=str(result))
        return result

    def _reason(self, failure: Failure) -> Failure:
        if failure.check(CancelledError) and not self._is_allowed:
            return Failure(ReloadError(NOT_RUNNING))
        if failure.check(ReloadError):
            return failure
        if failure.check(NatsrouteError) is None:
            self.log.failure("Reload failed with an unexpected error", failure)
        return Failure(ReloadError(failure.getErrorMessage()))

    async def _reload(self) -> Reloaded:
        began = self._reactor.seconds()
        read = self.settings.again() if self.settings.again is not None else self.settings
        settings = attrs.evolve(
            self.settings,
            **{name: getattr(read, name) for name in CODE_SETTINGS},
            cfg=read.cfg,
            origins=read.origins,
            warnings=read.warnings,
        )
        differing = [name for name in SETTING_FIELDS if getattr(read, name) != getattr(settings, name)]
        self._trial = self._new_trial(self._reactor, settings, settings.reload_timeout)
        await self._trial.ended
        former = self._versions.current
        reimport = Reimport(self.settings, settings)
        try:
            prepared = self._versions.prepare(self._new_program(settings, former))
            try:
                await self._start(prepared, former)
            except BaseException:
                prepared.program.hooks.leave(former.hooks.in_common(prepared.program.hooks))
                self._versions.discard(prepared, self._service)
                raise
        except BaseException:
            reimport.undo()
            raise
        reimport.end()
        self._log_new_warnings(self.settings, former, settings, prepared.program)
        self._versions.warn_of_buckets(prepared)
        self.settings = settings
        names, former_names = (set(one.routing.all_names) for one in (prepared.program, former))
        del former
        self._goes_over = True
        await self._versions.go_over(prepared, self._service)
        return Reloaded(
            tuple(sorted(self.files())),
            tuple(sorted(names - former_names)),
            tuple(sorted(former_names - names)),
            tuple(sorted(differing)),
            self._reactor.seconds() - began,
        )

    async def _start(self, prepared: PreparedProgram, former: Program) -> None:
        """Load the scripts of a version, and run its ``on_start`` hooks."""
        program, hooks = prepared.program, prepared.program.hooks
        await self._in_time("the KEMI script was not loaded", program.scripts.load())
        try:
            started = hooks.start(self._service, former.hooks.in_common(hooks))
            await self._in_time("the on_start hooks did not end", started)
        except (ReloadError, CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # SystemExit too, as at a start; the log has the traceback
            raise ReloadError(f"an on_start hook failed: {type(error).__name__}: {error}") from None

    async def _in_time(self, otherwise: str, step: Deferred[None]) -> None:
        """
        Wait for a step.

        :raises ReloadError: it took too long, and was cancelled.
        """
        seconds = self.settings.reload_timeout
        try:
            await step.addTimeout(seconds, self._reactor)
        except DeferredTimeoutError:
            raise ReloadError(f"{otherwise} within {seconds:g} s (reload_timeout)") from None

    def _log_new_warnings(self, before: Settings, former: Program, settings: Settings, program: Program) -> None:
        known = Plan.of(before, former.routing).warnings
        for warning in Plan.of(settings, program.routing).warnings:
            if warning not in known:
                self.log.warn("{problem}", problem=warning)
