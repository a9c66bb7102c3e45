"""SIPp: calls of the scenarios in this folder, each of which ends as its scenario says."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.kamailio import find
from tests.support.program import Program
from tests.support.waiting import until

HERE = Path(__file__).parent

#: Seconds after which SIPp gives up.
TIMEOUT = 300


class Sipp(Program):
    """
    SIPp, playing a scenario.

    :param scenario: the name of a file in this folder, without ``.xml``.
    :param port: the UDP port that it calls.
    :param service: the user that it calls.
    :param calls: the number of calls.
    :param rate: the calls that begin in each second.
    :param words: words of the scenario, and what they are replaced by.
    """

    def __init__(
        self,
        reactor: Any,
        folder: Path,
        scenario: str,
        port: int,
        service: str,
        calls: int = 1,
        *,
        rate: int = 20,
        words: Mapping[str, str] | None = None,
    ) -> None:
        text = (HERE / f"{scenario}.xml").read_text("utf-8")
        for word, replacement in (words or {}).items():
            text = text.replace(word, replacement)
        (folder / "scenario.xml").write_text(text, "utf-8")
        self._errors, self._log = folder / "errors.log", folder / "scenario.log"
        options = f"-sf scenario.xml -m {calls} -r {rate} -s {service} -i 127.0.0.1 -ci 127.0.0.1 -nostdin"
        watch = (
            f"-timeout {TIMEOUT} -timeout_error -trace_err -error_file {self._errors} -trace_logs -log_file {self._log}"
        )
        command = [find("sipp") or "sipp", *options.split(), *watch.split(), f"127.0.0.1:{port}"]
        super().__init__(reactor, command, folder)

    def logged(self) -> list[str]:
        """What the scenario has logged so far."""
        return self._log.read_text("utf-8").splitlines() if self._log.exists() else []

    async def ended(self) -> int:
        """Wait until it has ended; returns 0 if each call ended as the scenario says. Otherwise it shows the errors."""
        await until(lambda: self.status is not None, self.reactor, timeout=TIMEOUT + 10)
        status = await super().ended()
        if status > 0:
            errors = self._errors.read_text("utf-8", "replace") if self._errors.exists() else ""
            print(*self.lines, errors[:3000], sep="\n", file=sys.stderr)
        return status
