"""The functions of ``KSR``, by name."""

from __future__ import annotations

from natsroute.kamailio.kemi.ksr import cfgutils, core, htable, kx, native, nats, pua_json, pv, pvx
from natsroute.kamailio.kemi.ksr.definitions import KemiFunction

FUNCTIONS: dict[str, KemiFunction] = {
    **core.FUNCTIONS,
    **pv.FUNCTIONS,
    **pvx.FUNCTIONS,
    **nats.FUNCTIONS,
    **native.FUNCTIONS,
    **htable.FUNCTIONS,
    **cfgutils.FUNCTIONS,
    **kx.FUNCTIONS,
    **pua_json.FUNCTIONS,
}
