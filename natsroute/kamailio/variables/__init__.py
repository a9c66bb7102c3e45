"""All pseudo-variables, by name."""

from __future__ import annotations

from natsroute.kamailio.variables import message, script, sip, surroundings
from natsroute.kamailio.variables.definitions import Definition

VARIABLES: dict[str, Definition] = {
    **message.VARIABLES,
    **script.VARIABLES,
    **surroundings.VARIABLES,
    **sip.VARIABLES,
}
