"""
Loads the code that settings name, as a start would, and says what is wrong with it. Nothing is started or connected,
and nothing that a script publishes is sent.

:func:`command` does that in a process of its own, where code may block or end it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn

from twisted.internet.defer import Deferred

from natsroute.daemon.check import INSPECTIONS
from natsroute.daemon.code.own_modules import Reimport
from natsroute.daemon.code.routing import Routing
from natsroute.daemon.code.time_limit import begin_time_limit
from natsroute.daemon.plan import Plan
from natsroute.daemon.settings.settings import Settings
from natsroute.daemon.settings.sources import Origins
from natsroute.errors import NatsrouteError
from natsroute.kamailio.cfg.reader import read_cfg
from natsroute.kamailio.cfg.start_values import service_variables
from natsroute.kamailio.kemi.attempt import attempt
from natsroute.kamailio.kemi.hook_names import hook_names
from natsroute.kamailio.kemi.scripts import read_script

#: The settings that name code.
CODE_SETTINGS = ("event_routes", "event_callback", "kemi_script", "kamailio_cfg")

#: What the process runs. The code of the user is found only when all of natsroute is there: a module of theirs may have
#: the name of one that natsroute imports.
_PROGRAM = (
    "import sys; sys.path[:] = filter(None, sys.path); import json; sys.path += json.loads(sys.argv[1])['path']; "
    "from natsroute.daemon.code.trial_process import main; main(sys.argv[1])"
)


def names_of_code(settings: Settings) -> str:
    """The code that settings name, for a message."""
    return ", ".join(
        filter(None, [*settings.event_routes, settings.kemi_script or settings.event_callback, settings.kamailio_cfg])
    )


def command(settings: Settings, seconds: float) -> list[str]:
    """
    The command of the process. It has the names of code and no other setting: other users of the machine can see it.

    :param seconds: after these, the process says where the code is, and ends.
    """
    return [sys.executable, "-c", _PROGRAM, argument_of(settings, seconds)]


def argument_of(settings: Settings, seconds: float) -> str:
    """The settings that name code, where this process looks for modules, and the time limit."""
    given = {name: [getattr(settings, name), settings.origins[name]] for name in CODE_SETTINGS}
    return json.dumps({"path": sys.path, "seconds": seconds, "settings": given})


def load(argument: str, environment: Mapping[str, str]) -> None:
    """
    Load the code that the argument names.

    :raises NatsrouteError: something is wrong with it.
    """
    given: dict[str, Any] = json.loads(argument)["settings"]
    origins = Origins({name: origin for name, (_, origin) in given.items()})
    path = given["kamailio_cfg"][0]
    cfg = read_cfg(path, environment) if path else None
    with origins.in_errors():
        settings = Settings(**{name: value for name, (value, _) in given.items()}, origins=origins, cfg=cfg)
        reimport = Reimport(settings)  # whatever __pycache__ has
        routing = Routing(settings, None, lambda function, event: Deferred())
        reimport.end()
        Plan.of(settings, routing, INSPECTIONS)
    variables = service_variables(cfg)
    hooks = hook_names(cfg)
    if settings.kemi_script:
        attempt(read_script(settings.kemi_script, settings.event_callback, hooks), variables)


def main(argument: str) -> None:
    """
    Load the code, and write an empty line at the begin, and what came of it as a line of JSON: ``null``, or the text of
    the error.
    """
    given = json.loads(argument)
    sys.path[:] = given["path"]
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the code prints is no answer
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    answering = threading.Lock()

    def end(problem: str | None) -> NoReturn:
        answering.acquire()  # for ever: there is one answer
        print(json.dumps(problem), file=answer, flush=True)
        with suppress(Exception):  # the code may have replaced it
            sys.stdout.flush()
        os._exit(0)  # without the threads and the handlers that the code may have left

    print(file=answer, flush=True)  # the time begins
    files = [*given["settings"]["event_routes"][0], given["settings"]["kemi_script"][0]]
    begin_time_limit(given["seconds"], [name for name in files if name], end)
    try:
        load(argument, os.environ)
        problem = None
    except NatsrouteError as error:
        problem = str(error)
    end(problem)
