"""The functions that a script can call, by name."""

from __future__ import annotations

from natsroute.kamailio.script.functions import (
    avpops,
    cfgutils,
    htable,
    ipops,
    jansson,
    json,
    nats,
    pua_json,
    pv,
    sip,
    textops,
    xavp,
    xlog,
)
from natsroute.kamailio.script.functions.definitions import FunctionDefinition

FUNCTIONS: dict[str, FunctionDefinition] = {
    **nats.FUNCTIONS,
    **xlog.FUNCTIONS,
    **htable.FUNCTIONS,
    **json.FUNCTIONS,
    **jansson.FUNCTIONS,
    **pv.FUNCTIONS,
    **xavp.FUNCTIONS,
    **avpops.FUNCTIONS,
    **textops.FUNCTIONS,
    **sip.FUNCTIONS,
    **ipops.FUNCTIONS,
    **cfgutils.FUNCTIONS,
    **pua_json.FUNCTIONS,
}
