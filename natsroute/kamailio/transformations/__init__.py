"""All transformations, by class and name."""

from __future__ import annotations

from natsroute.kamailio.transformations import encodings, escapes, json, lists, numbers, regex, sip, strings
from natsroute.kamailio.transformations.definitions import Builder

CLASSES: dict[str, dict[str, Builder]] = {
    "s": {**strings.TRANSFORMATIONS, **encodings.TRANSFORMATIONS, **escapes.TRANSFORMATIONS},
    "json": json.TRANSFORMATIONS,
    "re": regex.TRANSFORMATIONS,
    "param": lists.PARAM,
    "line": lists.LINE,
    "uri": sip.URI,
    "nameaddr": sip.NAMEADDR,
    "tobody": sip.TOBODY,
    "urialias": sip.URIALIAS,
    "val": numbers.VAL,
    "num": numbers.NUM,
}
