"""The functions that a script can call, by name."""

from __future__ import annotations

from natsroute.kamailio.script.functions import htable, nats, xlog
from natsroute.kamailio.script.functions.definitions import FunctionDefinition

FUNCTIONS: dict[str, FunctionDefinition] = {
    **nats.FUNCTIONS,
    **xlog.FUNCTIONS,
    **htable.FUNCTIONS,
}
