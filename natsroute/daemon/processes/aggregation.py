"""What operators see of several processes together: the parent asks each of them, and joins the answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.python.failure import Failure

from natsroute._version import __version__
from natsroute.admin.errors import AdminError, MethodError
from natsroute.daemon.processes.run import Phase, Run
from natsroute.daemon.processes.supervisor import Supervisor
from natsroute.monitoring.merged_metrics import merged_text
from natsroute.monitoring.overview import ErrorRow, Overview, Reason

#: Seconds that a process may take to answer. Then it is left out, and the reasons name it.
ANSWER_TIMEOUT = 1.0

#: Seconds that a process may take to start. Then it does not learn that the levels of the log have changed meanwhile.
_START_TIMEOUT = 600.0


class Aggregation(Service):
    """
    Asks all processes, and joins what they answer.

    :param name: returns the name of the service.
    :param supervisor: has the processes.
    :param errors: returns the latest errors of the log, in which those of all processes are.
    :param unix_time: the time, as ``time.time()``.
    """

    def __init__(
        self,
        name: Callable[[], str],
        supervisor: Supervisor,
        errors: Callable[[], tuple[ErrorRow, ...]],
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self._service_name = name
        self._supervisor = supervisor
        self._errors = errors
        self._unix_time = unix_time
        self._started = unix_time()
        self._log_level: list[str] = []

    def new_metrics(self) -> Aggregation | None:
        """The metrics of all processes: :meth:`text`; None if the package ``prometheus-client`` is not installed."""
        return None if find_spec("prometheus_client") is None else self

    def overview(self) -> Deferred[Overview]:
        """The overview of all processes. It never fails: a process that does not answer is one of its reasons."""
        runs = enumerate(self._supervisor.current, 1)
        return gatherResults([self._overview(number, run) for number, run in runs]).addCallback(self._joined)

    def text(self) -> Deferred[bytes]:
        """The metrics of all processes in Prometheus' format, with the label ``process``. It never fails."""
        runs = enumerate(self._supervisor.current, 1)
        return gatherResults([self._text(number, run) for number, run in runs]).addCallback(merged_text)

    async def log_level(self, rules: Sequence[str]) -> None:
        """
        Change the levels of the log in each process. One that cannot answer yet is told when it is ready.

        :raises MethodError: a process refuses the rules.
        """
        self._log_level = list(rules)
        for run in self._supervisor.runs:
            if run.phase is Phase.STARTING:  # it has the former rules, and may listen already or not
                run.started(_START_TIMEOUT).addCallback(self._tell_log_level, run)
            if run.phase is not Phase.STOPPING:
                try:
                    await self._ask(run, "log_level", {"rules": self._log_level})
                except MethodError:
                    raise
                except AdminError:
                    pass  # when it is started again, it gets the rules of the parent

    def _tell_log_level(self, is_ready: bool, run: Run) -> None:
        if is_ready:
            self._ask(run, "log_level", {"rules": self._log_level}).addErrback(lambda _: None)

    def _ask(self, run: Run | None, method: str, params: Mapping[str, Any] | None = None) -> Deferred[Any]:
        if run is None or run.child is None:
            return fail(AdminError("the process does not run"))
        return run.child.call(method, params or {}, ANSWER_TIMEOUT)

    def _text(self, number: int, run: Run | None) -> Deferred[bytes | None]:
        def failed(_: Failure) -> Deferred[bytes | None] | None:
            current = self._supervisor.current[number - 1]
            return None if current is run else self._text(number, current)  # it was replaced meanwhile

        return self._ask(run, "metrics").addCallbacks(str.encode, failed)

    def _overview(self, number: int, run: Run | None) -> Deferred[Overview]:
        if run is None:
            return succeed(self._without_answer(number, (), "starting", f"process {number} waits to be started again"))
        pids = (run.pid,)

        def answered(fields: Any) -> Overview | Deferred[Overview]:
            if self._supervisor.current[number - 1] is not run:
                return self._overview(number, self._supervisor.current[number - 1])  # it was replaced meanwhile
            try:
                return attrs.evolve(Overview.from_json(fields), errors=())
            except (KeyError, TypeError):
                return self._without_answer(
                    number, pids, "no_answer", f"process {number} gave an answer of another version"
                )

        def failed(failure: Failure) -> Overview | Deferred[Overview]:
            if self._supervisor.current[number - 1] is not run:
                return self._overview(number, self._supervisor.current[number - 1])
            if run.phase is Phase.STARTING:
                return self._without_answer(number, pids, "starting", f"process {number} starts")
            return self._without_answer(number, pids, "no_answer", f"process {number}: {failure.getErrorMessage()}")

        return self._ask(run, "overview").addCallbacks(answered, failed)

    def _without_answer(self, number: int, pids: tuple[int, ...], code: str, text: str) -> Overview:
        now = self._unix_time()
        return Overview(
            self._service_name(), __version__.public(), pids, now, now, (Reason(code, f"process {number}", text),)
        )

    def _joined(self, overviews: list[Overview]) -> Overview:
        merged = Overview.merged(overviews)
        reasons = merged.reasons
        if self._supervisor.stopping:
            reasons = (Reason("stopping", "", "the service stops"), *reasons)
        return attrs.evolve(
            merged,
            name=self._service_name(),
            version=__version__.public(),
            started=self._started,
            time=self._unix_time(),
            reasons=reasons,
            errors=self._errors(),
            reloads=self._supervisor.reloads + merged.reloads,
        )
